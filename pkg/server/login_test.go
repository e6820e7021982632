package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	zitadelv1 "github.com/stepup-auth/stepup/pkg/gen/zitadel"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2/userv2connect"
)

// loginUI makes the calls of a hosted login, in its habits: every session and every
// step has a lifetime, and what a call returned is read back at once with the new
// token.
type loginUI struct {
	t        *testing.T
	sessions sessionv2connect.SessionServiceClient
	users    userv2connect.UserServiceClient
}

// entry is what the login's cookie holds for one account.
type entry struct{ id, token, loginName string }

// How long the login lets sessions live.
const (
	beforeProof   = 24 * time.Hour
	afterPassword = 240 * time.Hour
)

func newLoginUI(t *testing.T, s *apptest.Service) loginUI {
	t.Helper()
	client, url := bearing(t, http1(), s.NewKey(t, access.IAMLoginClient, "")), s.Serve(t)
	return loginUI{
		t,
		sessionv2connect.NewSessionServiceClient(client, url, connect.WithProtoJSON()),
		userv2connect.NewUserServiceClient(client, url, connect.WithProtoJSON()),
	}
}

func (ui loginUI) must(err error) {
	ui.t.Helper()
	if err != nil {
		ui.t.Fatal(err)
	}
}

// start creates a session for the user, with the password unless it is empty, and
// returns the new entry of the cookie.
func (ui loginUI) start(userID, password string) (entry, error) {
	ui.t.Helper()
	fingerprint := "browser"
	created, err := ui.sessions.CreateSession(ui.t.Context(), &sessionv2.CreateSessionRequest{
		Checks: checks(userID, password), Lifetime: durationpb.New(beforeProof),
		UserAgent: &sessionv2.UserAgent{FingerprintId: &fingerprint},
	})
	if err != nil {
		return entry{}, err
	}
	return ui.read(created.GetSessionId(), created.GetSessionToken()), nil
}

// prove steps the session up with the password. The old token and empty fields are
// sent along, as the login does.
func (ui loginUI) prove(e entry, password string) (entry, error) {
	ui.t.Helper()
	set, err := ui.sessions.SetSession(ui.t.Context(), &sessionv2.SetSessionRequest{
		SessionId: e.id, SessionToken: e.token, Checks: checks("", password), //nolint:staticcheck // the login still sends it
		Metadata: map[string][]byte{}, Lifetime: durationpb.New(afterPassword),
	})
	if err != nil {
		return entry{}, err
	}
	return ui.read(e.id, set.GetSessionToken()), nil
}

func (ui loginUI) read(id, token string) entry {
	ui.t.Helper()
	got, err := ui.sessions.GetSession(ui.t.Context(), &sessionv2.GetSessionRequest{SessionId: id, SessionToken: &token})
	ui.must(err)
	e := entry{id, token, got.GetSession().GetFactors().GetUser().GetLoginName()}
	if e.loginName == "" {
		ui.t.Fatalf("session %s has no login name", id)
	}
	return e
}

// valid lists the entries and returns the login names of those that are signed in.
func (ui loginUI) valid(now time.Time, entries ...entry) []string {
	ui.t.Helper()
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.id
	}
	list, err := ui.sessions.ListSessions(ui.t.Context(), &sessionv2.ListSessionsRequest{
		Query: &objectv2.ListQuery{Asc: true}, Queries: []*sessionv2.SearchQuery{byIDs(ids...)},
	})
	ui.must(err)
	var names []string
	for _, s := range list.GetSessions() {
		if s.GetFactors().GetPassword() != nil && s.GetExpirationDate().AsTime().After(now) {
			names = append(names, s.GetFactors().GetUser().GetLoginName())
		}
	}
	return names
}

// find looks the user up whom somebody names at the login.
func (ui loginUI) find(loginName string) *userv2.User {
	ui.t.Helper()
	list, err := ui.users.ListUsers(ui.t.Context(), &userv2.ListUsersRequest{Queries: []*userv2.SearchQuery{{
		Query: &userv2.SearchQuery_LoginNameQuery{LoginNameQuery: &userv2.LoginNameQuery{
			LoginName: loginName, Method: objectv2.TextQueryMethod_TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE,
		}},
	}}})
	ui.must(err)
	if len(list.GetResult()) != 1 {
		ui.t.Fatalf("%q names %d users", loginName, len(list.GetResult()))
	}
	return list.GetResult()[0]
}

// register adds a human and signs them in at once.
func (ui loginUI) register(address string) entry {
	ui.t.Helper()
	added, err := ui.users.AddHumanUser(ui.t.Context(), &userv2.AddHumanUserRequest{
		Profile:      &userv2.SetHumanProfile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:        &userv2.SetHumanEmail{Email: address, Verification: &userv2.SetHumanEmail_IsVerified{IsVerified: true}},
		PasswordType: &userv2.AddHumanUserRequest_Password{Password: &userv2.Password{Password: apptest.Password}},
	})
	ui.must(err)
	e, err := ui.start(added.GetUserId(), apptest.Password)
	ui.must(err)
	return e
}

func (ui loginUI) logout(e entry) error {
	_, err := ui.sessions.DeleteSession(ui.t.Context(), &sessionv2.DeleteSessionRequest{SessionId: e.id, SessionToken: &e.token})
	return err
}

