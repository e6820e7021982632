package app_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/user"
)

var watching = map[string]string{"STEPUP_SMS_CONVERSION_LIMIT": "50"}

// tollbooth is a table with something in the way of payments: the writes of nothing but
// the count of a region.
type tollbooth struct {
	table.Table

	pay func(ctx context.Context, pay func() error) error

	mu       sync.Mutex // guards payments
	payments int
}

func (b *tollbooth) Write(ctx context.Context, w table.Write) error {
	write := func() error { return b.Table.Write(ctx, w) }
	if len(w.Ops) > 1 || !strings.HasPrefix(w.Ops[0].Key.PK, "UNUSED#") {
		return write()
	}
	b.mu.Lock()
	b.payments++
	b.mu.Unlock()
	return b.pay(ctx, write)
}

// sentCode has a code sent to ada, and returns the session and the code.
func sentCode(t *testing.T, s *apptest.Service) (id, code string) {
	t.Helper()
	id = s.NewSession(t, session.Create{Step: apptest.Named("ada")}).SessionID
	s.Set(t, id, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}})
	return id, s.Inbox.Messages()[0].Code
}

func withCode(code string) session.Step {
	return session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: code}}}
}

// counted is the count of ada's region.
func counted(t *testing.T, tb table.Table) int64 {
	t.Helper()
	item, err := tb.Get(t.Context(), table.Key{PK: "UNUSED#sms#+41#default", SK: "2026-03-01T12:00:00Z"})
	if err != nil {
		t.Fatal(err)
	}
	n, _ := item["n"].(int64)
	return n
}

// TestNoSignInFailsForAPayment makes a payment of a used code impossible in every way.
func TestNoSignInFailsForAPayment(t *testing.T) {
	t.Parallel()
	contended := 0
	for name, row := range map[string]struct {
		pay      func(ctx context.Context, pay func() error) error
		counted  int64
		payments int
		logged   bool
	}{
		"possible": {
			pay: func(_ context.Context, pay func() error) error { return pay() }, counted: 1 - 10, payments: 1,
		},
		"unavailable": {
			pay: func(context.Context, func() error) error { return table.ErrUnavailable }, counted: 1, payments: 1, logged: true,
		},
		"its answer is lost": {
			pay: func(_ context.Context, pay func() error) error { _ = pay(); return table.ErrUnavailable }, counted: 1 - 10, payments: 1, logged: true,
		},
		"contended at first": {
			pay: func(_ context.Context, pay func() error) error {
				if contended++; contended < 4 {
					return &table.Conflict{}
				}
				return pay()
			}, counted: 1 - 10, payments: 4,
		},
		"contended": {
			pay: func(context.Context, func() error) error { return &table.Conflict{} }, counted: 1, payments: 8, logged: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			booth := &tollbooth{Table: apptest.Bolt(t), pay: row.pay}
			newStage(t, booth.Table)
			s := apptest.New(t, apptest.Options{Table: booth, Env: watching})
			id, code := sentCode(t, s)
			s.Set(t, id, withCode(code))
			if view := s.View(t, id); view.Factors.SMS.IsZero() {
				t.Error("the code is not verified")
			}
			if n := counted(t, booth.Table); n != row.counted || booth.payments != row.payments {
				t.Errorf("the count is %d after %d payments, want %d and %d", n, booth.payments, row.counted, row.payments)
			}
			if logged := strings.Contains(s.Logs.String(), "a used code was not counted"); logged != row.logged {
				t.Errorf("logged: %s", s.Logs)
			}
			if logs := s.Logs.String(); strings.Contains(logs, code) || strings.Contains(logs, "446681800") {
				t.Errorf("the log tells the code or the number: %s", logs)
			}
		})
	}
}

// TestASignInWaitsAMomentForAPaymentAtMost has the store never answer.
func TestASignInWaitsAMomentForAPaymentAtMost(t *testing.T) {
	t.Parallel()
	booth := &tollbooth{Table: apptest.Bolt(t), pay: func(ctx context.Context, _ func() error) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	newStage(t, booth.Table)
	synctest.Test(t, func(t *testing.T) {
		s := apptest.New(t, apptest.Options{Table: booth, Env: watching})
		id, code := sentCode(t, s)
		start := time.Now()
		s.Set(t, id, withCode(code))
		if took := time.Since(start); took != 250*time.Millisecond {
			t.Errorf("the sign-in took %v", took)
		}
	})
}

// TestACodeThatVerifiesANumberPaysToo goes through all calls of the service about a user
// that send text messages.
func TestACodeThatVerifiesANumberPaysToo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: watching})
		created, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
			Username: "bob", Profile: user.Profile{GivenName: "Bob", FamilyName: "Bobson"},
			Phone: user.Contact{Address: "+41446681801"}, PhoneCode: &user.CodeRequest{},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Clock.Advance(time.Minute)
		steps := []func() error{
			func() error { // which replaces the first code
				_, err := s.Users.SendPhoneCode(t.Context(), apptest.Admin(), created.ID, user.CodeRequest{})
				return err
			},
			func() error {
				_, err := s.Users.VerifyPhone(t.Context(), apptest.Admin(), created.ID, s.Inbox.Messages()[0].Code)
				return err
			},
			func() error {
				_, err := s.Users.Update(t.Context(), apptest.Admin(), created.ID, user.Update{
					Phone: &user.Contact{Address: "+41446681802"}, PhoneCode: &user.CodeRequest{Return: true},
				})
				return err
			},
			func() error { // by a code that was handed out and not sent
				r, err := s.Users.SendPhoneCode(t.Context(), apptest.Admin(), created.ID, user.CodeRequest{Return: true})
				if err == nil {
					_, err = s.Users.VerifyPhone(t.Context(), apptest.Admin(), created.ID, r.Code(sending.SMS))
				}
				return err
			},
		}
		for i, want := range []int64{2, 2 - 10, 2 - 10, 2 - 10} {
			if err := steps[i](); err != nil {
				t.Fatal(err)
			}
			if n := counted(t, tb); n != want {
				t.Errorf("after step %d the count is %d, want %d", i, n, want)
			}
		}
	})
}

// TestWhatTheCountOfARegionCosts: two write units of the transaction that sends, and one
// for a payment, which is a write of its own.
func TestWhatTheCountOfARegionCosts(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		env       map[string]string
		sent, use float64
	}{
		"off": {nil, 6, 4}, "on": {watching, 6 + 2, 4 + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var units consumed
			tb := apptest.Dynamo(t, dynamo.Options{OnConsumed: units.add})
			st := newStage(t, tb)
			s := apptest.New(t, apptest.Options{Table: tb, Ring: st.Ring, Env: row.env})
			units.reset()
			s.Set(t, st.bound, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}})
			sent := units.written()
			s.Set(t, st.bound, withCode(s.Inbox.Messages()[0].Code))
			if use := units.written() - sent; sent != row.sent || use != row.use {
				t.Errorf("a message takes %v write units and the use of its code %v, want %v and %v", sent, use, row.sent, row.use)
			}
		})
	}
}
