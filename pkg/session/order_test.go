package session_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// rename gives a user another login name and display name.
func rename(t *testing.T, s *apptest.Service, id, loginName, displayName string) {
	t.Helper()
	_, err := s.Users.Update(t.Context(), apptest.Admin(), id, user.Update{
		Username: &loginName,
		Profile:  &user.ProfileChange{GivenName: "Ada", FamilyName: "Lovelace", DisplayName: &displayName},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// world is a service with one of everything that a step can meet.
type world struct {
	*apptest.Service

	ada, bob, locked, inactive, passwordless string // users
	free, adas, over, gone, deleted          string // sessions
}

func newWorld(t *testing.T) world {
	t.Helper()
	s := newService(t)
	w := world{Service: s}
	for id, name := range map[*string]string{
		&w.ada: "ada", &w.bob: "bob", &w.locked: "locked", &w.inactive: "inactive",
	} {
		*id = s.NewUserCheap(t, name+"@example.com").ID
	}
	passwordless, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: "passwordless", Profile: user.Profile{GivenName: "No", FamilyName: "Password"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.passwordless = passwordless.ID
	if _, err := s.Users.Lock(t.Context(), apptest.Admin(), w.locked); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Users.Deactivate(t.Context(), apptest.Admin(), w.inactive); err != nil {
		t.Fatal(err)
	}
	shortLived := apptest.Named(w.ada)
	shortLived.Lifetime = lifetime(time.Second).Lifetime
	w.free = s.NewSession(t, session.Create{}).SessionID
	w.adas = s.NewSession(t, session.Create{Step: apptest.Named(w.ada)}).SessionID
	w.over = s.NewSession(t, session.Create{Step: shortLived}).SessionID
	w.deleted = s.NewSession(t, session.Create{Step: shortLived}).SessionID
	w.gone = "00000000000000000000000000"
	if _, err := s.Sessions.Delete(t.Context(), apptest.Admin(), w.deleted, ""); err != nil {
		t.Fatal(err)
	}
	s.Clock.Advance(time.Minute)
	return w
}

// attempts returns how many failures of ada's password are counted.
func (w world) attempts(t *testing.T) int {
	t.Helper()
	u, err := w.Users.Get(t.Context(), apptest.Admin(), w.ada)
	if err != nil {
		t.Fatal(err)
	}
	return u.Guard.Attempts[user.AuthPassword].Failures
}

// TestEachRefusalHasItsIDAndTheFirstReasonWins has a row for each fault that a user
// check, a password check or a lifetime can give, and for each pair whose order the
// wire contract fixes. No row may count as a failed password.
func TestEachRefusalHasItsIDAndTheFirstReasonWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var (
		change    = wire(fault.InvalidArgument, "", "user change not possible")
		noUser    = wire(fault.FailedPrecondition, "COMMAND-Sfw3f", "User ID missing")
		notSet    = wire(fault.FailedPrecondition, "COMMAND-3nJ4t", "User has not set a password")
		tooShort  = wire(fault.InvalidArgument, "COMMAND-asEG4", "Session lifetime must not be less than 0")
		byName    = session.Step{Checks: session.Checks{User: &session.CheckUser{LoginName: "nobody"}}}
		zero      = time.Duration(0)
		badStep   = session.Step{Checks: apptest.Named("nobody").Checks, Lifetime: &zero}
		viewer    = access.Caller{ID: "v", Role: access.IAMOwnerViewer}
		allowed   = apptest.Admin()
		loginUser = access.Caller{ID: w.ada, UserID: w.ada, SessionID: w.adas, Organization: "default"}
	)
	for name, c := range map[string]struct {
		caller  access.Caller
		session string
		step    session.Step
		want    *fault.Fault
	}{
		"unknown user by id":                   {allowed, w.free, apptest.Named("nobody"), unknownUser},
		"unknown user by login name":           {allowed, w.free, byName, unknownUser},
		"unknown user with password":           {allowed, w.free, apptest.NamedGuess("nobody", "no"), unknownUser},
		"locked user":                          {allowed, w.free, apptest.Named(w.locked), notActive},
		"inactive user":                        {allowed, w.free, apptest.Named(w.inactive), notActive},
		"another user":                         {allowed, w.adas, apptest.Named(w.bob), change},
		"password without user":                {allowed, w.free, apptest.Guess("no"), noUser},
		"no password set":                      {allowed, w.free, apptest.NamedGuess(w.passwordless, "no"), notSet},
		"unknown session":                      {allowed, w.gone, apptest.Guess("no"), notFound},
		"terminated":                           {allowed, w.deleted, session.Step{}, terminated},
		"expired":                              {allowed, w.over, session.Step{}, expired},
		"lifetime of zero":                     {allowed, w.free, session.Step{Lifetime: &zero}, tooShort},
		"no permission":                        {viewer, w.free, lifetime(1), forbidden},
		"no permission, own session":           {loginUser, w.adas, lifetime(1), forbidden},
		"permission before lifetime":           {viewer, w.free, badStep, forbidden},
		"permission before unknown session":    {viewer, w.gone, lifetime(1), forbidden},
		"permission before unknown user":       {viewer, w.free, apptest.Named("nobody"), forbidden},
		"lifetime before unknown user":         {allowed, w.free, badStep, tooShort},
		"unknown user before unknown session":  {allowed, w.gone, apptest.Named("nobody"), unknownUser},
		"unknown user before terminated":       {allowed, w.deleted, apptest.Named("nobody"), unknownUser},
		"unknown user before expired":          {allowed, w.over, apptest.Named("nobody"), unknownUser},
		"inactive user before unknown session": {allowed, w.gone, apptest.Named(w.inactive), notActive},
		"inactive user before terminated":      {allowed, w.deleted, apptest.Named(w.inactive), notActive},
		"terminated before expired":            {allowed, w.deleted, lifetime(time.Hour), terminated},
		"terminated before a wrong password":   {allowed, w.deleted, apptest.Guess("no"), terminated},
		"expired before a wrong password":      {allowed, w.over, apptest.Guess("no"), expired},
		"expired before another user":          {allowed, w.over, apptest.Named(w.bob), expired},
		"another user before a wrong password": {allowed, w.adas, apptest.NamedGuess(w.bob, "no"), change},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Sessions.Set(t.Context(), c.caller, session.Set{SessionID: c.session, Step: c.step})
			apptest.WantFault(t, err, c.want)
			if n := w.attempts(t); n != 0 {
				t.Errorf("%d failures were counted", n)
			}
		})
	}
}

func TestCreateRefusesAsSetDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	zero := time.Duration(0)
	for name, c := range map[string]struct {
		step session.Step
		want *fault.Fault
	}{
		"unknown user":          {apptest.Named("nobody"), unknownUser},
		"locked user":           {apptest.Named(w.locked), notActive},
		"password without user": {apptest.Guess("no"), wire(fault.FailedPrecondition, "COMMAND-Sfw3f", "User ID missing")},
		"wrong password":        {apptest.NamedGuess(w.ada, "no"), wrong},
		"lifetime":              {session.Step{Lifetime: &zero}, wire(fault.InvalidArgument, "COMMAND-asEG4", "Session lifetime must not be less than 0")},
	} {
		_, err := w.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: c.step})
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
		apptest.WantFault(t, err, c.want)
	}
}

func TestWrongPasswordIsToldBeforeTheMetadataLimitAndCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	step := apptest.Guess("no")
	step.Metadata = fullest()
	w.Set(t, w.adas, metadata("one", "more"))
	_, err := w.TrySet(w.adas, step)
	apptest.WantFault(t, err, wrong)
	if n := w.attempts(t); n != 1 {
		t.Errorf("%d failures were counted", n)
	}
}
