package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

// eachMethod calls f with an empty request of every method.
func eachMethod(t *testing.T, f func(t *testing.T, request proto.Message)) {
	t.Helper()
	for _, file := range []protoreflect.FileDescriptor{
		sessionv2.File_zitadel_session_v2_session_service_proto, userv2.File_zitadel_user_v2_user_service_proto,
	} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			kind, err := protoregistry.GlobalTypes.FindMessageByName(methods.Get(i).Input().FullName())
			if err != nil {
				t.Fatal(err)
			}
			t.Run(string(methods.Get(i).Name()), func(t *testing.T) { f(t, kind.New().Interface()) })
		}
	}
}

func TestS15_NoMethodTellsAStrangerItsRules(t *testing.T) {
	t.Parallel()
	want := bare(codes.Unauthenticated, "auth header missing")
	for _, p := range protocols()[1:] { // an empty request has no REST path
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			stranger := p.dial(t, endpoint{apptest.New(t, apptest.Options{}).Serve(t), ""})
			eachMethod(t, func(t *testing.T, request proto.Message) {
				if diff := cmp.Diff(proto.Message(want), stranger.call(t, request), protocmp.Transform()); diff != "" {
					t.Errorf("outcome (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestValidationComesBeforePermission(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	c.key = c.NewKey(t, access.IAMOwnerViewer, "")
	invalid := c.do("POST", "/v2/sessions", `{"checks": {"user": {}}}`)
	forbidden := c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "unknown"}}}`)
	if invalid.status != http.StatusBadRequest || forbidden.status != http.StatusForbidden {
		t.Errorf("invalid: %d %s, forbidden: %d %s", invalid.status, invalid.body, forbidden.status, forbidden.body)
	}
}

// callerWorld holds the credentials that a door may be shown.
type callerWorld struct {
	restClient
	names

	signedIn session.Result
}

func newCallerWorld(t *testing.T) callerWorld {
	t.Helper()
	c := newREST(t, apptest.Options{})
	ada := c.NewUser(t, "ada@stepup.test")
	w := callerWorld{restClient: c, signedIn: c.create(t, login(ada.ID, apptest.Password))}

	second := time.Second
	expiring := login(ada.ID, apptest.Password)
	expiring.Lifetime = &second
	expired := c.create(t, expiring)
	c.Clock.Advance(2 * time.Second)

	rotated := c.create(t, session.Create{})
	_, err := c.Sessions.Set(t.Context(), apptest.Admin(), session.Set{
		SessionID: rotated.SessionID, Step: session.Step{Metadata: map[string][]byte{"k": []byte("v")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := c.create(t, login(ada.ID, apptest.Password))
	if _, err := c.Sessions.Delete(t.Context(), apptest.Admin(), ended.SessionID, ""); err != nil {
		t.Fatal(err)
	}
	revoked, revokedText, err := c.Keys.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Keys.Revoke(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}
	stranger := newREST(t, apptest.Options{}) // another keyring
	w.names = names{
		"key": c.key, "revoked": revokedText, "forged": stranger.key,
		"signedIn": w.signedIn.Token, "expired": expired.Token, "rotated": rotated.Token, "ended": ended.Token,
		"named": c.create(t, login(ada.ID, "")).Token, "nobody": c.create(t, session.Create{}).Token,
		"foreign": stranger.create(t, session.Create{}).Token,
	}
	return w
}

func TestTheDoorKnowsGoodCredentialsFromBad(t *testing.T) {
	t.Parallel()
	const (
		none    = "auth header missing"
		header  = "invalid auth header (AUTH-toLo1)"
		token   = "Errors.Token.Invalid (AUTH-7fs1e)"
		factors = "authentication required (AUTHZ-Kl3p0)"
		expired = "session expired (AUTHZ-EGDo3)"
		org     = "Organisation doesn't exist (AUTH-Bs7Ds)"
	)
	w := newCallerWorld(t)
	for _, tc := range []struct {
		name          string
		authorization string
		organization  string
		status        int
		message       string
	}{
		{"no header", "", "", 401, none},
		{"no scheme", "{key}", "", 401, header},
		{"another scheme", "Basic {key}", "", 401, header},
		{"no credential", "Bearer", "", 401, header},
		{"an empty credential", "Bearer ", "", 401, header},
		{"two credentials", "Bearer {key} {key}", "", 401, header},
		{"two spaces", "Bearer  {key}", "", 401, header},
		{"garbage", "Bearer garbage", "", 401, token},
		{"garbage with the prefix of a key", "Bearer stepup_garbage", "", 401, token},
		{"a key of another keyring", "Bearer {forged}", "", 401, token},
		{"a key with a letter too many", "Bearer {key}A", "", 401, token},
		{"a revoked key", "Bearer {revoked}", "", 401, token},
		{"a session token of another keyring", "Bearer {foreign}", "", 401, token},
		{"a session token that was replaced", "Bearer {rotated}", "", 401, token},
		{"the token of a terminated session", "Bearer {ended}", "", 401, token},
		{"the token of a session without a user", "Bearer {nobody}", "", 403, factors},
		{"the token of a session with nothing but a user", "Bearer {named}", "", 403, factors},
		{"the token of an expired session", "Bearer {expired}", "", 403, expired},
		{"an unknown organization", "Bearer {key}", "unknown", 403, org},
		{"a bad credential before an unknown organization", "Bearer garbage", "unknown", 401, token},
		{"a key", "Bearer {key}", "", 200, ""},
		{"a key and a known organization", "Bearer {key}", "default", 200, ""},
		{"the scheme in lower case", "bearer {key}", "", 200, ""},
		{"the scheme in upper case", "BEARER {key}", "", 200, ""},
		{"the token of a session that is signed in", "Bearer {signedIn}", "", 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := send(w.Handler, request("GET", "/v2/sessions/"+w.signedIn.SessionID, "",
				"Authorization", w.fill(tc.authorization), "X-Zitadel-Orgid", tc.organization))
			if got := a.refusal(t).Message; a.status != tc.status || got != tc.message {
				t.Errorf("got %d %q, want %d %q", a.status, got, tc.status, tc.message)
			}
			wantChallenge := ""
			if tc.status == http.StatusUnauthorized {
				wantChallenge = tc.message
			}
			if got := a.header.Get("Www-Authenticate"); got != wantChallenge {
				t.Errorf("Www-Authenticate: got %q, want %q", got, wantChallenge)
			}
		})
	}
}

// Behind the gateway a header that comes twice is one line; elsewhere it must not be the first.
func TestAHeaderThatComesTwiceCountsForNothing(t *testing.T) {
	t.Parallel()
	w := newCallerWorld(t)
	for _, tc := range []struct {
		name, header  string
		first, second string
		status        int
	}{
		{"a key and garbage", "Authorization", "Bearer {key}", "Bearer garbage", 401},
		{"a key twice", "Authorization", "Bearer {key}", "Bearer {key}", 401},
		{"a key and nothing", "Authorization", "Bearer {key}", "", 401},
		{"two organizations", "X-Zitadel-Orgid", "default", "unknown", 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := request("GET", "/v2/sessions/"+w.signedIn.SessionID, "", "Authorization", w.fill("Bearer {key}"), tc.header, w.fill(tc.first))
			r.Header.Add(tc.header, w.fill(tc.second))
			if a := send(w.Handler, r); a.status != tc.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, tc.status)
			}
		})
	}
}

// The rules of the fields, in the validator's words (wire contract, section 4.5).
func TestFieldsAreValidatedInTheWordsOfTheContract(t *testing.T) {
	t.Parallel()
	const (
		both      = "value length must be between 1 and 200 runes, inclusive"
		atMost    = "value length must be at most 200 runes"
		required  = "value is required"
		defined   = "value must be one of the defined enum values"
		inChecks  = "invalid CreateSessionRequest.Checks: embedded message failed validation | caused by: invalid Checks."
		inOpen    = "invalid CreateSessionRequest.Challenges: embedded message failed validation | caused by: invalid RequestChallenges."
		inQuery   = "invalid ListSessionsRequest.Queries[0]: embedded message failed validation | caused by: invalid SearchQuery."
		inAdd     = "invalid AddHumanUserRequest."
		inside    = ": embedded message failed validation | caused by: invalid "
		sessions  = "POST /v2/sessions"
		search    = "POST /v2/sessions/search"
		humans    = "POST /v2/users/human"
		goodEmail = `"email": {"email": "a@stepup.test"}`
		goodName  = `"profile": {"givenName": "A", "familyName": "B"}`
	)
	c := newREST(t, apptest.Options{})
	for _, tc := range []struct{ route, body, message string }{
		{"PATCH /v2/sessions/{long}", `{}`, "invalid SetSessionRequest.SessionId: " + both},
		{"GET /v2/sessions/{long}", ``, "invalid GetSessionRequest.SessionId: " + both},
		{"GET /v2/sessions/x?sessionToken=", ``, "invalid GetSessionRequest.SessionToken: " + both},
		{"GET /v2/sessions/x?session_token={long}", ``, "invalid GetSessionRequest.SessionToken: " + both},
		{"DELETE /v2/sessions/{long}", ``, "invalid DeleteSessionRequest.SessionId: " + both},
		{sessions, `{"checks": {"user": {}}}`, inChecks + "User" + inside + "CheckUser.Search: " + required},
		{sessions, `{"checks": {"user": {"userId": ""}}}`, inChecks + "User" + inside + "CheckUser.UserId: " + both},
		{sessions, `{"checks": {"user": {"loginName": "{long}"}}}`, inChecks + "User" + inside + "CheckUser.LoginName: " + both},
		{sessions, `{"checks": {"password": {}}}`, inChecks + "Password" + inside + "CheckPassword.Password: " + both},
		{sessions, `{"checks": {"webAuthN": {}}}`, inChecks + "WebAuthN" + inside + "CheckWebAuthN.CredentialAssertionData: " + required},
		{sessions, `{"checks": {"idpIntent": {}}}`, inChecks + "IdpIntent" + inside + "CheckIDPIntent.IdpIntentId: " + both},
		{sessions, `{"checks": {"totp": {"code": "12345"}}}`, inChecks + "Totp" + inside + "CheckTOTP.Code: value length must be 6 runes"},
		{sessions, `{"checks": {"otpSms": {}}}`, inChecks + "OtpSms" + inside + "CheckOTP.Code: value length must be at least 1 runes"},
		{sessions, `{"checks": {"otpEmail": {}}}`, inChecks + "OtpEmail" + inside + "CheckOTP.Code: value length must be at least 1 runes"},
		{sessions, `{"checks": {"recoveryCode": {}}}`, inChecks + "RecoveryCode" + inside + "CheckRecoveryCode.Code: " + both},
		{
			sessions, `{"challenges": {"webAuthN": {"userVerificationRequirement": 1}}}`,
			inOpen + "WebAuthN" + inside + "RequestChallenges_WebAuthN.Domain: " + both,
		},
		{
			sessions, `{"challenges": {"webAuthN": {"domain": "d"}}}`,
			inOpen + "WebAuthN" + inside + "RequestChallenges_WebAuthN.UserVerificationRequirement: value must not be in list [USER_VERIFICATION_REQUIREMENT_UNSPECIFIED]",
		},
		{
			sessions, `{"challenges": {"webAuthN": {"domain": "d", "userVerificationRequirement": 9}}}`,
			inOpen + "WebAuthN" + inside + "RequestChallenges_WebAuthN.UserVerificationRequirement: " + defined,
		},
		{
			sessions, `{"challenges": {"otpEmail": {"sendCode": {"urlTemplate": ""}}}}`,
			inOpen + "OtpEmail" + inside + "RequestChallenges_OTPEmail.SendCode" + inside + "RequestChallenges_OTPEmail_SendCode.UrlTemplate: " + both,
		},
		{sessions, `{"lifetime": "0s"}`, "invalid CreateSessionRequest.Lifetime: value must be greater than 0s"},
		{sessions, `{"lifetime": "-1s"}`, "invalid CreateSessionRequest.Lifetime: value must be greater than 0s"},
		{"PATCH /v2/sessions/x", `{"lifetime": "0s"}`, "invalid SetSessionRequest.Lifetime: value must be greater than 0s"},
		{
			sessions, `{"lifetime": "0s", "checks": {"totp": {"code": ""}, "user": {}}}`, // the first alone
			inChecks + "User" + inside + "CheckUser.Search: " + required,
		},
		{search, `{"queries": [{}]}`, inQuery + "Query: " + required},
		{search, `{"queries": [{"creationDateQuery": {"method": 5}}]}`, inQuery + "CreationDateQuery" + inside + "CreationDateQuery.Method: " + defined},
		{search, `{"queries": [{"expirationDateQuery": {"method": 5}}]}`, inQuery + "ExpirationDateQuery" + inside + "ExpirationDateQuery.Method: " + defined},
		{search, `{"queries": [{"creatorQuery": {"id": "{long}"}}]}`, inQuery + "CreatorQuery" + inside + "CreatorQuery.Id: " + atMost},
		{search, `{"queries": [{"userAgentQuery": {"fingerprintId": "{long}"}}]}`, inQuery + "UserAgentQuery" + inside + "UserAgentQuery.FingerprintId: " + atMost},
		{humans, `{}`, inAdd + "Profile: " + required},
		{humans, `{` + goodName + `}`, inAdd + "Email: " + required},
		{humans, `{` + goodName + `, "email": {"email": "nobody"}}`, inAdd + "Email" + inside + "SetHumanEmail.Email: value must be a valid email address | caused by: mail: missing '@' or angle-addr"},
		{humans, `{"userId": "", ` + goodName + `, ` + goodEmail + `}`, inAdd + "UserId: " + both},
		{humans, `{"profile": {"familyName": "B"}, ` + goodEmail + `}`, inAdd + "Profile" + inside + "SetHumanProfile.GivenName: " + both},
		{humans, `{` + goodName + `, ` + goodEmail + `, "phone": {"isVerified": false}}`, inAdd + "Phone" + inside + "SetHumanPhone.IsVerified: value must equal true"},
		{humans, `{` + goodName + `, ` + goodEmail + `, "password": {}}`, inAdd + "Password" + inside + "Password.Password: " + both},
		{"POST /v2/users/new", `{"organizationId": "default"}`, "invalid CreateUserRequest.UserType: " + required},
		{"POST /v2/users/new", `{}`, "invalid CreateUserRequest.OrganizationId: " + both},
		{"GET /v2/users/{long}", ``, "invalid GetUserByIDRequest.UserId: " + both},
		{"POST /v2/users/{long}/lock", `{}`, "invalid LockUserRequest.UserId: " + both},
		{"POST /v2/users/x/password", `{"currentPassword": ""}`, "invalid SetPasswordRequest.CurrentPassword: " + both},
	} {
		t.Run(tc.route+" "+tc.body, func(t *testing.T) {
			t.Parallel()
			long := names{"long": overLong}
			verb, path, _ := strings.Cut(long.fill(tc.route), " ")
			got := c.do(verb, path, long.fill(tc.body))
			want := refusalBody{Code: 3, Message: tc.message}
			if diff := cmp.Diff(want, got.refusal(t)); diff != "" || got.status != http.StatusBadRequest {
				t.Errorf("status %d, refusal (-want +got):\n%s", got.status, diff)
			}
		})
	}
}

func TestADurationThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	carry := protocols()[2].dial(t, endpoint{c.Serve(t), c.key})
	got, _ := carry.call(t, &sessionv2.CreateSessionRequest{Lifetime: &durationpb.Duration{Seconds: 1, Nanos: -1}}).(*rpcstatus.Status)
	const want = "invalid CreateSessionRequest.Lifetime: value is not a valid duration | caused by: "
	if got.GetCode() != int32(codes.InvalidArgument) || !strings.HasPrefix(got.GetMessage(), want) {
		t.Errorf("got %v", got)
	}
}
