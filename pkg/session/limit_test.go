package session_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

const day = 24 * time.Hour

// limited is a service with limits, and a user with a password and an app.
type limited struct {
	*apptest.Service

	t    *testing.T
	user *user.User
	seed []byte
}

func newLimited(t *testing.T, tb table.Table, limits string) limited {
	t.Helper()
	s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_SESSION_LIMITS": limits}})
	l := limited{Service: s, t: t, user: s.NewUserCheap(t, "ada")}
	_, app, err := s.Users.RegisterTOTP(t.Context(), apptest.Admin(), l.user.ID)
	check(t, err)
	l.seed, err = otp.ParseSecret(app.Secret)
	check(t, err)
	_, err = s.Users.VerifyTOTP(t.Context(), apptest.Admin(), l.user.ID, otp.Code(l.seed, s.Clock.Now()))
	check(t, err)
	s.Clock.Advance(time.Minute) // past the step that confirmed the app
	return l
}

func (l limited) password() session.Step { return apptest.Guess(apptest.Password) }

func (l limited) app() session.Step {
	return session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: otp.Code(l.seed, l.Clock.Now())}}}
}

func (l limited) use(id string) { l.Set(l.t, id, metadata("at", l.Clock.Now().String())) }

// wantEnd compares the end that a reader is told with one that is so long from now; 0 is
// none.
func (l limited) wantEnd(id string, in time.Duration) {
	l.t.Helper()
	var want time.Time
	if in > 0 {
		want = l.Clock.Now().Add(in)
	}
	if got := l.View(l.t, id).ExpiresAt; !got.Equal(want) {
		l.t.Errorf("it ends at %v, want %v, in %v", got, want, in)
	}
}

func TestS3_ASessionEndsByTheLimitOfItsLevel(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		l := newLimited(t, tb, "nist")
		id := l.NewSession(t, session.Create{}).SessionID
		l.wantEnd(id, 30*day)
		l.Clock.Advance(day)
		l.use(id)
		l.wantEnd(id, 29*day) // use renews nothing where there is no idle limit
		l.Set(t, id, apptest.Named(l.user.ID))
		l.wantEnd(id, 29*day) // a name proves nothing
		l.Set(t, id, l.password())
		l.wantEnd(id, 30*day)
		l.Set(t, id, l.app())
		l.wantEnd(id, time.Hour)
	})
}

func TestS3_ALongerLifetimeIsCappedAndTold(t *testing.T) {
	t.Parallel()
	l := newLimited(t, apptest.Bolt(t), "2h,1h,1h")
	id := l.NewSession(t, session.Create{Step: lifetime(10 * time.Hour)}).SessionID
	l.wantEnd(id, 2*time.Hour)
	l.Set(t, id, lifetime(time.Hour))
	l.wantEnd(id, time.Hour) // a shorter one counts
	l.Set(t, id, lifetime(10*time.Hour))
	l.wantEnd(id, 2*time.Hour)
	l.Clock.Advance(2*time.Hour + time.Microsecond)
	_, err := l.TrySet(id, lifetime(time.Hour))
	apptest.WantFault(t, err, session.ErrExpired)
}

// TestS4_UseResetsTheIdleTimeAndReauthenticationBoth follows N 5.2.
func TestS4_UseResetsTheIdleTimeAndReauthenticationBoth(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		l := newLimited(t, tb, "nist")
		id := l.NewSession(t, session.Create{Step: apptest.NamedGuess(l.user.ID, apptest.Password)}).SessionID
		l.Set(t, id, l.app())
		use := func(hours int) {
			for range hours * 4 {
				l.Clock.Advance(15 * time.Minute)
				l.use(id)
			}
		}
		use(22)
		l.wantEnd(id, time.Hour)
		l.Set(t, id, l.app())
		use(1)
		l.wantEnd(id, time.Hour) // of the 24 hours from the password there is one left
		l.Clock.Advance(30 * time.Minute)
		l.Set(t, id, l.app())
		l.wantEnd(id, 30*time.Minute) // the level rests on the password as well
		l.Set(t, id, l.password())
		l.wantEnd(id, time.Hour)
		use(23)
		l.wantEnd(id, time.Hour)
	})
}

