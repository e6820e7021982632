package session_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// TestAnOldPasswordDoesNotOutliveItsChangeByASkewedClock changes the password in a
// process whose clock is behind that of the one that verified it.
func TestAnOldPasswordDoesNotOutliveItsChangeByASkewedClock(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	u := s.NewUser(t, "ada@example.com")
	r := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
	s.Clock.Advance(-time.Minute)
	_, err := s.Users.SetPassword(t.Context(), apptest.Admin(), u.ID,
		user.PasswordChange{New: user.NewPassword{Plain: "another password"}})
	check(t, err)
	s.Clock.Advance(time.Minute)
	if f := s.View(t, r.SessionID).Factors; !f.Password.IsZero() {
		t.Errorf("the old password still counts: verified %v", f.Password)
	}
}

// TestADeliveredMessageKeepsItsCooldownWhenAnotherOfItsStepIsRefused asks for both
// kinds of code at once, and has the mail refused.
func TestADeliveredMessageKeepsItsCooldownWhenAnotherOfItsStepIsRefused(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	both := session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}, Email: &session.RequestCode{}}}
	e.Inbox.FailNext(nil) // the SMS: taken, though not shown
	e.Inbox.FailNext(notify.ErrEmailUnavailable)
	_, err := e.set(both)
	refused(t, err, notify.ErrEmailUnavailable.ID)
	_, err = e.set(both)
	refused(t, err, sending.ErrCooldown.ID)
	_, err = e.set(session.Step{Challenges: asking(sending.Email, session.RequestCode{})})
	check(t, err) // the mail did not leave, and may
}

func TestO9_ARefusedMessageGivesTheBudgetBack(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_SMS_BUDGET": "1"}})
	u, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Phone: user.Contact{Address: phone, Verified: true},
	})
	check(t, err)
	_, err = s.Users.AddSMSCodes(t.Context(), apptest.Admin(), u.ID)
	check(t, err)
	r := s.NewSession(t, session.Create{Step: apptest.Named(u.ID)})
	step := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
	for range 3 {
		s.Inbox.FailNext(notify.ErrSMSUnavailable)
		_, err = s.TrySet(r.SessionID, step)
		refused(t, err, notify.ErrSMSUnavailable.ID)
	}
	_, err = s.TrySet(r.SessionID, step)
	check(t, err)
	s.Clock.Advance(time.Minute)
	_, err = s.TrySet(r.SessionID, step)
	if f := refused(t, err, sending.ErrBudget.ID); f.RetryAfter != 12*time.Hour-time.Minute {
		t.Errorf("retry after %v, want midnight", f.RetryAfter)
	}
}

// TestAUserNamedLikeAnAPIKeyIsNotItsSessionsCreator has a user whose id is that of the
// key which created somebody else's session.
func TestAUserNamedLikeAnAPIKeyIsNotItsSessionsCreator(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	r := s.NewSession(t, session.Create{}) // by the caller "admin"
	impostor := access.Caller{ID: apptest.Admin().ID, UserID: apptest.Admin().ID}
	_, err := s.Sessions.Get(t.Context(), impostor, r.SessionID, "")
	refused(t, err, "AUTH-AWfge")
	_, err = s.Sessions.Delete(t.Context(), impostor, r.SessionID, "")
	refused(t, err, "AUTH-AWfge")
	for _, filters := range [][]session.Filter{nil, {session.IDs{r.SessionID}}, {session.OfCreatorID(impostor.ID)}} {
		found, err := s.Sessions.List(t.Context(), impostor, session.Search{Filters: filters})
		check(t, err)
		if found.Total != 0 {
			t.Errorf("filters %v list %d sessions", filters, found.Total)
		}
	}
}

// What a search costs is bounded before anything is read, also for somebody who may read
// nothing but their own sessions: each filter is held against every session in question.
func TestASearchThatAsksForTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ids := make(session.IDs, session.MaxPage+1)
	for i := range ids {
		ids[i] = string(rune('a'+i%26)) + time.Duration(i).String()
	}
	filters := make([]session.Filter, 51)
	for i := range filters {
		filters[i] = session.OfUserID("ada")
	}
	for name, c := range map[string]struct {
		filters []session.Filter
		id      string
	}{
		"ids":                    {[]session.Filter{ids}, "QUERY-4M0fs"},
		"ids in several filters": {[]session.Filter{ids[:600], ids[600:]}, "QUERY-4M0fs"},
		"filters":                {filters, "STEPUP-list-queries"},
	} {
		for _, caller := range []access.Caller{apptest.Admin(), {ID: "ada", UserID: "ada"}} {
			_, err := s.Sessions.List(t.Context(), caller, session.Search{Filters: c.filters})
			if err == nil {
				t.Errorf("%s: taken from %q", name, caller.UserID)
			}
			refused(t, err, c.id)
		}
	}
	for name, most := range map[string][]session.Filter{"ids": {ids[:600], ids[600:session.MaxPage]}, "filters": filters[:50]} {
		_, err := s.Sessions.List(t.Context(), apptest.Admin(), session.Search{Filters: most})
		if err != nil {
			t.Errorf("as many %s as there may be: %v", name, err)
		}
	}
}
