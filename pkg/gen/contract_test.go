package gen_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2/userv2connect"
)

// One implementation serves both the gateway and connect.
var (
	_ sessionv2connect.SessionServiceHandler = sessionv2.SessionServiceServer(nil)
	_ userv2connect.UserServiceHandler       = userv2.UserServiceServer(nil)
)

// Field numbers that are out of line, and so the first that a careless edit would break.
func TestFieldNumbersAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	numbers := map[protoreflect.FullName]protoreflect.FieldNumber{
		"zitadel.object.v2.Details.creation_date":                                          4,
		"zitadel.session.v2.RequestChallenges.OTPEmail.send_code":                          2,
		"zitadel.session.v2.RequestChallenges.OTPEmail.return_code":                        3,
		"zitadel.session.v2.UserFactor.organization_id":                                    6,
		"zitadel.session.v2.SetSessionRequest.lifetime":                                    6,
		"zitadel.session.v2.CreateSessionRequest.lifetime":                                 5,
		"zitadel.session.v2.Checks.recovery_code":                                          8,
		"zitadel.object.v2.ListDetails.total_is_lower_bound":                               1000,
		"zitadel.session.v2.Session.assurance":                                             1000,
		"zitadel.session.v2.CreateSessionResponse.assurance":                               1000,
		"zitadel.session.v2.SetSessionResponse.assurance":                                  1000,
		"zitadel.session.v2.SetSessionResponse.unmet":                                      1001,
		"zitadel.session.v2.Challenges.otp_sms_estimated_price_usd_micros":                 1000,
		"zitadel.session.v2.Challenges.otp_email_estimated_price_usd_micros":               1001,
		"zitadel.session.v2.GetSessionRequest.require":                                     1000,
		"zitadel.session.v2.SetSessionRequest.require":                                     1000,
		"zitadel.user.v2.AddHumanUserResponse.email_estimated_price_usd_micros":            1000,
		"zitadel.user.v2.CreateUserResponse.phone_estimated_price_usd_micros":              1001,
		"zitadel.user.v2.SendEmailCodeResponse.estimated_price_usd_micros":                 1000,
		"zitadel.user.v2.CreatePasskeyRegistrationLinkResponse.estimated_price_usd_micros": 1000,
		"zitadel.user.v2.AddHumanUserRequest.organization":                                 11,
		"zitadel.user.v2.AddHumanUserRequest.totp_secret":                                  12,
		"zitadel.user.v2.CreateUserRequest.Human.idp_links":                                7,
		"zitadel.user.v2.CreateUserRequest.Human.totp_secret":                              8,
		"zitadel.user.v2.User.details":                                                     8,
		"zitadel.user.v2.SearchQuery.login_name_query":                                     9,
		"zitadel.user.v2.SearchQuery.organization_id_query":                                15,
		"zitadel.user.v2.SearchQuery.phone_query":                                          16,
		"zitadel.user.v2.ListUsersResponse.result":                                         3,
		"zitadel.user.v2.ListAuthenticationMethodTypesRequest.domain_query":                2,
		"zitadel.user.v2.RegisterPasskeyRequest.domain":                                    4,
		"zitadel.user.v2.RegisterU2FRequest.domain":                                        2,
		"zitadel.user.v2.AuthFactor.otp":                                                   2,
		"zitadel.user.v2.AuthFactor.otp_email":                                             5,
		"zitadel.user.v2.StartIdentityProviderIntentResponse.form_data":                    5,
		"zitadel.user.v2.RetrieveIdentityProviderIntentResponse.create_user":               6,
		"zitadel.user.v2.IDPInformation.idp_id":                                            2,
		"zitadel.user.v2.IDPInformation.ldap":                                              6,
		"zitadel.user.v2.RemoveIDPLinkRequest.linked_user_id":                              3,
	}
	for name, want := range numbers {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := d.(protoreflect.FieldDescriptor).Number(); got != want {
			t.Errorf("%s has number %d, want %d", name, got, want)
		}
	}
}

