package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// victim is a service with one user and a session that is bound to them.
type victim struct {
	*apptest.Service

	user, session string
}

func newVictim(t *testing.T, o apptest.Options) victim {
	t.Helper()
	s := apptest.New(t, o)
	u := s.NewUserCheap(t, "ada@example.com")
	return victim{s, u.ID, s.NewSession(t, session.Create{Step: apptest.Named(u.ID)}).SessionID}
}

// guess checks a password and returns the fault, nil for the right one.
func (v victim) guess(plain string) *fault.Fault {
	_, err := v.TrySet(v.session, apptest.Guess(plain))
	return fault.From(err)
}

// fail fails n times and waits out each lock.
func (v victim) fail(t *testing.T, n int) {
	t.Helper()
	for range n {
		if f := v.guess("no"); !errors.Is(f, wrong) {
			t.Fatalf("a wrong password was answered %v", f)
		}
		v.Clock.Advance(time.Hour)
	}
}

func (v victim) failures(t *testing.T) int {
	t.Helper()
	u, err := v.Users.Get(t.Context(), apptest.Admin(), v.user)
	if err != nil {
		t.Fatal(err)
	}
	return u.Guard.Attempts[user.AuthPassword].Failures
}

func TestL1_HundredFailuresDisableThePasswordUntilAnAdministratorHelps(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{})
	v.fail(t, 100)
	for range 3 {
		v.Clock.Advance(1000 * time.Hour)
		f := v.guess(apptest.Password)
		if !errors.Is(f, locked) || f.FailedAttempts != 100 || f.RetryAfter != 0 {
			t.Errorf("got %v after %d failures, to be tried again in %v", f, f.FailedAttempts, f.RetryAfter)
		}
	}
	if _, err := v.Users.Unlock(t.Context(), apptest.Admin(), v.user); err != nil {
		t.Fatal(err)
	}
	if f := v.guess(apptest.Password); f != nil {
		t.Errorf("after the unlock: %v", f)
	}
}

func TestL1_SuccessAfter99FailuresStartsAnew(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{})
	v.fail(t, 99)
	if f := v.guess(apptest.Password); f != nil {
		t.Fatal(f)
	}
	if n := v.failures(t); n != 0 {
		t.Errorf("%d failures are left", n)
	}
	if f := v.guess("no"); f.FailedAttempts != 1 {
		t.Errorf("the next failure is number %d", f.FailedAttempts)
	}
}

// TestL2_LockDoublesFromHalfAMinuteToAnHour waits out each lock to the last
// microsecond.
func TestL2_LockDoublesFromHalfAMinuteToAnHour(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{})
	for range 9 {
		if f := v.guess("no"); !errors.Is(f, wrong) || f.RetryAfter != 0 {
			t.Fatalf("got %v, to be tried again in %v", f, f.RetryAfter)
		}
	}
	for i, want := range []time.Duration{
		30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour, time.Hour,
	} {
		if f := v.guess("no"); !errors.Is(f, wrong) || f.FailedAttempts != 10+i {
			t.Fatalf("failure %d got %v with %d", 10+i, f, f.FailedAttempts)
		}
		f := v.guess(apptest.Password)
		if !errors.Is(f, locked) || f.RetryAfter != want || f.FailedAttempts != 10+i {
			t.Errorf("failure %d: got %v, to be tried again in %v, want %v", 10+i, f, f.RetryAfter, want)
		}
		v.Clock.Advance(want - time.Microsecond)
		if f := v.guess("no"); !errors.Is(f, locked) || f.RetryAfter != time.Microsecond {
			t.Errorf("failure %d: got %v at the end of the lock", 10+i, f)
		}
		v.Clock.Advance(time.Microsecond)
	}
	if f := v.guess(apptest.Password); f != nil {
		t.Errorf("after the lock: %v", f)
	}
}

// outcomes are the answers of many guesses at once, by fault id; "" is success.
func (v victim) outcomes(guesses []string) map[string]int {
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		got = make(map[string]int)
	)
	for _, plain := range guesses {
		wg.Go(func() {
			id := ""
			if f := v.guess(plain); f != nil {
				id = f.ID
			}
			mu.Lock()
			defer mu.Unlock()
			got[id]++
		})
	}
	wg.Wait()
	return got
}

// TestL3_CVE_2023_47111_ParallelGuessesRevealNoMoreThanTheLimit sends 200 wrong
// passwords at once: ten are told so, the others learn of the lock.
func TestL3_CVE_2023_47111_ParallelGuessesRevealNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		v := newVictim(t, apptest.Options{Table: tb})
		guesses := make([]string, 200)
		for i := range guesses {
			guesses[i] = "no"
		}
		got := v.outcomes(guesses)
		if got[wrong.ID] != 10 || got[locked.ID] != 190 {
			t.Errorf("answers %v, want 10 of %s and 190 of %s", got, wrong.ID, locked.ID)
		}
		if n := v.failures(t); n != 10 {
			t.Errorf("%d failures are counted", n)
		}
		if f := v.guess(apptest.Password); !errors.Is(f, locked) {
			t.Errorf("the right password while locked: %v", f)
		}
		v.Clock.Advance(30 * time.Second)
		if f := v.guess(apptest.Password); f != nil {
			t.Errorf("the right password after the lock: %v", f)
		}
	})
}

