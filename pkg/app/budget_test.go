package app_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// stage is what a measured call finds: a user ada with a password, a session that is
// bound to her and one that is not, and whether the process has met the bound one.
type stage struct {
	*apptest.Service

	bound, free string
	reached     string // a session of ada's at AAL 1, without a code that is out
	seed        []byte // of the authenticator app
	code        string // that answers the open challenge of the bound session
	recovery    string
	signIn      session.CheckIntent // at another provider, of ada's account there
	providers   []idp.Provider
}

func newStage(t *testing.T, tb table.Table) stage {
	t.Helper()
	stub := idptest.NewStub(t)
	st := stage{providers: []idp.Provider{stub.Config("google")}}
	st.Service = apptest.New(t, apptest.Options{Table: tb, Providers: st.providers})
	_, err := st.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Password: user.NewPassword{Plain: apptest.Password},
		Phone:    user.Contact{Address: "+41446681800", Verified: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	st.enrol(t)
	st.Link(t, "ada", "google", "ada")
	st.signIn = st.SignInAt(t, stub, "google", "ada")
	asked := apptest.Named("ada")
	asked.Challenges.SMS = &session.RequestCode{ReturnCode: true}
	opened := st.NewSession(t, session.Create{Step: asked})
	st.bound, st.code = opened.SessionID, opened.Codes[sending.SMS]
	st.free = st.NewSession(t, session.Create{}).SessionID
	st.reached = st.NewSession(t, session.Create{Step: apptest.NamedGuess("ada", apptest.Password)}).SessionID
	return st
}

// enrol gives ada every one-time factor.
func (st *stage) enrol(t *testing.T) {
	t.Helper()
	_, app, err := st.Users.RegisterTOTP(t.Context(), apptest.Admin(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if st.seed, err = otp.ParseSecret(app.Secret); err != nil {
		t.Fatal(err)
	}
	_, verified := st.Users.VerifyTOTP(t.Context(), apptest.Admin(), "ada", otp.Code(st.seed, st.Clock.Now()))
	_, added := st.Users.AddSMSCodes(t.Context(), apptest.Admin(), "ada")
	_, codes, generated := st.Users.GenerateRecoveryCodes(t.Context(), apptest.Admin(), "ada", 0)
	if err := errors.Join(verified, added, generated); err != nil {
		t.Fatal(err)
	}
	st.recovery = codes[0]
}

// in returns the stage as another process sees it through a table: one that has met
// the bound session, or a cold one.
func (st stage) in(t *testing.T, tb table.Table, cold bool) stage {
	t.Helper()
	st.Service = apptest.New(t, apptest.Options{Table: tb, Ring: st.Ring, Providers: st.providers})
	if !cold {
		st.View(t, st.bound)
		st.View(t, st.reached)
	}
	return st
}

// budgets is the table of the design, with a row for each variant. Round trips and
// write units are what a call takes; budget is what it may take. A call that is not in
// the design has its own measure as its budget.
var budgets = map[string]struct {
	cold   bool
	call   func(ctx context.Context, st stage) error
	trips  int
	units  float64
	budget cost
}{
	"set metadata and lifetime, no user": {
		call: func(_ context.Context, st stage) error { return st.set(st.free, ordinary()) }, trips: 2, units: 1, budget: cost{2, 1},
	},
	"set metadata and lifetime, bound": {
		call: func(_ context.Context, st stage) error { return st.set(st.bound, ordinary()) }, trips: 2, units: 1, budget: cost{2, 1},
	},
	"set metadata and lifetime, bound, cold": {
		cold: true,
		call: func(_ context.Context, st stage) error { return st.set(st.bound, ordinary()) }, trips: 3, units: 1, budget: cost{3, 1},
	},
	"set nothing": {
		call: func(_ context.Context, st stage) error { return st.set(st.free, session.Step{}) }, trips: 1, units: 0, budget: cost{2, 1},
	},
	"set user": {
		call: func(_ context.Context, st stage) error { return st.set(st.free, apptest.Named("ada")) }, trips: 2, units: 2, budget: cost{2, 2},
	},
	"set user by login name": { // a name is an item of its own, which leads to the user
		call: func(_ context.Context, st stage) error {
			return st.set(st.free, session.Step{Checks: session.Checks{User: &session.CheckUser{LoginName: "ada"}}})
		}, trips: 3, units: 2, budget: cost{3, 2},
	},
	"set password": {
		call: func(_ context.Context, st stage) error { return st.set(st.bound, apptest.Guess(apptest.Password)) }, trips: 2, units: 4, budget: cost{3, 4},
	},
	"set password, cold": {
		cold: true,
		call: func(_ context.Context, st stage) error { return st.set(st.bound, apptest.Guess(apptest.Password)) }, trips: 3, units: 4, budget: cost{3, 4},
	},
	"set password with the user named": {
		cold: true,
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, apptest.NamedGuess("ada", apptest.Password))
		}, trips: 2, units: 4, budget: cost{2, 4},
	},
	"set user and password": { // the session gets its entry in the index by user
		call: func(_ context.Context, st stage) error {
			return st.set(st.free, apptest.NamedGuess("ada", apptest.Password))
		}, trips: 2, units: 4 + 1, budget: cost{2, 4 + 1},
	},
	"set a wrong password": {
		call: func(_ context.Context, st stage) error {
			return refused(st.set(st.bound, apptest.Guess("no")), "COMMAND-3M0fs")
		}, trips: 2, units: 1, budget: cost{3, 4},
	},
	"set an external identity": { // the intent, over 1 KB by what the provider said, is read beside the session and consumed in its write
		call: func(_ context.Context, st stage) error { return st.set(st.bound, apptest.Federated(st.signIn)) }, trips: 2, units: 8, budget: cost{3, 8},
	},
	"set TOTP": { // with the next code: the present one confirmed the app
		call: func(_ context.Context, st stage) error {
			code := otp.Code(st.seed, st.Clock.Now().Add(otp.Step))
			return st.set(st.bound, session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}})
		}, trips: 2, units: 4, budget: cost{3, 4},
	},
	"set SMS code": {
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: st.code}}})
		}, trips: 2, units: 4, budget: cost{3, 4},
	},
	"set a wrong SMS code": {
		call: func(_ context.Context, st stage) error {
			step := session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: "no"}}}
			return refused(st.set(st.bound, step), "CODE-woT0xc")
		}, trips: 2, units: 4, budget: cost{3, 4},
	},
	"set recovery code": {
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, session.Step{Checks: session.Checks{Recovery: &session.CheckCode{Code: st.recovery}}})
		}, trips: 2, units: 4, budget: cost{3, 4},
	},
	"open a challenge without sending": {
		cold: true,
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}})
		}, trips: 3, units: 1, budget: cost{3, 2},
	},
	"open a challenge that is sent": {
		cold: true,
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}})
		}, trips: 3, units: 6, budget: cost{3, 6},
	},
	// A refusal reads what was sent, as every lost race does. Its alternatives cost a read
	// only where they may send something: here the code is out.
	"open one that is sent, and another that must wait": {
		call: func(_ context.Context, st stage) error {
			sent := session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}}
			if err := st.set(st.bound, sent); err != nil {
				return err
			}
			return refused(st.set(st.bound, sent), "STEPUP-send-cooldown")
		}, trips: 2 + 3, units: 6, budget: cost{2 + 3, 6},
	},
	// With an Idempotency-Key: no more for what fits into the item, and one write of the
	// session when a message left.
	"set metadata and lifetime, with a key": {
		call: func(_ context.Context, st stage) error { return st.set(st.free, keyed(ordinary())) }, trips: 2, units: 1, budget: cost{2, 1 + 1},
	},
	"set password, with a key": {
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, keyed(apptest.Guess(apptest.Password)))
		}, trips: 2, units: 4, budget: cost{3, 4 + 1},
	},
	"set a wrong password, with a key": {
		call: func(_ context.Context, st stage) error {
			return refused(st.set(st.bound, keyed(apptest.Guess("no"))), "COMMAND-3M0fs")
		}, trips: 2, units: 1, budget: cost{3, 1 + 1},
	},
	"open a challenge that is sent, with a key": {
		cold: true,
		call: func(_ context.Context, st stage) error {
			return st.set(st.bound, keyed(session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}}))
		}, trips: 4, units: 6 + 1, budget: cost{3 + 1, 6 + 1},
	},
	"create, with a key": { // and whether it exists is read
		call: func(ctx context.Context, st stage) error { return st.create(ctx, keyed(session.Step{})) }, trips: 2, units: 1 + 2, budget: cost{2, 2 + 2 + 1},
	},
	"create": { // with entries in the indexes by time and by creator
		call: func(ctx context.Context, st stage) error { return st.create(ctx, session.Step{}) }, trips: 1, units: 1 + 2, budget: cost{2, 2 + 2},
	},
	"create with user id": { // and by user
		call: func(ctx context.Context, st stage) error { return st.create(ctx, apptest.Named("ada")) }, trips: 2, units: 1 + 3, budget: cost{2, 2 + 3},
	},
	"get": {
		call: func(ctx context.Context, st stage) error { return st.get(ctx, st.bound, "") }, trips: 1, budget: cost{1, 0},
	},
	"get, no user": {
		call: func(ctx context.Context, st stage) error { return st.get(ctx, st.free, "") }, trips: 1, budget: cost{1, 0},
	},
	"get, cold": {
		cold: true,
		call: func(ctx context.Context, st stage) error { return st.get(ctx, st.bound, "") }, trips: 2, budget: cost{2, 0},
	},
	"get, with a requirement that is met": {
		call: func(ctx context.Context, st stage) error { return st.getMeeting(ctx, st.reached, 1) }, trips: 1, budget: cost{1, 0},
	},
	"get, with one that is not": { // and what was sent to the phone, to know whether a code may leave
		call: func(ctx context.Context, st stage) error {
			return refused(st.getMeeting(ctx, st.reached, 2), "STEPUP-insufficient-user-authentication")
		}, trips: 2, budget: cost{2, 0},
	},
	"set metadata, with a requirement that is met": {
		call: func(ctx context.Context, st stage) error {
			return st.setMeeting(ctx, st.reached, ordinary(), 1)
		}, trips: 2, units: 1, budget: cost{2, 1},
	},
	"set password, with a requirement that is not met": {
		call: func(ctx context.Context, st stage) error {
			return st.setMeeting(ctx, st.reached, apptest.Guess(apptest.Password), 3)
		}, trips: 3, units: 4, budget: cost{3, 4},
	},
	"get with a forged token": {
		call: func(ctx context.Context, st stage) error {
			return refused(st.get(ctx, st.bound, "forged"), "QUERY-dsfr3")
		},
	},
	"delete with a forged token": {
		call: func(ctx context.Context, st stage) error {
			_, err := st.Sessions.Delete(ctx, apptest.Admin(), st.bound, "forged")
			return refused(err, "COMMAND-sGr42")
		},
	},
	"forged session token as bearer": {
		call: func(ctx context.Context, st stage) error {
			_, err := st.Sessions.Authenticate(ctx, "forged")
			return refused(err, "AUTH-7fs1e")
		},
	},
	"forged API key": {
		call: func(ctx context.Context, st stage) error {
			_, err := st.Keys.Authenticate(ctx, "stepup_forged")
			return refused(err, "AUTH-7fs1e")
		},
	},
	"set without the permission": {
		call: func(ctx context.Context, st stage) error {
			_, err := st.Sessions.Set(ctx, access.Caller{}, session.Set{SessionID: st.bound, Step: ordinary()})
			return refused(err, "AUTH-AWfge")
		},
	},
	"lock": {
		call: func(ctx context.Context, st stage) error {
			_, err := st.Users.Lock(ctx, apptest.Admin(), "ada")
			return err
		}, trips: 2, units: 1, budget: cost{2, 1},
	},
	"terminate all sessions of a user": {
		call: func(ctx context.Context, st stage) error { return st.terminate(ctx, session.Terminate{}) }, trips: 2, units: 1, budget: cost{2, 1},
	},
	"terminate the sessions of a device": {
		call: func(ctx context.Context, st stage) error {
			return st.terminate(ctx, session.Terminate{Fingerprint: "phone"})
		}, trips: 2, units: 1, budget: cost{2, 1},
	},
	"terminate all sessions but one": { // which is written in the same transaction
		cold: true,
		call: func(ctx context.Context, st stage) error {
			return st.terminate(ctx, session.Terminate{KeepID: st.bound})
		}, trips: 2, units: 4, budget: cost{2, 4},
	},
}