// The texts are what a client reads when a field is refused (wire contract 4.5).
func TestValidationSpeaksTheContractsTexts(t *testing.T) {
	t.Parallel()
	const nested = ": embedded message failed validation | caused by: "
	webAuthN := func(v sessionv2.UserVerificationRequirement) *sessionv2.RequestChallenges_WebAuthN {
		return &sessionv2.RequestChallenges_WebAuthN{Domain: "example.com", UserVerificationRequirement: v}
	}
	for _, tc := range []struct {
		name    string
		message interface{ Validate() error }
		want    string
	}{
		{"accepted", &sessionv2.GetSessionRequest{SessionId: "1"}, ""},
		{
			"between", &sessionv2.GetSessionRequest{},
			"invalid GetSessionRequest.SessionId: value length must be between 1 and 200 runes, inclusive",
		},
		{"runes, not bytes", &sessionv2.GetSessionRequest{SessionId: strings.Repeat("é", 200)}, ""},
		{
			"present and empty", &sessionv2.GetSessionRequest{SessionId: "1", SessionToken: new("")},
			"invalid GetSessionRequest.SessionToken: value length must be between 1 and 200 runes, inclusive",
		},
		{"unbounded", &sessionv2.DeleteSessionRequest{SessionId: "1", SessionToken: new("")}, ""},
		{
			"exact and nested",
			&sessionv2.SetSessionRequest{SessionId: "1", Checks: &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: "12345"}}},
			"invalid SetSessionRequest.Checks" + nested + "invalid Checks.Totp" + nested +
				"invalid CheckTOTP.Code: value length must be 6 runes",
		},
		{"at least", &sessionv2.CheckOTP{}, "invalid CheckOTP.Code: value length must be at least 1 runes"},
		{
			"at most", &sessionv2.CreatorQuery{Id: new(strings.Repeat("x", 201))},
			"invalid CreatorQuery.Id: value length must be at most 200 runes",
		},
		{"required oneof", &sessionv2.CheckUser{}, "invalid CheckUser.Search: value is required"},
		{
			"required message", &sessionv2.CheckWebAuthN{},
			"invalid CheckWebAuthN.CredentialAssertionData: value is required",
		},
		{
			"forbidden value", webAuthN(0),
			"invalid RequestChallenges_WebAuthN.UserVerificationRequirement: " +
				"value must not be in list [USER_VERIFICATION_REQUIREMENT_UNSPECIFIED]",
		},
		{
			"unknown value", webAuthN(9),
			"invalid RequestChallenges_WebAuthN.UserVerificationRequirement: value must be one of the defined enum values",
		},
		{
			"zero lifetime", &sessionv2.CreateSessionRequest{Lifetime: &durationpb.Duration{}},
			"invalid CreateSessionRequest.Lifetime: value must be greater than 0s",
		},
		{
			"const", &objectv2.RequestContext{ResourceOwner: &objectv2.RequestContext_Instance{}},
			"invalid RequestContext.Instance: value must equal true",
		},
		{
			"e-mail", &userv2.SetHumanEmail{Email: "mini"},
			"invalid SetHumanEmail.Email: value must be a valid email address | caused by: mail: missing '@' or angle-addr",
		},
		{"no phone", &userv2.SetHumanPhone{}, ""},
		{
			"long phone", &userv2.SetHumanPhone{Phone: strings.Repeat("1", 201)},
			"invalid SetHumanPhone.Phone: value length must be between 0 and 200 runes, inclusive",
		},
		{
			"unverified by word", &userv2.SetHumanPhone{Verification: &userv2.SetHumanPhone_IsVerified{}},
			"invalid SetHumanPhone.IsVerified: value must equal true",
		},
		{
			"no recovery codes", &userv2.GenerateRecoveryCodesRequest{UserId: "1"},
			"invalid GenerateRecoveryCodesRequest.Count: value must be inside range [1, 50]",
		},
		{"most recovery codes", &userv2.GenerateRecoveryCodesRequest{UserId: "1", Count: 50}, ""},
		{
			"too many recovery codes", &userv2.GenerateRecoveryCodesRequest{UserId: "1", Count: 51},
			"invalid GenerateRecoveryCodesRequest.Count: value must be inside range [1, 50]",
		},
		{
			"required credential", &userv2.VerifyU2FRegistrationRequest{UserId: "1", U2FId: "2", TokenName: "key"},
			"invalid VerifyU2FRegistrationRequest.PublicKeyCredential: value is required",
		},
		{
			"half a code", &userv2.RegisterPasskeyRequest{UserId: "1", Code: &userv2.PasskeyRegistrationCode{Id: "2"}},
			"invalid RegisterPasskeyRequest.Code" + nested +
				"invalid PasskeyRegistrationCode.Code: value length must be between 1 and 200 runes, inclusive",
		},
		{"no domain", &userv2.RegisterU2FRequest{UserId: "1"}, ""},
		{
			"no URL reference",
			&userv2.StartIdentityProviderIntentRequest{IdpId: "1", Content: &userv2.StartIdentityProviderIntentRequest_Urls{
				Urls: &userv2.RedirectURLs{SuccessUrl: "%zz", FailureUrl: "https://a.example"},
			}},
			"invalid StartIdentityProviderIntentRequest.Urls" + nested +
				"invalid RedirectURLs.SuccessUrl: value must be a valid URI | caused by: parse \"%zz\": invalid URL escape \"%zz\"",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := tc.message.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// services is what the gateway stands in front of.
type services interface {
	sessionv2.SessionServiceServer
	userv2.UserServiceServer
}

// unimplemented has the services, but none of their methods.
type unimplemented struct {
	sessionv2.UnimplementedSessionServiceServer
	userv2.UnimplementedUserServiceServer
}

// recorder keeps the last request and answers nothing.
type recorder struct {
	unimplemented

	last proto.Message
}

func (r *recorder) GetSession(
	_ context.Context, req *sessionv2.GetSessionRequest,
) (*sessionv2.GetSessionResponse, error) {
	r.last = req
	return &sessionv2.GetSessionResponse{}, nil
}

func (r *recorder) SetSession(
	_ context.Context, req *sessionv2.SetSessionRequest,
) (*sessionv2.SetSessionResponse, error) {
	r.last = req
	return &sessionv2.SetSessionResponse{}, nil
}

func (r *recorder) DeleteSession(
	_ context.Context, req *sessionv2.DeleteSessionRequest,
) (*sessionv2.DeleteSessionResponse, error) {
	r.last = req
	return &sessionv2.DeleteSessionResponse{}, nil
}

func (r *recorder) VerifyPasskeyRegistration(
	_ context.Context, req *userv2.VerifyPasskeyRegistrationRequest,
) (*userv2.VerifyPasskeyRegistrationResponse, error) {
	r.last = req
	return &userv2.VerifyPasskeyRegistrationResponse{}, nil
}

func (r *recorder) ListAuthenticationFactors(
	_ context.Context, req *userv2.ListAuthenticationFactorsRequest,
) (*userv2.ListAuthenticationFactorsResponse, error) {
	r.last = req
	return &userv2.ListAuthenticationFactorsResponse{}, nil
}

// call sends one request to a gateway in front of s.
func call(t *testing.T, s services, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	mux := runtime.NewServeMux()
	if err := sessionv2.RegisterSessionServiceHandlerServer(t.Context(), mux, s); err != nil {
		t.Fatal(err)
	}
	if err := userv2.RegisterUserServiceHandlerServer(t.Context(), mux, s); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w
}

// A server without methods answers with the name of the method that was asked for.
func TestEveryRouteReachesItsMethod(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ route, want string }{
		{"POST /v2/sessions/search", "ListSessions"},
		{"GET /v2/sessions/1", "GetSession"},
		{"POST /v2/sessions", "CreateSession"},
		{"PATCH /v2/sessions/1", "SetSession"},
		{"DELETE /v2/sessions/1", "DeleteSession"},
		{"POST /v2/users/human", "AddHumanUser"},
		{"POST /v2/users/new", "CreateUser"},
		{"GET /v2/users/1", "GetUserByID"},
		{"POST /v2/users", "ListUsers"},
		{"PUT /v2/users/human/1", "UpdateHumanUser"},
		{"POST /v2/users/1/email", "SetEmail"},
		{"POST /v2/users/1/email/send", "SendEmailCode"},
		{"POST /v2/users/1/email/resend", "ResendEmailCode"},
		{"POST /v2/users/1/email/verify", "VerifyEmail"},
		{"POST /v2/users/1/phone", "SetPhone"},
		{"DELETE /v2/users/1/phone", "RemovePhone"},
		{"POST /v2/users/1/phone/resend", "ResendPhoneCode"},
		{"POST /v2/users/1/phone/verify", "VerifyPhone"},
		{"POST /v2/users/1/passkeys/registration_link", "CreatePasskeyRegistrationLink"},
		{"POST /v2/idp_intents", "StartIdentityProviderIntent"},
		{"POST /v2/idp_intents/1", "RetrieveIdentityProviderIntent"},
		{"POST /v2/users/1/links", "AddIDPLink"},
		{"POST /v2/users/1/links/_search", "ListIDPLinks"},
		{"DELETE /v2/users/1/links/1/1", "RemoveIDPLink"},
		{"POST /v2/users/1/password", "SetPassword"},
		{"POST /v2/users/1/lock", "LockUser"},
		{"POST /v2/users/1/unlock", "UnlockUser"},
		{"POST /v2/users/1/deactivate", "DeactivateUser"},
		{"POST /v2/users/1/reactivate", "ReactivateUser"},
		{"DELETE /v2/users/1", "DeleteUser"},
		{"GET /v2/users/1/authentication_methods", "ListAuthenticationMethodTypes"},
		{"POST /v2/users/1/passkeys", "RegisterPasskey"},
		{"POST /v2/users/1/passkeys/2", "VerifyPasskeyRegistration"},
		{"POST /v2/users/1/passkeys/_search", "ListPasskeys"},
		{"DELETE /v2/users/1/passkeys/2", "RemovePasskey"},
		{"POST /v2/users/1/u2f", "RegisterU2F"},
		{"POST /v2/users/1/u2f/2", "VerifyU2FRegistration"},
		{"DELETE /v2/users/1/u2f/2", "RemoveU2F"},
		{"POST /v2/users/1/totp", "RegisterTOTP"},
		{"POST /v2/users/1/totp/verify", "VerifyTOTPRegistration"},
		{"DELETE /v2/users/1/totp", "RemoveTOTP"},
		{"POST /v2/users/1/otp_sms", "AddOTPSMS"},
		{"DELETE /v2/users/1/otp_sms", "RemoveOTPSMS"},
		{"POST /v2/users/1/otp_email", "AddOTPEmail"},
		{"DELETE /v2/users/1/otp_email", "RemoveOTPEmail"},
		{"POST /v2/users/1/recovery_codes", "GenerateRecoveryCodes"},
		{"DELETE /v2/users/1/recovery_codes", "RemoveRecoveryCodes"},
		{"POST /v2/users/1/authentication_factors/_search", "ListAuthenticationFactors"},
	} {
		t.Run(tc.route, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(tc.route, " ")
			w := call(t, unimplemented{}, method, path, "")
			var status struct {
				Message string `json:"message"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
				t.Fatal(err)
			}
			if want := "method " + tc.want + " not implemented"; status.Message != want {
				t.Errorf("%d %q, want %q", w.Code, status.Message, want)
			}
		})
	}
}

func TestRequestsAreReadFromPathQueryAndBody(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method, path, body string
		want                     proto.Message
	}{
		{
			"query", http.MethodGet, "/v2/sessions/1?sessionToken=t&session_id=2", "",
			&sessionv2.GetSessionRequest{SessionId: "1", SessionToken: new("t")},
		},
		{
			"path wins over body", http.MethodPatch, "/v2/sessions/1", `{"sessionId":"2","metadata":{"k":"dg=="}}`,
			&sessionv2.SetSessionRequest{SessionId: "1", Metadata: map[string][]byte{"k": []byte("v")}},
		},
		{
			"body of DELETE", http.MethodDelete, "/v2/sessions/1", `{"sessionToken":"t"}`,
			&sessionv2.DeleteSessionRequest{SessionId: "1", SessionToken: new("t")},
		},
		{
			"no body of DELETE", http.MethodDelete, "/v2/sessions/1", "",
			&sessionv2.DeleteSessionRequest{SessionId: "1"},
		},
		{
			"both ids of the path", http.MethodPost, "/v2/users/1/passkeys/2", `{"passkeyId":"3","passkeyName":"key"}`,
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "1", PasskeyId: "2", PasskeyName: "key"},
		},
		{
			"query of POST, whose body is ignored", http.MethodPost,
			"/v2/users/1/authentication_factors/_search?authFactors=U2F&authFactors=1&states=AUTH_FACTOR_STATE_READY",
			`{"authFactors":["OTP_EMAIL"]}`,
			&userv2.ListAuthenticationFactorsRequest{
				UserId:      "1",
				AuthFactors: []userv2.AuthFactors{userv2.AuthFactors_U2F, userv2.AuthFactors_OTP_SMS},
				States:      []userv2.AuthFactorState{userv2.AuthFactorState_AUTH_FACTOR_STATE_READY},
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			if w := call(t, r, tc.method, tc.path, tc.body); w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(tc.want, r.last, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The time of a check, and the life of what it makes, are the server's: no call takes a
// point in time, but for lists, which may be asked for what is older than one.
func TestT5_NoRequestTellsTheTime(t *testing.T) {
	t.Parallel()
	for _, file := range []protoreflect.FileDescriptor{sessionv2.File_zitadel_session_v2_session_service_proto, userv2.File_zitadel_user_v2_user_service_proto} {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				if !strings.HasPrefix(string(m.Name()), "List") && tellsTime(m.Input(), make(map[protoreflect.FullName]bool)) {
					t.Errorf("%s takes a point in time", m.FullName())
				}
			}
		}
	}
	if !tellsTime((&sessionv2.Session{}).ProtoReflect().Descriptor(), make(map[protoreflect.FullName]bool)) {
		t.Error("a session has times, and none is found")
	}
}

func tellsTime(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i).Message()
		if f != nil && (f.FullName() == "google.protobuf.Timestamp" || tellsTime(f, seen)) {
			return true
		}
	}
	return false
}
