package session_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// wire is a fault as the wire contract's section 4.4 writes it, so that the tests do
// not compare the faults with themselves.
func wire(kind fault.Kind, id, text string) *fault.Fault { return fault.New(kind, id, text) }

var (
	notFound    = wire(fault.NotFound, "QUERY-SFeaa", "Session does not exist")
	terminated  = wire(fault.FailedPrecondition, "COMMAND-Hewfq", "Session already terminated")
	expired     = wire(fault.FailedPrecondition, "COMMAND-Hkl3d", "Session has expired")
	readToken   = wire(fault.PermissionDenied, "QUERY-dsfr3", "Permission denied")
	deleteToken = wire(fault.PermissionDenied, "COMMAND-sGr42", "Session Token is invalid")
	wrong       = wire(fault.InvalidArgument, "COMMAND-3M0fs", "Password is invalid")
	locked      = wire(fault.FailedPrecondition, "COMMAND-JLK35", "User is locked")
	notActive   = wire(fault.FailedPrecondition, "SESSION-Gj4ko", "Errors.User.NotActive")
	unknownUser = wire(fault.NotFound, "QUERY-Dfbg2", "User could not be found")
	badToken    = wire(fault.Unauthenticated, "AUTH-7fs1e", "Errors.Token.Invalid")
	forbidden   = wire(fault.PermissionDenied, "AUTH-AWfge", "No matching permissions found")
)

// newService returns a service on a store of its own.
func newService(t *testing.T) *apptest.Service { return apptest.New(t, apptest.Options{}) }

func lifetime(d time.Duration) session.Step { return session.Step{Lifetime: &d} }

func metadata(pairs ...string) session.Step {
	m := make(map[string][]byte)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = []byte(pairs[i+1])
	}
	return session.Step{Metadata: m}
}

// equal compares sessions but for the token, which is random.
func equal(t *testing.T, got session.View, want session.View) {
	t.Helper()
	diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(session.Session{}, "TokenID"))
	if diff != "" {
		t.Errorf("session (-want +got):\n%s", diff)
	}
}

func TestEmptyCreateMakesASessionWithoutUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.NewSession(t, session.Create{})
	now := apptest.Epoch()
	if diff := cmp.Diff(session.Details{Sequence: 1, Created: now, Changed: now}, r.Details); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	if r.Token == "" || len(r.Token) > 200 || strings.ContainsAny(r.Token, "+/= ") {
		t.Errorf("token %q is not URL-safe text of at most 200 characters", r.Token)
	}
	equal(t, s.View(t, r.SessionID), session.View{Session: &session.Session{
		ID: r.SessionID, Creator: apptest.Admin().ID, Created: now, Changed: now, Sequence: 1, Revision: 1,
	}})
}

func TestCreateStoresAllThatItWasGiven(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		agent := session.UserAgent{
			Fingerprint: "device-1", IP: netip.MustParseAddr("2001:db8::1"), Description: "Firefox",
			Header: map[string][]string{"accept": {"text/html", ""}, "dnt": {}},
		}
		step := apptest.NamedGuess(u.ID, apptest.Password)
		step.Metadata = map[string][]byte{"a": {0, 255}, "empty": nil}
		hour := time.Hour
		step.Lifetime = &hour
		r := s.NewSession(t, session.Create{Step: step, Agent: agent})
		now := apptest.Epoch()
		equal(t, s.View(t, r.SessionID), session.View{
			Session: &session.Session{
				ID: r.SessionID, Creator: apptest.Admin().ID, Created: now, Changed: now, Sequence: 1, Revision: 1,
				ExpiresAt: now.Add(hour), Metadata: map[string][]byte{"a": {0, 255}}, Agent: agent,
				Factors: session.Factors{
					User:        session.UserFactor{ID: u.ID, Organization: "default", VerifiedAt: now, Epoch: u.Guard.Epoch},
					PasswordSet: now, Password: now,
				},
			},
			LoginName: "ada@example.com", DisplayName: "Ada Lovelace",
			Assurance: assurance.Assurance{AAL: 1, ACR: "aal1", AMR: []string{"pwd"}, AuthTime: now},
		})
	})
}