// cost is what a call may take.
type cost struct {
	trips int
	units float64
}

func ordinary() session.Step {
	hour := time.Hour
	return session.Step{Metadata: map[string][]byte{"k": []byte("v")}, Lifetime: &hour}
}

func keyed(step session.Step) session.Step {
	step.Once = idempotency.Request{Caller: "key admin", Key: "8e03978e-40d5-43dd-bc93-6894a57f9324", Operation: "Set", Body: []byte("b")}
	return step
}

func (st stage) set(id string, step session.Step) error {
	_, err := st.TrySet(id, step)
	return err
}

func (st stage) getMeeting(ctx context.Context, id string, l assurance.Level) error {
	_, err := st.Sessions.GetMeeting(ctx, apptest.Admin(), id, "", assurance.Requirement{MinAAL: l})
	return err
}

func (st stage) setMeeting(ctx context.Context, id string, step session.Step, l assurance.Level) error {
	_, err := st.Sessions.Set(ctx, apptest.Admin(), session.Set{SessionID: id, Step: step, Require: &assurance.Requirement{MinAAL: l}})
	return err
}

func (st stage) create(ctx context.Context, step session.Step) error {
	_, err := st.Sessions.Create(ctx, apptest.Admin(), session.Create{Step: step})
	return err
}

