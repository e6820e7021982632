package app_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// operations change something. Their commits lose every race in the test below.
var operations = map[string]func(ctx context.Context, s *apptest.Service, sessionID string) error{
	"create": func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Sessions.Create(ctx, apptest.Admin(), session.Create{Step: apptest.NamedGuess("ada", apptest.Password)})
		return err
	},
	"set": func(_ context.Context, s *apptest.Service, id string) error {
		hour := time.Hour
		_, err := s.TrySet(id, session.Step{Lifetime: &hour})
		return err
	},
	"right password": func(_ context.Context, s *apptest.Service, id string) error {
		_, err := s.TrySet(id, apptest.Guess(apptest.Password))
		return err
	},
	"wrong password": func(_ context.Context, s *apptest.Service, id string) error {
		_, err := s.TrySet(id, apptest.Guess("no"))
		return err
	},
	"delete": func(ctx context.Context, s *apptest.Service, id string) error {
		_, err := s.Sessions.Delete(ctx, apptest.Admin(), id, "")
		return err
	},
	"user create": func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Create(ctx, apptest.Admin(), user.Registration{
			ID: "bob", Username: "bob", Profile: user.Profile{GivenName: "Bob", FamilyName: "B"}, Email: user.Contact{Address: "bob@example.com"},
		})
		return err
	},
	"user rename": func(ctx context.Context, s *apptest.Service, _ string) error {
		name := "countess"
		_, err := s.Users.Update(ctx, apptest.Admin(), "ada", user.Update{Username: &name})
		return err
	},
	"lock": func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Lock(ctx, apptest.Admin(), "ada")
		return err
	},
	"user delete": func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Delete(ctx, apptest.Admin(), "ada")
		return err
	},
}

// newAda makes a store with one user and one session of theirs.
func newAda(t *testing.T) (*bolt.Store, string) {
	t.Helper()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Password: user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tb, s.NewSession(t, session.Create{Step: apptest.Named("ada")}).SessionID
}

func faultID(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ID
}

func TestR1_StoreThatIsAlwaysContendedIsAnAbortedRequest(t *testing.T) {
	t.Parallel()
	for name, run := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb, id := newAda(t)
			before := apptest.Dump(t, tb)
			s := apptest.New(t, apptest.Options{Table: tabletest.NewFaulty(tb, func(_ int, call string) tabletest.Action {
				if call == tabletest.CallWrite {
					return tabletest.Contend
				}
				return tabletest.Pass
			})})
			if err := run(t.Context(), s, id); !errors.Is(err, fault.Conflict) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, apptest.Dump(t, tb)); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

func TestR1_CanceledRequestIsToldSo(t *testing.T) {
	t.Parallel()
	tb, id := newAda(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hour := time.Hour
	_, err := s.Sessions.Set(ctx, apptest.Admin(), session.Set{SessionID: id, Step: session.Step{Lifetime: &hour}})
	if f := fault.From(err); f == nil || f.Kind != fault.Canceled {
		t.Errorf("got %v", err)
	}
}