func TestS4_AnIdleSessionIsExpiredAndReadingDoesNotRenewIt(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		l := newLimited(t, tb, "0,1h/30m,0")
		start := func() session.Result {
			r := l.NewSession(t, session.Create{Step: apptest.NamedGuess(l.user.ID, apptest.Password)})
			return l.Set(t, r.SessionID, l.app())
		}
		r := start()
		l.Clock.Advance(30 * time.Minute)
		for range 2 { // also in the last moment
			if _, err := l.Sessions.Authenticate(t.Context(), r.Token); err != nil {
				t.Fatal(err)
			}
			l.View(t, r.SessionID)
			l.Set(t, r.SessionID, session.Step{}) // which changes nothing
		}
		l.Clock.Advance(time.Microsecond)
		_, err := l.TrySet(r.SessionID, l.app())
		apptest.WantFault(t, err, session.ErrExpired)
		_, err = l.Sessions.Authenticate(t.Context(), r.Token)
		refused(t, err, "AUTHZ-EGDo3")
		if !l.View(t, r.SessionID).Expired(l.Clock.Now()) {
			t.Error("Get does not tell that it is over")
		}
	})
}

// TestS3_AnOldFactorDoesNotEndTheSessionThatItStepsUp: the level is worth nothing while
// one of its factors is too old, and all of it once both are fresh.
func TestS3_AnOldFactorDoesNotEndTheSessionThatItStepsUp(t *testing.T) {
	t.Parallel()
	l := newLimited(t, apptest.Bolt(t), "nist")
	id := l.NewSession(t, session.Create{Step: apptest.NamedGuess(l.user.ID, apptest.Password)}).SessionID
	l.Clock.Advance(2 * day)
	l.Set(t, id, l.app())
	l.wantEnd(id, 28*day)
	l.Set(t, id, l.password())
	l.wantEnd(id, time.Hour)
}

// TestS4_TheLimitsOfAConfigurationComeAndGo: what was asked for is not forgotten under
// limits, and not taken for a limit without.
func TestS4_TheLimitsOfAConfigurationComeAndGo(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	free := apptest.New(t, apptest.Options{Table: tb})
	strict := limited{t: t, Service: apptest.New(t, apptest.Options{
		Table: tb, Ring: free.Ring, Env: map[string]string{"STEPUP_SESSION_LIMITS": "2h/1h,2h/1h,2h/1h"},
	})}
	asked, endless := free.NewSession(t, session.Create{Step: lifetime(day)}).SessionID, free.NewSession(t, session.Create{}).SessionID
	strict.wantEnd(endless, 0) // until the next step
	strict.use(asked)
	strict.wantEnd(asked, time.Hour)
	strict.use(endless)
	strict.wantEnd(endless, time.Hour)
	strict.Service = free
	strict.Set(t, asked, metadata("k", "v"))
	strict.wantEnd(asked, day)
	strict.Set(t, endless, metadata("k", "v"))
	strict.wantEnd(endless, 0)
}

func TestS3_S4_AKeyOfOneDeviceHasTheLimitsOfAAL3(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		synced bool
		idle   time.Duration
	}{"bound to its device": {false, 15 * time.Minute}, "synced": {true, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.New(t, apptest.Options{Env: map[string]string{
				"STEPUP_RELYING_PARTIES": rpID + "=https://login.example.com", "STEPUP_SESSION_LIMITS": "nist",
			}})
			h := holdMade(t, s, heldKey{kind: passkey.Passkey, synced: c.synced, loginName: "ada"})
			_, err := h.set(h.sign(h.demand()))
			check(t, err)
			if end := h.View(t, h.session).ExpiresAt; !end.Equal(h.Clock.Now().Add(c.idle)) {
				t.Errorf("it ends at %v, want %v after now", end, c.idle)
			}
		})
	}
}
