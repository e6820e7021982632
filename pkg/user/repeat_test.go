package user_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

func once(key string) idempotency.Request {
	return idempotency.Request{Caller: "key admin", Key: key, Operation: "Send", Body: []byte("b")}
}

// TestR2_ParallelRepetitionsSendOneMessage: who is early may be told to wait.
func TestR2_ParallelRepetitionsSendOneMessage(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		registration := user.Registration{
			Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
			Email: user.Contact{Address: "ada@example.com"}, EmailCode: &user.CodeRequest{}, Once: once("create"),
		}
		errs := make([]error, 40)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.Users.Create(t.Context(), apptest.Admin(), registration) })
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil && !errors.Is(err, idempotency.ErrRunning) && !errors.Is(err, fault.Conflict) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		made, err := s.Users.Create(t.Context(), apptest.Admin(), registration)
		if err != nil || len(s.Inbox.Messages()) != 1 {
			t.Errorf("%v, %d messages", err, len(s.Inbox.Messages()))
		}
		if _, err := s.Users.Get(t.Context(), apptest.Admin(), made.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestR2_RepetitionReturnsTheSameCodes(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUserCheap(t, "ada@example.com")
		update := user.Update{
			Email: &user.Contact{Address: "new@example.com"}, EmailCode: &user.CodeRequest{Return: true}, Once: once("update"),
		}
		first, err := s.Users.Update(t.Context(), apptest.Admin(), u.ID, update)
		if err != nil || first.Code(sending.Email) == "" {
			t.Fatalf("%v, %q", err, first.Code(sending.Email))
		}
		again, err := s.Users.Update(t.Context(), apptest.Admin(), u.ID, update)
		if err != nil || again.Code(sending.Email) != first.Code(sending.Email) || again.Guard.Version != first.Guard.Version {
			t.Errorf("%v, %q after %q", err, again.Code(sending.Email), first.Code(sending.Email))
		}
		update.Once = idempotency.Request{Caller: "key admin", Key: "update", Operation: "Send", Body: []byte("other")}
		_, err = s.Users.Update(t.Context(), apptest.Admin(), u.ID, update)
		apptest.WantFault(t, err, idempotency.ErrReused)

		ask := user.CodeRequest{Return: true, Once: once("link")}
		_, link, err := s.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), u.ID, ask)
		if err != nil || link.Code == "" || link.ID == "" {
			t.Fatalf("%v, %v", err, link)
		}
		if _, repeated, err := s.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), u.ID, ask); err != nil || !cmp.Equal(link, repeated) {
			t.Errorf("%v, %v after %v", err, repeated, link)
		}
	})
}

// TestR2_ARepetitionTellsThePriceOfThen has the price list replaced, and taken away,
// between a request and its repetitions.
func TestR2_ARepetitionTellsThePriceOfThen(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_SMS_PRICES": "*=0.25", "STEPUP_MAIL_PRICE": "0.002"}})
		dearer := apptest.New(t, apptest.Options{
			Table: tb, Ring: s.Ring, Env: map[string]string{"STEPUP_SMS_PRICES": "*=0.30", "STEPUP_MAIL_PRICE": "0.003"},
		})
		unpriced := apptest.New(t, apptest.Options{Table: tb, Ring: s.Ring})
		id := s.NewUserCheap(t, "ada@example.com").ID
		for name, row := range map[string]struct {
			call func(*apptest.Service) (user.Result, error)
			want map[sending.Channel]price.Micros
		}{
			"both addresses": {func(s *apptest.Service) (user.Result, error) {
				return s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
					Username: "bob", Profile: user.Profile{GivenName: "Bob", FamilyName: "B"}, Once: once("create"),
					Email: user.Contact{Address: "bob@example.com"}, EmailCode: &user.CodeRequest{},
					Phone: user.Contact{Address: "+41446681800"}, PhoneCode: &user.CodeRequest{},
				})
			}, map[sending.Channel]price.Micros{sending.SMS: 250_000, sending.Email: 2_000}},
			"a code that is returned": {func(s *apptest.Service) (user.Result, error) {
				return s.Users.Update(t.Context(), apptest.Admin(), id, user.Update{
					Phone: &user.Contact{Address: "+41446681801"}, PhoneCode: &user.CodeRequest{Return: true}, Once: once("phone"),
				})
			}, nil},
			"a link": {func(s *apptest.Service) (user.Result, error) {
				r, _, err := s.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), id, user.CodeRequest{
					URLTemplate: "https://login.example.com/?code={{.Code}}", Once: once("link"),
				})
				return r, err
			}, map[sending.Channel]price.Micros{sending.Email: 2_000}},
		} {
			for i, at := range []*apptest.Service{s, dearer, unpriced} {
				r, err := row.call(at)
				if diff := cmp.Diff(row.want, r.Prices); err != nil || diff != "" {
					t.Errorf("%s, call %d: %v, prices (-want +got):\n%s", name, i, err, diff)
				}
			}
		}
	})
}
