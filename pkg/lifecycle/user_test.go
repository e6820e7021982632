package lifecycle_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/user"
)

func ada(edit ...func(*user.User)) *user.User {
	u := &user.User{ID: "ada", Organization: "acme", Username: "ada", Created: at(0), Password: user.Password{Hash: "x"}}
	for _, e := range edit {
		e(u)
	}
	return u
}

func TestUserEvents(t *testing.T) {
	t.Parallel()
	every := func(u *user.User) {
		u.TOTP, u.SMSCodes, u.EmailCodes = user.TOTP{Sealed: []byte("s"), Confirmed: true}, true, true
		u.Phone.Verified, u.Email.Verified = true, true // codes need a verified address
	}
	factor := func(name lifecycle.Name, kind user.Authenticator) lifecycle.Event {
		return lifecycle.Event{ID: "r." + string(name) + "." + string(kind), Name: name, Time: at(9), UserID: "ada", Factor: kind}
	}
	created := lifecycle.Event{ID: "r.user.created", Name: lifecycle.UserCreated, Time: at(0), UserID: "ada", Organization: "acme"}
	deleted := lifecycle.Event{ID: "r.user.deleted", Name: lifecycle.UserDeleted, Time: at(9), UserID: "ada", Organization: "acme"}
	for name, tc := range map[string]struct {
		before, after *user.User
		want          []lifecycle.Event
	}{
		"created":               {nil, ada(), []lifecycle.Event{created, factor(lifecycle.FactorAdded, user.AuthPassword)}},
		"created bare":          {nil, ada(func(u *user.User) { u.Password.Hash = "" }), []lifecycle.Event{created}},
		"deleted":               {ada(), nil, []lifecycle.Event{factor(lifecycle.FactorRemoved, user.AuthPassword), deleted}},
		"profile":               {ada(), ada(func(u *user.User) { u.Profile.NickName = "A" }), nil},
		"hash upgraded":         {ada(), ada(func(u *user.User) { u.Password.Hash = "y" }), nil},
		"seed not confirmed":    {ada(), ada(func(u *user.User) { u.TOTP.Sealed = []byte("s") }), nil},
		"nothing before, after": {nil, nil, nil},
		"factors added": {ada(), ada(every), []lifecycle.Event{
			factor(lifecycle.FactorAdded, user.AuthTOTP), factor(lifecycle.FactorAdded, user.AuthSMS), factor(lifecycle.FactorAdded, user.AuthEmail),
		}},
		"factors removed": {ada(every), ada(), []lifecycle.Event{
			factor(lifecycle.FactorRemoved, user.AuthTOTP), factor(lifecycle.FactorRemoved, user.AuthSMS), factor(lifecycle.FactorRemoved, user.AuthEmail),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lifecycle.UserChange{Old: tc.before, New: tc.after}.Events(record())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSecurityKeyEvents(t *testing.T) {
	t.Parallel()
	pending := &user.SecurityKey{ID: "k", Kind: passkey.Passkey}
	ready := func(kind passkey.Kind, count uint32) *user.SecurityKey {
		return &user.SecurityKey{ID: "k", Kind: kind, Credential: passkey.Credential{ID: []byte("c"), SignCount: count}}
	}
	event := func(name lifecycle.Name, kind user.Authenticator) []lifecycle.Event {
		return []lifecycle.Event{{ID: "r." + string(name) + "." + string(kind), Name: name, Time: at(9), UserID: "ada", Factor: kind, KeyID: "k"}}
	}
	for name, tc := range map[string]struct {
		before, after *user.SecurityKey
		want          []lifecycle.Event
	}{
		"begun":      {nil, pending, nil},
		"given up":   {pending, nil, nil},
		"verified":   {pending, ready(passkey.Passkey, 0), event(lifecycle.FactorAdded, user.AuthPasskey)},
		"used":       {ready(passkey.Passkey, 1), ready(passkey.Passkey, 2), nil},
		"removed":    {ready(passkey.U2F, 1), nil, event(lifecycle.FactorRemoved, user.AuthU2F)},
		"never, not": {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lifecycle.KeyChange{UserID: "ada", Old: tc.before, New: tc.after}.Events(record())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// guard is one in its first version, and after an edit in the second.
func guard(edit ...func(*user.Guard)) *user.Guard {
	g := &user.Guard{UserID: "ada", Version: 1, Changed: at(1), State: user.StateActive, Epoch: 1, PasswordChanged: at(0)}
	for _, e := range edit {
		g.Version, g.Changed = 2, at(2)
		e(g)
	}
	return g
}

func state(s user.State) func(*user.Guard) { return func(g *user.Guard) { g.State = s } }

func epoch(g *user.Guard) { g.Epoch++ }

func failed(kind user.Authenticator, failures int, until time.Time) func(*user.Guard) {
	return func(g *user.Guard) {
		g.Attempts = map[user.Authenticator]user.Attempts{kind: {Failures: failures, LockedUntil: until}}
	}
}

func codes(n int) func(*user.Guard) {
	return func(g *user.Guard) { g.RecoveryCodes = make([]otp.RecoveryMAC, n) }
}

func sessions(ids ...string) func(*user.Guard) { return func(g *user.Guard) { g.Sessions = ids } }

func TestL7_GuardEvents(t *testing.T) {
	t.Parallel()
	event := func(name lifecycle.Name, edit ...func(*lifecycle.Event)) lifecycle.Event {
		e := lifecycle.Event{Name: name, Time: at(2), UserID: "ada", Revision: 2}
		for _, change := range edit {
			change(&e)
		}
		e.ID = "r." + string(name)
		if e.Factor != "" {
			e.ID += "." + string(e.Factor)
		}
		if e.SessionID != "" {
			e.ID += "." + e.SessionID
		}
		return e
	}
	of := func(kind user.Authenticator, failures int) func(*lifecycle.Event) {
		return func(e *lifecycle.Event) { e.Factor, e.Failures = kind, failures }
	}
	session := func(id string) func(*lifecycle.Event) { return func(e *lifecycle.Event) { e.SessionID = id } }
	for name, tc := range map[string]struct {
		before, after *user.Guard
		want          []lifecycle.Event
	}{
		"new user":          {nil, guard(), nil},
		"nothing of note":   {guard(), guard(func(g *user.Guard) { g.TOTPStep = 7 }), nil},
		"locked":            {guard(), guard(state(user.StateLocked), epoch), []lifecycle.Event{event(lifecycle.UserLocked), event(lifecycle.SessionsEnded)}},
		"unlocked":          {guard(state(user.StateLocked)), guard(state(user.StateActive)), []lifecycle.Event{event(lifecycle.UserUnlocked)}},
		"deactivated":       {guard(), guard(state(user.StateInactive), epoch), []lifecycle.Event{event(lifecycle.UserDeactivated), event(lifecycle.SessionsEnded)}},
		"lock deactivated":  {guard(state(user.StateLocked)), guard(state(user.StateInactive), epoch), []lifecycle.Event{event(lifecycle.UserDeactivated), event(lifecycle.SessionsEnded)}},
		"reactivated":       {guard(state(user.StateInactive)), guard(state(user.StateActive)), []lifecycle.Event{event(lifecycle.UserReactivated)}},
		"set up":            {guard(state(user.StateInitial)), guard(state(user.StateActive)), nil},
		"device signed out": {guard(), guard(func(g *user.Guard) { g.Agents = map[string]int64{"k": 2} }), []lifecycle.Event{event(lifecycle.AgentSessionsEnded)}},
		"and all after it": {
			guard(func(g *user.Guard) { g.Agents = map[string]int64{"k": 2} }), guard(epoch), []lifecycle.Event{event(lifecycle.SessionsEnded)},
		},
		"one session more": {guard(sessions("a")), guard(sessions("a", "b")), nil},
		"one too many":     {guard(sessions("a", "b")), guard(sessions("b", "c")), []lifecycle.Event{event(lifecycle.SessionDisplaced, session("a"))}},
		"a lower limit": {guard(sessions("a", "b", "c")), guard(sessions("d")), []lifecycle.Event{
			event(lifecycle.SessionDisplaced, session("a")), event(lifecycle.SessionDisplaced, session("b")), event(lifecycle.SessionDisplaced, session("c")),
		}},
		"all of many":      {guard(sessions("a", "b")), guard(epoch), []lifecycle.Event{event(lifecycle.SessionsEnded)}},
		"password changed": {guard(), guard(func(g *user.Guard) { g.PasswordChanged = at(2) }), []lifecycle.Event{event(lifecycle.PasswordChanged)}},
		"first password":   {guard(func(g *user.Guard) { g.PasswordChanged = time.Time{} }), guard(func(g *user.Guard) { g.PasswordChanged = at(2) }), nil},
		"first codes":      {guard(), guard(codes(3)), []lifecycle.Event{event(lifecycle.FactorAdded, of(user.AuthRecovery, 0))}},
		"a code used":      {guard(codes(3)), guard(codes(2)), nil},
		"last code used":   {guard(codes(1)), guard(codes(0)), []lifecycle.Event{event(lifecycle.FactorRemoved, of(user.AuthRecovery, 0))}},
		"L7 a failure":     {guard(), guard(failed(user.AuthTOTP, 1, time.Time{})), []lifecycle.Event{event(lifecycle.CheckFailed, of(user.AuthTOTP, 1))}},
		"a success":        {guard(failed(user.AuthTOTP, 3, time.Time{})), guard(), nil},
		"L7 too many failures": {
			guard(failed(user.AuthPassword, 9, time.Time{})), guard(failed(user.AuthPassword, 10, at(3))), []lifecycle.Event{
				event(lifecycle.CheckFailed, of(user.AuthPassword, 10)),
				event(lifecycle.AuthenticatorLocked, of(user.AuthPassword, 10), func(e *lifecycle.Event) { e.LockedUntil = at(3) }),
			},
		},
		"L7 disabled": {
			guard(failed(user.AuthSMS, 99, at(0))), guard(failed(user.AuthSMS, 100, at(50))), []lifecycle.Event{
				event(lifecycle.CheckFailed, of(user.AuthSMS, 100)),
				event(lifecycle.AuthenticatorLocked, of(user.AuthSMS, 100), func(e *lifecycle.Event) { e.Disabled = true }),
			},
		},
		"the last straw": {
			guard(), guard(failed(user.AuthPassword, 1, time.Time{}), state(user.StateLocked), epoch), []lifecycle.Event{
				event(lifecycle.CheckFailed, of(user.AuthPassword, 1)), event(lifecycle.UserLocked), event(lifecycle.SessionsEnded),
			},
		},
		"deleted": {
			guard(codes(1)), guard(state(user.StateDeleted), codes(0), epoch), []lifecycle.Event{
				event(lifecycle.SessionsEnded), event(lifecycle.FactorRemoved, of(user.AuthRecovery, 0)),
			},
		},
		"swept after deletion": {guard(state(user.StateDeleted)), nil, nil},
		"created again":        {guard(state(user.StateDeleted)), guard(epoch), nil},
		"removed by hand": {guard(), nil, []lifecycle.Event{
			event(lifecycle.SessionsEnded, func(e *lifecycle.Event) { e.Time, e.Revision = at(9), 0 }),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lifecycle.GuardChange{Old: tc.before, New: tc.after}.Events(record())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestEventsOfOneRecordHaveIDsOfTheirOwn has two factors fail and everything else
// change at once.
func TestEventsOfOneRecordHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	after := guard(state(user.StateLocked), epoch, codes(1), func(g *user.Guard) {
		g.PasswordChanged = at(2)
		g.Attempts = map[user.Authenticator]user.Attempts{user.AuthTOTP: {Failures: 10, LockedUntil: at(3)}, user.AuthSMS: {Failures: 10, LockedUntil: at(3)}}
	})
	change := lifecycle.GuardChange{Old: guard(), New: after}
	first, again := change.Events(record()), change.Events(record())
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the second delivery differs:\n%s", diff)
	}
	var ids []string
	for _, e := range first {
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	if len(ids) != 8 || len(slices.Compact(ids)) != 8 {
		t.Errorf("ids = %v", ids)
	}
}
