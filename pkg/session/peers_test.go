package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// newFew is a service in which a user has at most three sessions.
func newFew(t *testing.T, tb table.Table) *apptest.Service {
	t.Helper()
	return apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_SESSIONS_PER_USER": "3"}})
}

func TestTheOldestSessionEndsWhenThereIsOneTooMany(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := newFew(t, tb)
		ada, ben := s.NewUserCheap(t, "ada"), s.NewUserCheap(t, "ben")
		other := on(t, s, ben.ID, "")
		var all []session.Result
		for range 3 {
			all = append(all, on(t, s, ada.ID, ""))
		}
		all[0] = s.Set(t, all[0].SessionID, apptest.NamedGuess(ada.ID, apptest.Password)) // names the user once more
		for _, r := range all {
			wantAlive(t, s, r)
		}
		late := s.NewSession(t, session.Create{}) // is nobody's yet
		wantAlive(t, s, all[0])
		late = s.Set(t, late.SessionID, apptest.NamedGuess(ada.ID, apptest.Password))
		wantOver(t, s, all[0])
		for _, r := range []session.Result{all[1], all[2], late, other} {
			wantAlive(t, s, r)
		}
	})
}

// TestSessionsThatAreOverMakeRoom has one deleted, one expired and one of a device that
// was signed out: nobody has to go for the next ones.
func TestSessionsThatAreOverMakeRoom(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := newFew(t, tb)
		ada := s.NewUserCheap(t, "ada")
		oldest := on(t, s, ada.ID, "")
		for name, end := range map[string]func(session.Result) error{
			"deleted": func(r session.Result) error {
				_, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, "")
				return err
			},
			"expired": func(r session.Result) error {
				s.Set(t, r.SessionID, lifetime(time.Minute))
				s.Clock.Advance(time.Hour)
				return nil
			},
			"signed out": func(session.Result) error {
				_, err := s.Sessions.Terminate(t.Context(), apptest.Admin(), session.Terminate{UserID: ada.ID, Fingerprint: "phone"})
				return err
			},
		} {
			middle, gone := on(t, s, ada.ID, ""), on(t, s, ada.ID, "phone")
			check(t, end(gone))
			next := on(t, s, ada.ID, "")
			wantAlive(t, s, oldest)
			wantAlive(t, s, middle)
			wantAlive(t, s, next)
			if t.Failed() {
				t.Fatal(name)
			}
			for _, r := range []session.Result{middle, next} {
				_, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, "")
				check(t, err)
			}
		}
	})
}

func TestAFailedSignInEndsNobodysSession(t *testing.T) {
	t.Parallel()
	s := newFew(t, apptest.Bolt(t))
	ada := s.NewUserCheap(t, "ada")
	var all []session.Result
	for range 3 {
		all = append(all, on(t, s, ada.ID, ""))
	}
	for range 3 {
		_, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.NamedGuess(ada.ID, "no")})
		refused(t, err, "COMMAND-3M0fs")
	}
	for _, r := range all {
		wantAlive(t, s, r)
	}
}

// TestAKeptSessionCountsOn: what is kept of a user's sessions is the first of those that
// follow.
func TestAKeptSessionCountsOn(t *testing.T) {
	t.Parallel()
	s := newFew(t, apptest.Bolt(t))
	ada := s.NewUserCheap(t, "ada")
	kept, other := on(t, s, ada.ID, "phone"), on(t, s, ada.ID, "")
	terminate(t, s, session.Terminate{UserID: ada.ID, KeepID: kept.SessionID})
	wantAlive(t, s, kept)
	wantOver(t, s, other)
	on(t, s, ada.ID, "")
	on(t, s, ada.ID, "")
	wantAlive(t, s, kept)
	on(t, s, ada.ID, "")
	wantOver(t, s, kept)
}

// TestTheLimitPerUserComesAndGoes: sessions from before it do not count, and those from
// after it need no place.
func TestTheLimitPerUserComesAndGoes(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	free := apptest.New(t, apptest.Options{Table: tb})
	few := apptest.New(t, apptest.Options{Table: tb, Ring: free.Ring, Env: map[string]string{"STEPUP_SESSIONS_PER_USER": "1"}})
	ada := free.NewUserCheap(t, "ada")
	before := on(t, free, ada.ID, "")
	counted := on(t, few, ada.ID, "")
	wantAlive(t, few, before)
	wantAlive(t, few, counted)
	after := on(t, free, ada.ID, "")
	wantAlive(t, free, after)
	wantAlive(t, free, counted)
	on(t, few, ada.ID, "")
	wantOver(t, few, counted)
	wantAlive(t, few, before)
	wantAlive(t, few, after)
}

// TestTheLimitPerUserIsExactUnder200ParallelSignIns creates sessions, and binds some that
// are there already.
func TestTheLimitPerUserIsExactUnder200ParallelSignIns(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := newFew(t, tb)
		ada := s.NewUserCheap(t, "ada")
		var open []string
		for range 50 {
			open = append(open, s.NewSession(t, session.Create{}).SessionID)
		}
		results, errs := atOnce(200, func(i int) (session.Result, error) {
			if i < len(open) {
				return s.TrySet(open[i], apptest.Named(ada.ID))
			}
			return s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.Named(ada.ID)})
		})
		succeeded, alive := 0, 0
		for i, err := range errs {
			if err != nil {
				if !errors.Is(err, fault.Conflict) {
					t.Errorf("sign-in %d: %v", i, err)
				}
				continue
			}
			succeeded++
			if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), results[i].SessionID, ""); err == nil {
				alive++
			}
		}
		if want := min(3, succeeded); alive != want || succeeded == 0 {
			t.Errorf("%d sessions are alive of %d that began, want %d", alive, succeeded, want)
		}
		if l := list(t, s, apptest.Admin(), session.Search{Filters: []session.Filter{session.OfUserID(ada.ID)}}); l.Total != alive {
			t.Errorf("%d are listed", l.Total)
		}
	})
}