func TestUserMayBeNamedByLoginNameInAnyCase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUser(t, "Ada@Example.com")
	r := s.NewSession(t, session.Create{Step: session.Step{Checks: session.Checks{
		User:     &session.CheckUser{LoginName: "aDA@example.COM"},
		Password: &session.CheckPassword{Plain: apptest.Password},
	}}})
	if v := s.View(t, r.SessionID); v.Factors.User.ID != u.ID || v.LoginName != "Ada@Example.com" {
		t.Errorf("bound to %q with login name %q", v.Factors.User.ID, v.LoginName)
	}
}

// TestS2_EveryChangeMakesANewTokenAndTheOldOneIsDeadAtOnce walks a session up and
// presents each earlier token wherever a token counts.
func TestS2_EveryChangeMakesANewTokenAndTheOldOneIsDeadAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		last := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
		id := last.SessionID
		for i, step := range []session.Step{
			apptest.Named(u.ID), apptest.Guess(apptest.Password), metadata("k", "v"), lifetime(time.Hour),
		} {
			s.Clock.Advance(time.Second)
			next := s.Set(t, id, step)
			if next.Details.Sequence != uint64(i+2) || !next.Details.Changed.Equal(s.Clock.Now()) {
				t.Errorf("step %d: details %+v", i, next.Details)
			}
			if next.Token == "" || next.Token == last.Token {
				t.Errorf("step %d kept the token", i)
			}
			_, err := s.Sessions.Get(t.Context(), apptest.Admin(), id, last.Token)
			apptest.WantFault(t, err, readToken)
			_, err = s.Sessions.Delete(t.Context(), apptest.Admin(), id, last.Token)
			apptest.WantFault(t, err, deleteToken)
			_, err = s.Sessions.Authenticate(t.Context(), last.Token)
			apptest.WantFault(t, err, badToken)
			if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), id, next.Token); err != nil {
				t.Errorf("step %d: the new token is refused: %v", i, err)
			}
			if _, err := s.Sessions.Authenticate(t.Context(), next.Token); err != nil {
				t.Errorf("step %d: the new token is refused as bearer: %v", i, err)
			}
			last = next
		}
	})
}

func TestSetWithNothingToChangeAnswersWithoutTokenAndKeepsTheOld(t *testing.T) {
	t.Parallel()
	s := newService(t)
	created := s.NewSession(t, session.Create{Step: metadata("k", "v")})
	for name, step := range map[string]session.Step{
		"empty":                     {},
		"same metadata":             metadata("k", "v"),
		"delete of an absent key":   metadata("other", ""),
		"both":                      metadata("k", "v", "other", ""),
		"metadata without any pair": {Metadata: map[string][]byte{}},
	} {
		s.Clock.Advance(time.Second)
		r := s.Set(t, created.SessionID, step)
		if diff := cmp.Diff(session.Result{SessionID: created.SessionID, Details: created.Details}, r); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), created.SessionID, created.Token); err != nil {
		t.Errorf("the token is dead: %v", err)
	}
}

func TestRepeatedCheckRefreshesItsFactor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUser(t, "ada@example.com")
	r := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
	s.Clock.Advance(time.Minute)
	s.Set(t, r.SessionID, apptest.NamedGuess(u.ID, apptest.Password))
	f := s.View(t, r.SessionID).Factors
	if now := s.Clock.Now(); !f.Password.Equal(now) || !f.User.VerifiedAt.Equal(now) {
		t.Errorf("factors %+v, want both at %v", f, now)
	}
}

func TestFailedCheckLeavesTheSessionAsItWasAndCounts(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	r := s.NewSession(t, session.Create{Step: metadata("k", "v")})
	before := s.View(t, r.SessionID)
	step := apptest.NamedGuess(u.ID, "not the password")
	step.Metadata, step.Lifetime = metadata("k", "w").Metadata, lifetime(time.Hour).Lifetime
	_, err := s.TrySet(r.SessionID, step)
	apptest.WantFault(t, err, wrong.WithFailedAttempts(1))
	if f := fault.From(err); !f.Counted || f.FailedAttempts != 1 {
		t.Errorf("failed attempts: %d (counted %t)", f.FailedAttempts, f.Counted)
	}
	equal(t, s.View(t, r.SessionID), before)
	if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, r.Token); err != nil {
		t.Errorf("the token is dead: %v", err)
	}
	_, err = s.TrySet(r.SessionID, step)
	if got := fault.From(err).FailedAttempts; got != 2 {
		t.Errorf("second failure reports %d", got)
	}
}

