package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// atOnce runs f n times at once and returns the results and errors by number.
func atOnce(n int, f func(i int) (session.Result, error)) ([]session.Result, []error) {
	results, errs := make([]session.Result, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { results[i], errs[i] = f(i) })
	}
	wg.Wait()
	return results, errs
}

// successes counts the errors that are nil and fails the test for one that is neither
// that nor a lost race.
func successes(t *testing.T, errs []error) int {
	t.Helper()
	n := 0
	for i, err := range errs {
		switch {
		case err == nil:
			n++
		case !errors.Is(err, fault.Conflict):
			t.Errorf("call %d: %v", i, err)
		}
	}
	if n == 0 {
		t.Error("nobody succeeded")
	}
	return n
}

// TestS2_Issue12656_ParallelStepsAreInOneOrderAndOneTokenIsCurrent: a double submit may
// be told that it lost, but no success is overwritten.
func TestS2_Issue12656_ParallelStepsAreInOneOrderAndOneTokenIsCurrent(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		created := s.NewSession(t, session.Create{Step: apptest.Named(u.ID)})
		results, errs := atOnce(50, func(int) (session.Result, error) {
			return s.TrySet(created.SessionID, apptest.Guess(apptest.Password))
		})
		n := successes(t, errs)
		if got := s.View(t, created.SessionID).Sequence; got != uint64(1+n) {
			t.Errorf("sequence %d after %d successes", got, n)
		}
		sequences, current := make(map[uint64]bool), 0
		for i, r := range results {
			if errs[i] != nil {
				continue
			}
			sequences[r.Details.Sequence] = true
			if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), created.SessionID, r.Token); err == nil {
				current++
				if r.Details.Sequence != uint64(1+n) {
					t.Errorf("the current token is that of sequence %d of %d", r.Details.Sequence, 1+n)
				}
			}
		}
		if current != 1 || len(sequences) != n {
			t.Errorf("%d tokens are current; %d different sequences for %d successes", current, len(sequences), n)
		}
	})
}

func TestParallelMetadataMergesLoseNothing(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		id := s.NewSession(t, session.Create{}).SessionID
		key := func(i int) string { return fmt.Sprint("k", i) }
		_, errs := atOnce(40, func(i int) (session.Result, error) { return s.TrySet(id, metadata(key(i), "v")) })
		n := successes(t, errs)
		stored := s.View(t, id).Metadata
		for i, err := range errs {
			if _, present := stored[key(i)]; present != (err == nil) {
				t.Errorf("key %d: stored %t, answered %v", i, present, err)
			}
		}
		if len(stored) != n {
			t.Errorf("%d keys after %d successes", len(stored), n)
		}
	})
}

func TestParallelDeletesTerminateOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		r := s.NewSession(t, session.Create{})
		_, errs := atOnce(20, func(int) (session.Result, error) {
			d, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, r.Token)
			return session.Result{Details: d}, err
		})
		if n := successes(t, errs); n != len(errs) {
			t.Errorf("%d of %d deletes succeeded", n, len(errs))
		}
		_, err := s.TrySet(r.SessionID, session.Step{})
		apptest.WantFault(t, err, terminated)
	})
}

// TestS6_NothingIsAliveAfterALockAmongSteps locks a user while 50 sessions of theirs
// are created and stepped up.
func TestS6_NothingIsAliveAfterALockAmongSteps(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		old := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
		fresh := s.NewSession(t, session.Create{})
		results, _ := atOnce(50, func(i int) (session.Result, error) {
			switch {
			case i == 25:
				_, err := s.Users.Lock(t.Context(), apptest.Admin(), u.ID)
				if err != nil {
					t.Errorf("lock: %v", err)
				}
				return session.Result{}, err
			case i%3 == 0:
				return s.TrySet(old.SessionID, apptest.NamedGuess(u.ID, apptest.Password))
			case i%3 == 1:
				return s.TrySet(fresh.SessionID, apptest.Named(u.ID))
			default:
				return s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.Named(u.ID)})
			}
		})
		for _, r := range append(results, old) {
			if r.Token == "" {
				continue
			}
			if caller, err := s.Sessions.Authenticate(t.Context(), r.Token); err == nil {
				t.Errorf("a token makes its bearer %s", caller.UserID)
			}
			if v, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, ""); err == nil && v.Bound() {
				t.Errorf("session %s is alive at sequence %d", r.SessionID, v.Sequence)
			}
		}
		if l := list(t, s, apptest.Admin(), session.Search{Filters: []session.Filter{session.OfUserID(u.ID)}}); l.Total != 0 {
			t.Errorf("%d sessions of the user are listed", l.Total)
		}
	})
}