// late runs a function once, when somebody has read a user and not yet decided.
type late struct {
	table.Table

	once sync.Once
	run  func()
}

func (l *late) Query(ctx context.Context, q table.Query) (table.Page, error) {
	page, err := l.Table.Query(ctx, q)
	l.once.Do(l.run)
	return page, err
}

// TestL3_RightPasswordIsNotToldOnStaleData has the lock fall between the load and the
// answer. Without it the answers would tell that the password was right, also where
// the step as a whole is refused.
func TestL3_RightPasswordIsNotToldOnStaleData(t *testing.T) {
	t.Parallel()
	overfull := apptest.Guess(apptest.Password)
	overfull.Metadata = metadata("one more", "v").Metadata
	for name, c := range map[string]struct {
		step    session.Step
		unraced string
	}{
		"step that succeeds":  {apptest.Guess(apptest.Password), ""},
		"step that is denied": {overfull, "STEPUP-metadata-count"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				gap := &late{Table: tb, run: func() {}}
				env := map[string]string{"STEPUP_LOCKOUT_LIMIT": "1"}
				s := apptest.New(t, apptest.Options{Table: gap, Env: env})
				u := s.NewUser(t, "ada@example.com") // whose hash a success does not replace
				bound := apptest.Named(u.ID)
				bound.Metadata = fullest()
				v := victim{s, u.ID, s.NewSession(t, session.Create{Step: bound}).SessionID}
				attacker := victim{apptest.New(t, apptest.Options{Table: tb, Env: env}), v.user, v.session}
				gap.once = sync.Once{}
				gap.run = func() {
					if f := attacker.guess("no"); !errors.Is(f, wrong) {
						t.Errorf("the attacker was told %v, want that the password is wrong", f)
					}
				}
				_, err := v.TrySet(v.session, c.step)
				apptest.WantFault(t, err, locked)
				v.Clock.Advance(time.Minute)
				_, err = v.TrySet(v.session, c.step)
				if id := idOf(err); id != c.unraced {
					t.Errorf("without a race: %v", err)
				}
			})
		})
	}
}

func idOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ID
}

// TestL4_FailuresCountForThePasswordAlone shows what there is of row L4 while the
// password is the only authenticator: the lock is not the user's, who stays active.
func TestL4_FailuresCountForThePasswordAlone(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{})
	v.fail(t, 100)
	u, err := v.Users.Get(t.Context(), apptest.Admin(), v.user)
	if err != nil {
		t.Fatal(err)
	}
	if u.Guard.State != user.StateActive || len(u.Guard.Attempts) != 1 || u.Guard.Attempts[user.AuthPassword].Failures != 100 {
		t.Errorf("state %v, attempts %v", u.Guard.State, u.Guard.Attempts)
	}
	if _, err := v.TrySet(v.session, apptest.Named(v.user)); err != nil {
		t.Errorf("the user cannot be named: %v", err)
	}
}

// TestPolicyMayLockTheUserForGoodAsTheOriginalDoes pins the original's integration
// test: with limit 2 the first two attempts are wrong, the third meets the lock.
func TestPolicyMayLockTheUserForGoodAsTheOriginalDoes(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{Env: map[string]string{"STEPUP_LOCKOUT_USER_AT": "2"}})
	other := v.NewSession(t, session.Create{Step: apptest.Named(v.user)})
	for n := 1; n <= 2; n++ {
		if f := v.guess("no"); !errors.Is(f, wrong) || f.FailedAttempts != n {
			t.Errorf("attempt %d: %v with %d", n, f, f.FailedAttempts)
		}
	}
	v.Clock.Advance(1000 * time.Hour)
	if f := v.guess(apptest.Password); !errors.Is(f, locked) || f.FailedAttempts != 2 || f.RetryAfter != 0 {
		t.Errorf("attempt 3: %v with %d, again in %v", f, f.FailedAttempts, f.RetryAfter)
	}
	_, err := v.TrySet(v.session, apptest.Named(v.user))
	apptest.WantFault(t, err, notActive)
	for _, id := range []string{v.session, other.SessionID} {
		_, err = v.TrySet(id, lifetime(time.Hour))
		apptest.WantFault(t, err, terminated)
	}
	if _, err := v.Users.Unlock(t.Context(), apptest.Admin(), v.user); err != nil {
		t.Fatal(err)
	}
	if n := v.failures(t); n != 0 {
		t.Errorf("%d failures are left after the unlock", n)
	}
	_, err = v.TrySet(v.session, apptest.Guess(apptest.Password))
	apptest.WantFault(t, err, terminated)
	if _, err := v.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.NamedGuess(v.user, apptest.Password)}); err != nil {
		t.Errorf("a new session after the unlock: %v", err)
	}
}

func TestDeletedSessionOfALockedUserIsTerminatedForAPasswordToo(t *testing.T) {
	t.Parallel()
	v := newVictim(t, apptest.Options{})
	if _, err := v.Sessions.Delete(t.Context(), apptest.Admin(), v.session, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Users.Lock(t.Context(), apptest.Admin(), v.user); err != nil {
		t.Fatal(err)
	}
	_, err := v.TrySet(v.session, apptest.Guess(apptest.Password))
	apptest.WantFault(t, err, terminated)
}