func TestFailedCheckOnCreateLeavesNoSessionAndCounts(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	for n := 1; n <= 2; n++ {
		_, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.NamedGuess(u.ID, "no")})
		apptest.WantFault(t, err, wrong)
		if got := fault.From(err).FailedAttempts; got != n {
			t.Errorf("failure %d reports %d", n, got)
		}
	}
	if l := list(t, s, apptest.Admin(), session.Search{}); l.Total != 0 {
		t.Errorf("%d sessions came to be", l.Total)
	}
}

func TestDeletedSessionLeavesATombstone(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	u := s.NewUser(t, "ada@example.com")
	step := apptest.Named(u.ID)
	step.Metadata = metadata("k", "v").Metadata
	r := s.NewSession(t, session.Create{Step: step, Agent: session.UserAgent{Description: "Firefox"}})
	s.Clock.Advance(time.Minute)
	d, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, "")
	want := session.Details{Sequence: 2, Created: apptest.Epoch(), Changed: s.Clock.Now()}
	if diff := cmp.Diff(want, d); err != nil || diff != "" {
		t.Errorf("%v, details (-want +got):\n%s", err, diff)
	}
	_, err = s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, "")
	apptest.WantFault(t, err, notFound)
	_, err = s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, r.Token)
	apptest.WantFault(t, err, notFound)
	_, err = s.TrySet(r.SessionID, lifetime(time.Hour))
	apptest.WantFault(t, err, terminated)
	_, err = s.Sessions.Authenticate(t.Context(), r.Token)
	apptest.WantFault(t, err, badToken)
	if l := list(t, s, apptest.Admin(), session.Search{Filters: []session.Filter{session.IDs{r.SessionID}}}); l.Total != 0 {
		t.Errorf("the tombstone is listed")
	}
	for key, item := range apptest.Dump(t, tb) {
		if key.PK == "SES#"+r.SessionID && (item["md"] != nil || item["ua"] != nil) {
			t.Errorf("what described the person stays: %v", item)
		}
	}
}

func TestDeleteIsIdempotent(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.NewSession(t, session.Create{})
	other := s.NewSession(t, session.Create{})
	first, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, r.Token)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", r.Token} {
		s.Clock.Advance(time.Minute)
		again, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, token)
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("token %q: %v, details (-first +again):\n%s", token, err, diff)
		}
	}
	_, err = s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, other.Token)
	apptest.WantFault(t, err, deleteToken)
}

func TestUnknownSessionIsNotFoundAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	r := s.NewSession(t, session.Create{})
	before := apptest.Dump(t, tb)
	for _, id := range []string{"", "unknown", strings.Repeat("0", 26)} {
		_, err := s.TrySet(id, lifetime(time.Hour))
		apptest.WantFault(t, err, notFound)
		_, err = s.Sessions.Get(t.Context(), apptest.Admin(), id, "")
		apptest.WantFault(t, err, notFound)
		d, err := s.Sessions.Delete(t.Context(), apptest.Admin(), id, "")
		if d != (session.Details{}) || err != nil {
			t.Errorf("delete of %q: %+v, %v", id, d, err)
		}
		_, err = s.Sessions.Delete(t.Context(), apptest.Admin(), id, r.Token)
		apptest.WantFault(t, err, deleteToken)
	}
	if diff := cmp.Diff(before, apptest.Dump(t, tb)); diff != "" {
		t.Errorf("written (-before +after):\n%s", diff)
	}
}

func TestNamesInAViewAreThoseOfNow(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUser(t, "ada@example.com")
	r := s.NewSession(t, session.Create{Step: apptest.Named(u.ID)})
	rename(t, s, u.ID, "countess@example.com", "The Countess")
	if v := s.View(t, r.SessionID); v.LoginName != "countess@example.com" || v.DisplayName != "The Countess" {
		t.Errorf("got %q, %q", v.LoginName, v.DisplayName)
	}
}
