package user_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

func TestLockoutPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		policy user.Lockout
		ok     bool
	}{
		"defaults":             {user.Lockout{}, true},
		"everything set":       {user.Lockout{Limit: 3, FirstDelay: time.Second, MaxDelay: time.Second, DisableAt: 3, LockUserAt: 1}, true},
		"negative limit":       {user.Lockout{Limit: -1}, false},
		"limit over the stop":  {user.Lockout{Limit: 101}, false},
		"stop below the limit": {user.Lockout{Limit: 10, DisableAt: 9}, false},
		"L1 stop over 100":     {user.Lockout{DisableAt: 101}, false},
		"delay below a second": {user.Lockout{FirstDelay: time.Millisecond}, false},
		"shrinking delay":      {user.Lockout{FirstDelay: time.Minute, MaxDelay: time.Second}, false},
		"negative user lock":   {user.Lockout{LockUserAt: -1}, false},
	} {
		if err := c.policy.Validate(); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLockoutFollowsItsPolicy(t *testing.T) {
	t.Parallel()
	policy := user.Lockout{Limit: 2, FirstDelay: 3 * time.Second, MaxDelay: 10 * time.Second, DisableAt: 6, LockUserAt: 5}
	u := &user.User{Guard: user.Guard{State: user.StateActive, Epoch: 7}}
	now := apptest.Epoch()
	type step struct {
		Wait  time.Duration
		State user.State
	}
	var got []step
	for range 6 {
		u.Fail(user.AuthPassword, policy, now)
		s := step{State: u.Guard.State}
		if lock := u.Locked(user.AuthPassword, policy, now); lock != nil {
			s.Wait = lock.Wait
		}
		got = append(got, s)
	}
	want := []step{
		{0, user.StateActive}, {3 * time.Second, user.StateActive}, {6 * time.Second, user.StateActive},
		{10 * time.Second, user.StateActive}, {0, user.StateLocked}, {0, user.StateLocked},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("locks (-want +got):\n%s", diff)
	}
	if u.Guard.Version != 6 || u.Guard.Epoch == 7 {
		t.Errorf("version %d, epoch %d", u.Guard.Version, u.Guard.Epoch)
	}
}

// TestL4_KindsOfAuthenticatorAreCountedApart uses a kind of its own, because the
// counters are open to any.
// The longest delay that a variable can set must still be a lock.
func TestDelaysOfCenturiesLockToo(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	policy := user.Lockout{Limit: 1, FirstDelay: 100 * year, MaxDelay: 290 * year}
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	u := &user.User{Guard: user.Guard{State: user.StateActive}}
	for n, want := range []time.Duration{100 * year, 200 * year, policy.MaxDelay, policy.MaxDelay} {
		u.Fail(user.AuthPassword, policy, apptest.Epoch())
		if lock := u.Locked(user.AuthPassword, policy, apptest.Epoch()); lock == nil || lock.Wait != want {
			t.Errorf("after %d failures: %+v, want a wait of %v", n+1, lock, want)
		}
	}
}

func TestL4_KindsOfAuthenticatorAreCountedApart(t *testing.T) {
	t.Parallel()
	const other user.Authenticator = "other"
	var policy user.Lockout
	u := &user.User{Guard: user.Guard{State: user.StateActive}}
	now := apptest.Epoch()
	for range 100 {
		u.Fail(user.AuthPassword, policy, now)
	}
	if u.Locked(user.AuthPassword, policy, now) == nil || u.Locked(other, policy, now) != nil {
		t.Errorf("attempts %v", u.Guard.Attempts)
	}
	u.Fail(other, policy, now)
	if !u.Succeed(other, now) || u.Guard.Attempts[user.AuthPassword].Failures != 100 {
		t.Errorf("attempts %v", u.Guard.Attempts)
	}
	if version := u.Guard.Version; u.Succeed(other, now) || u.Guard.Version != version {
		t.Error("a success without failures before it is a change")
	}
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

// TestL3_ChangeOfPasswordDoesNotTellOnStaleData: each of the updates is refused after
// the current password was found right, or would be if it were not refused before.
func TestL3_ChangeOfPasswordDoesNotTellOnStaleData(t *testing.T) {
	t.Parallel()
	change := func(plain string) user.Update {
		return user.Update{Password: &user.PasswordChange{New: user.NewPassword{Plain: plain}, Current: apptest.Password}}
	}
	badPhone := change("another good password")
	badPhone.Phone = &user.Contact{Address: "1"}
	badName := change("another good password")
	badName.Username = new(" ")
	badProfile := change("another good password")
	badProfile.Profile = &user.ProfileChange{}
	for name, c := range map[string]struct {
		update user.Update
		want   string // whether the password is right or not
	}{
		"a good one":   {change("another good password"), "COMMAND-JLK35"},
		"the same":     {change(apptest.Password), "COMMAND-JLK35"},
		"a short one":  {change("short"), "DOMAIN-HuJf6"},
		"bad phone":    {badPhone, "STEPUP-phone"},
		"bad username": {badName, "STEPUP-username"},
		"bad profile":  {badProfile, "USER-UCej2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := apptest.Bolt(t)
			gap := &late{Table: tb, run: func() {}}
			env := map[string]string{"STEPUP_LOCKOUT_LIMIT": "1"}
			s := apptest.New(t, apptest.Options{Table: gap, Env: env})
			attacker := apptest.New(t, apptest.Options{Table: tb, Env: env})
			u := s.NewUser(t, "ada@example.com") // whose hash a success does not replace
			caller := access.Caller{ID: "app", Role: access.IAMOwner}
			gap.once = sync.Once{}
			gap.run = func() { _ = signIn(t, attacker, u.ID, "no") }
			_, err := s.Users.Update(t.Context(), caller, u.ID, c.update)
			if f := fault.From(err); f == nil || f.ID != c.want {
				t.Errorf("with the right password: %v, want %s", err, c.want)
			}
			if c.want == "COMMAND-JLK35" {
				return
			}
			before := get(t, attacker, u.ID).Guard
			c.update.Password.Current = "no"
			_, err = s.Users.Update(t.Context(), caller, u.ID, c.update)
			if f := fault.From(err); f == nil || f.ID != c.want {
				t.Errorf("with a wrong password: %v, want %s", err, c.want)
			}
			if diff := cmp.Diff(before, get(t, attacker, u.ID).Guard); diff != "" {
				t.Errorf("the refused update counted (-before +after):\n%s", diff)
			}
		})
	}
}

func TestL3_ParallelGuessesByChangeOfPasswordRevealNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUserCheap(t, "ada@example.com")
		var (
			mu  sync.Mutex
			wg  sync.WaitGroup
			got = make(map[string]int)
		)
		for range 60 {
			wg.Go(func() {
				_, err := s.Users.SetPassword(t.Context(), self(u.ID), u.ID, user.PasswordChange{
					New: user.NewPassword{Plain: "another good password"}, Current: "no",
				})
				mu.Lock()
				defer mu.Unlock()
				got[fault.From(err).ID]++
			})
		}
		wg.Wait()
		if got["COMMAND-3M0fs"] != 10 || got["COMMAND-JLK35"] != 50 {
			t.Errorf("answers %v, want 10 and 50", got)
		}
	})
}

func TestP6_UnknownUserCostsAHash(t *testing.T) {
	t.Parallel()
	hasher := &countingHasher{}
	proof := user.NewProof(hasher, nil, "guess")
	if err := proof.Stall(t.Context()); err != nil || hasher.dummies != 1 {
		t.Errorf("%d dummy verifications, %v", hasher.dummies, err)
	}
	u := &user.User{Guard: user.Guard{State: user.StateActive}}
	denied, err := u.CheckPassword(t.Context(), proof, user.Lockout{}, apptest.Epoch())
	if err != nil || !errors.Is(denied, user.ErrPasswordNotSet) || hasher.dummies != 2 {
		t.Errorf("%v, %v, %d dummy verifications", denied, err, hasher.dummies)
	}
}
