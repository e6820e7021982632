package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rpcdetails "google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	zitadelv1 "github.com/stepup-auth/stepup/pkg/gen/zitadel"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// rpc is one call and its outcome, which is the same on every protocol: a response,
// or a google.rpc.Status. Ids and tokens that the service draws are named in a
// response by the placeholder.
type rpc struct {
	name    string
	request proto.Message
	want    proto.Message
}

const placeholder = "(drawn)"

func TestEveryProtocolHasTheSameOutcome(t *testing.T) {
	t.Parallel()
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			carry := p.dial(t, endpoint{f.Serve(t), f.NewKey(t, access.IAMOwner, "")})
			for _, c := range f.rpcs() {
				t.Run(c.name, func(t *testing.T) {
					got := carry.call(t, c.request)
					if diff := cmp.Diff(c.want, scrub(got), protocmp.Transform()); diff != "" {
						t.Errorf("outcome (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

func TestEveryMethodIsCalledWithSuccessAndWithoutAndHasARoute(t *testing.T) {
	t.Parallel()
	outcomes := map[protoreflect.FullName]map[bool]int{}
	for _, c := range newFixture(t).rpcs() {
		method := methodOf(t, c.request).FullName()
		if outcomes[method] == nil {
			outcomes[method] = map[bool]int{}
		}
		_, refused := c.want.(*rpcstatus.Status)
		outcomes[method][refused]++
	}
	for _, service := range contract() {
		methods := service.Methods()
		for i := range methods.Len() {
			name := methods.Get(i).FullName()
			if n := outcomes[name]; n[true] == 0 || n[false] == 0 {
				t.Errorf("%s: %d successes and %d refusals in the table, want one of each at least", name, n[false], n[true])
			}
			if routes[name.Name()].path == "" {
				t.Errorf("%s has no route in the table", name)
			}
		}
	}
}

// scrub names what the service draws.
func scrub(m proto.Message) proto.Message {
	scrubCode(m)
	switch m := m.(type) {
	case *sessionv2.CreateSessionResponse:
		m.SessionId, m.SessionToken = drawn(m.GetSessionId()), drawn(m.GetSessionToken())
		scrubChallenges(m.GetChallenges())
	case *sessionv2.SetSessionResponse:
		m.SessionToken = drawn(m.GetSessionToken())
		scrubChallenges(m.GetChallenges())
	case *userv2.RegisterTOTPResponse:
		m.Uri, m.Secret = drawn(m.GetUri()), drawn(m.GetSecret())
	case *userv2.GenerateRecoveryCodesResponse:
		for i, code := range m.GetRecoveryCodes() {
			m.RecoveryCodes[i] = drawn(code)
		}
	case *userv2.StartIdentityProviderIntentResponse:
		m.NextStep = &userv2.StartIdentityProviderIntentResponse_AuthUrl{AuthUrl: drawn(m.GetAuthUrl())}
	case *userv2.RetrieveIdentityProviderIntentResponse:
		scrubIntent(m)
	case *userv2.CreatePasskeyRegistrationLinkResponse:
		m.Code = &userv2.PasskeyRegistrationCode{Id: drawn(m.GetCode().GetId()), Code: drawn(m.GetCode().GetCode())}
	case *userv2.RegisterPasskeyResponse:
		m.PasskeyId = drawn(m.GetPasskeyId())
		scrubOptions(m.GetPublicKeyCredentialCreationOptions())
	case *userv2.RegisterU2FResponse:
		m.U2FId = drawn(m.GetU2FId())
		scrubOptions(m.GetPublicKeyCredentialCreationOptions())
	}
	return m
}

func scrubChallenges(c *sessionv2.Challenges) {
	if c != nil && c.OtpSms != nil {
		*c.OtpSms = drawn(c.GetOtpSms())
	}
	if c != nil && c.OtpEmail != nil {
		*c.OtpEmail = drawn(c.GetOtpEmail())
	}
}

// scrubCode names the code of a response about an address.
func scrubCode(m proto.Message) {
	r := m.ProtoReflect()
	field := r.Descriptor().Fields().ByName("verification_code")
	if field != nil && r.Has(field) {
		r.Set(field, protoreflect.ValueOfString(drawn(r.Get(field).String())))
	}
}

// scrubOptions leaves the names of an object's members.
func scrubOptions(options *structpb.Struct) {
	for name := range options.GetFields() {
		options.Fields[name] = structpb.NewStringValue(placeholder)
	}
}

func drawn(s string) string {
	if s == "" {
		return ""
	}
	return placeholder
}

// fixture is a service with people and sessions in the states that calls need. The
// first wrong password locks, so that a lock costs one hash.
type fixture struct {
	*apptest.Service

	sessions map[string]session.Result // by the name of what was done with them
	people   map[string]enrolled
	// firstCode confirms tia's app.
	firstCode    string
	passkey, u2f begun    // of pia
	signedIn     signedIn // grace, who is nobody here
	// emailCode and phoneCode verify vera's addresses.
	emailCode, phoneCode string
}

// rpcs are the calls of all services, in their order.
func (f *fixture) rpcs() []rpc {
	all := append(sessionRPCs(f), stepRPCs(f)...)
	all = append(all, userRPCs()...)
	all = append(all, contactRPCs(f)...)
	all = append(all, idpRPCs(f)...)
	all = append(all, factorRPCs(f)...)
	return append(all, terminationRPCs()...)
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Providers: providers(stub), Env: map[string]string{
		"STEPUP_SMS_PRICES": "+41=0.07,*=0.25", "STEPUP_MAIL_PRICE": "0.002",
		"STEPUP_LOCKOUT_LIMIT": "1", "STEPUP_RELYING_PARTIES": "stepup.test;example.com=https://login.example.com",
	}})
	f := &fixture{Service: c.Service, sessions: map[string]session.Result{}, people: map[string]enrolled{}}
	for _, name := range []string{"ada", "ben", "cas", "dan", "eve", "fay", "gus", "pia"} {
		f.person(t, name, "")
	}
	for _, name := range []string{"otto", "mia"} {
		f.people[name] = enrol(t, f.Service, name)
	}
	f.firstCode = otp.Code(reachable(t, f.Service, "tia"), f.Clock.Now())
	f.passkey, f.u2f = begin(t, f.Service, "pia", passkey.Passkey), begin(t, f.Service, "pia", passkey.U2F)
	f.signedIn = signIn(t, f.Service, stub, "grace")
	vera := unproved(t, f.Service, "vera")
	f.emailCode, f.phoneCode = vera.Code(sending.Email), vera.Code(sending.SMS)
	f.person(t, "wrong", apptest.Password)
	f.person(t, "right", apptest.Password)
	f.person(t, "locked", apptest.Password)
	_, err := f.Sessions.Create(context.Background(), apptest.Admin(), login("locked", "not it"))
	if err == nil {
		t.Fatal("a wrong password was taken")
	}
	for _, name := range []string{"read", "set", "plain", "listed", "deleted", "dead"} {
		f.session(t, name, session.Create{})
	}
	f.session(t, "bound", login("ada", ""))
	_, err = f.Sessions.Delete(context.Background(), apptest.Admin(), f.sessions["dead"].SessionID, "")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// person creates a user whose id is the name; a password costs a hash.
func (f *fixture) person(t *testing.T, name, password string) {
	t.Helper()
	_, err := f.Users.Create(context.Background(), apptest.Admin(), user.Registration{
		ID: name, Username: name + "@stepup.test", Profile: user.Profile{GivenName: name, FamilyName: "Test"},
		Email: user.Contact{Address: name + "@stepup.test", Verified: true}, Password: user.NewPassword{Plain: password},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) session(t *testing.T, name string, c session.Create) {
	t.Helper()
	r, err := f.Sessions.Create(context.Background(), apptest.Admin(), c)
	if err != nil {
		t.Fatal(err)
	}
	f.sessions[name] = r
}

func login(userID, password string) session.Create {
	c := session.Create{}
	c.Checks.User = &session.CheckUser{ID: userID}
	if password != "" {
		c.Checks.Password = &session.CheckPassword{Plain: password}
	}
	return c
}

// The parts that outcomes are made of.

func epoch() *timestamppb.Timestamp { return timestamppb.New(apptest.Epoch()) }

func sessionDetails(sequence uint64) *objectv2.Details {
	return &objectv2.Details{Sequence: sequence, ChangeDate: epoch(), CreationDate: epoch(), ResourceOwner: "stepup"}
}

func userDetails(sequence uint64) *objectv2.Details {
	return &objectv2.Details{Sequence: sequence, ChangeDate: epoch(), CreationDate: epoch(), ResourceOwner: "default"}
}

func listDetails(total uint64) *objectv2.ListDetails {
	return &objectv2.ListDetails{TotalResult: total, Timestamp: epoch()}
}

// bare is a refusal without an id.
func bare(code codes.Code, text string) *rpcstatus.Status {
	return &rpcstatus.Status{Code: int32(code), Message: text}
}

// refusal is one with an id.
func refusal(code codes.Code, id, text string) *rpcstatus.Status {
	s := bare(code, fmt.Sprintf("%s (%s)", text, id))
	s.Details = []*anypb.Any{packed(&zitadelv1.ErrorDetail{Id: id, Message: text})}
	return s
}

// counted is one that tells how often a password was wrong, and how long to wait.
func counted(code codes.Code, id, text string, failures int32, wait time.Duration) *rpcstatus.Status {
	s := bare(code, fmt.Sprintf("%s (%s)", text, id))
	s.Details = []*anypb.Any{packed(&zitadelv1.CredentialsCheckError{Id: id, Message: text, FailedAttempts: failures})}
	if wait > 0 {
		s.Details = append(s.Details, packed(&rpcdetails.RetryInfo{RetryDelay: durationpb.New(wait)}))
	}
	return s
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err) // every message of these tests can be marshaled
	}
	return a
}

func checks(userID, password string) *sessionv2.Checks {
	c := &sessionv2.Checks{}
	if userID != "" {
		c.User = &sessionv2.CheckUser{Search: &sessionv2.CheckUser_UserId{UserId: userID}}
	}
	if password != "" {
		c.Password = &sessionv2.CheckPassword{Password: password}
	}
	return c
}

func human(name string) *userv2.User {
	loginName, display, gender := name+"@stepup.test", name+" Test", userv2.Gender_GENDER_UNSPECIFIED
	h := &userv2.HumanUser{
		UserId: name, State: userv2.UserState_USER_STATE_ACTIVE, Username: loginName,
		LoginNames: []string{loginName}, PreferredLoginName: loginName,
		Profile: &userv2.HumanProfile{GivenName: name, FamilyName: "Test", DisplayName: &display, Gender: &gender},
		Email:   &userv2.HumanEmail{Email: loginName, IsVerified: true},
		Phone:   &userv2.HumanPhone{},
	}
	return &userv2.User{
		UserId: name, Details: userDetails(1), State: h.GetState(), Username: loginName,
		LoginNames: h.GetLoginNames(), PreferredLoginName: loginName, Type: &userv2.User_Human{Human: h},
	}
}

const (
	tooShort = "value length must be between 1 and 200 runes, inclusive"
	unknown  = "unknown"
)

var overLong = strings.Repeat("x", 201)