func (st stage) get(ctx context.Context, id, token string) error {
	_, err := st.Sessions.Get(ctx, apptest.Admin(), id, token)
	return err
}

func (st stage) terminate(ctx context.Context, c session.Terminate) error {
	c.UserID = "ada"
	_, err := st.Sessions.Terminate(ctx, apptest.Admin(), c)
	return err
}

// refused turns the expected fault into nil.
func refused(err error, id string) error {
	if faultID(err) == id {
		return nil
	}
	return err
}

// TestRoundTripsAreWithinTheBudget gives each call of the store a second of fake time.
func TestRoundTripsAreWithinTheBudget(t *testing.T) {
	t.Parallel()
	for name, row := range budgets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := apptest.Bolt(t)
			found := newStage(t, tb)
			synctest.Test(t, func(t *testing.T) {
				st := found.in(t, tabletest.NewMeter(tb, time.Second), row.cold)
				start := time.Now()
				if err := row.call(t.Context(), st); err != nil {
					t.Fatal(err)
				}
				got := int(time.Since(start) / time.Second)
				if got != row.trips || got > row.budget.trips {
					t.Errorf("%d round trips, want %d, budget %d", got, row.trips, row.budget.trips)
				}
			})
		})
	}
}

func TestWriteUnitsAreWithinTheBudget(t *testing.T) {
	t.Parallel()
	for name, row := range budgets {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var units consumed
			tb := apptest.Dynamo(t, dynamo.Options{OnConsumed: units.add})
			st := newStage(t, tb).in(t, tb, row.cold)
			units.reset()
			if err := row.call(t.Context(), st); err != nil {
				t.Fatal(err)
			}
			if got := units.written(); got != row.units || got > row.budget.units {
				t.Errorf("%v write units, want %v, budget %v", got, row.units, row.budget.units)
			}
		})
	}
}

// consumed sums what DynamoDB says that it was used for. It is safe for concurrent use.
type consumed struct {
	mu    sync.Mutex
	write float64
}

func (c *consumed) add(_ string, _, write float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write += write
}

func (c *consumed) reset() { c.add("", 0, -c.written()) }

func (c *consumed) written() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write
}