// failedAttempts reads what the login shows as "x of y attempts".
func failedAttempts(err error) int32 {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return 0
	}
	for _, d := range refused.Details() {
		if m, err := d.Value(); err == nil {
			if counted, ok := m.(*zitadelv1.CredentialsCheckError); ok {
				return counted.GetFailedAttempts()
			}
		}
	}
	return 0
}

func TestAHostedLoginCarriesPeopleFromRegistrationToLogout(t *testing.T) {
	t.Parallel()
	s := newREST(t, apptest.Options{}).Service
	ui := newLoginUI(t, s)

	// Registration signs in.
	ada := ui.register("ada@stepup.test")
	if diff := cmp.Diff([]string{"ada@stepup.test"}, ui.valid(s.Clock.Now(), ada)); diff != "" {
		t.Fatalf("signed in after registration (-want +got):\n%s", diff)
	}

	// Entry, user name and password, on another day.
	s.Clock.Advance(beforeProof + time.Second)
	if names := ui.valid(s.Clock.Now(), ada); names != nil {
		t.Fatalf("an expired session is valid: %v", names)
	}
	found := ui.find("ADA@stepup.test")
	named, err := ui.start(found.GetUserId(), "")
	ui.must(err)
	methods, err := ui.users.ListAuthenticationMethodTypes(t.Context(), &userv2.ListAuthenticationMethodTypesRequest{UserId: found.GetUserId()})
	ui.must(err)
	wantMethods := []userv2.AuthenticationMethodType{userv2.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD}
	if diff := cmp.Diff(wantMethods, methods.GetAuthMethodTypes()); diff != "" {
		t.Errorf("methods (-want +got):\n%s", diff)
	}

	// A wrong password is tried on the session and then, by habit, on a new one.
	_, wrong := ui.prove(named, "not it")
	_, again := ui.start(found.GetUserId(), "not it")
	if first, second := failedAttempts(wrong), failedAttempts(again); first != 1 || second != 2 {
		t.Errorf("failed attempts: got %d and %d from %v and %v", first, second, wrong, again)
	}
	ui.read(named.id, named.token) // still good

	// The right one replaces the token and extends the lifetime.
	proven, err := ui.prove(named, apptest.Password)
	ui.must(err)
	if proven.token == named.token {
		t.Error("the token stayed the same")
	}
	s.Clock.Advance(beforeProof + time.Second)
	if diff := cmp.Diff([]string{"ada@stepup.test"}, ui.valid(s.Clock.Now(), ada, proven)); diff != "" {
		t.Errorf("signed in the next day (-want +got):\n%s", diff)
	}

	// The account switcher shows both people, and leaves out what is unknown.
	bob := ui.register("bob@stepup.test")
	both := ui.valid(s.Clock.Now(), proven, bob, entry{id: "unknown"})
	if diff := cmp.Diff([]string{"ada@stepup.test", "bob@stepup.test"}, both); diff != "" {
		t.Errorf("account switcher (-want +got):\n%s", diff)
	}

	// Logout of one needs the token of now, not an old one; twice is not an error.
	if err := ui.logout(named); connect.CodeOf(err) != connect.CodePermissionDenied {
		t.Errorf("logout with an old token: %v", err)
	}
	ui.must(ui.logout(proven))
	ui.must(ui.logout(proven))
	if diff := cmp.Diff([]string{"bob@stepup.test"}, ui.valid(s.Clock.Now(), proven, bob)); diff != "" {
		t.Errorf("signed in after the logout of one (-want +got):\n%s", diff)
	}
}

func TestAHostedLoginLearnsThatAUserIsNotActive(t *testing.T) {
	t.Parallel()
	s := newREST(t, apptest.Options{}).Service
	ui := newLoginUI(t, s)
	ada := ui.register("ada@stepup.test")
	found := ui.find(ada.loginName)
	_, err := ui.users.DeactivateUser(t.Context(), &userv2.DeactivateUserRequest{UserId: found.GetUserId()})
	ui.must(err)
	_, err = ui.start(found.GetUserId(), "")
	if connect.CodeOf(err) != connect.CodeFailedPrecondition || !strings.Contains(err.Error(), "Errors.User.NotActive") {
		t.Errorf("got %v", err)
	}
	if names := ui.valid(s.Clock.Now(), ada); names != nil {
		t.Errorf("still signed in: %v", names)
	}
}

// A session that is stale changes no factor, and so it does not delete all of them with
// the user.
func TestS9_UsersDeleteThemselvesOnlyAfterARecentCheck(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	u := c.NewUser(t, "ada@example.com")
	path := "/v2/users/" + u.ID
	remove := func(token string) string {
		return send(c.Handler, request("DELETE", path, "", "Authorization", "Bearer "+token)).outcome(t)
	}
	old := c.create(t, login(u.ID, apptest.Password)).Token
	c.Clock.Advance(15*time.Minute + time.Second)
	if o := remove(old); o != "403 STEPUP-reauthenticate" {
		t.Errorf("after an old check: %s", o)
	}
	if o := c.do("GET", path, "").outcome(t); o != "ok" {
		t.Errorf("after the refusal: %s", o)
	}
	if o := remove(c.create(t, login(u.ID, apptest.Password)).Token); o != "ok" {
		t.Errorf("after a recent check: %s", o)
	}
	if o := c.do("GET", path, "").outcome(t); o != "404 QUERY-Dfbg2" {
		t.Errorf("after the deletion: %s", o)
	}
}
