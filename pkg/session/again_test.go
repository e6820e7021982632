package session_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// TestS6_ASessionOfAFormerLifeStaysOver: an id is used again by somebody else at the very
// moment at which it was given up, or by a clock that is behind, whichever way they come.
func TestS6_ASessionOfAFormerLifeStaysOver(t *testing.T) {
	t.Parallel()
	for way, live := range map[string]func(t *testing.T, s *apptest.Service) error{"created": created, "imported": imported} {
		for name, back := range map[string]time.Duration{"at once": 0, "before": time.Minute} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
					s := apptest.New(t, apptest.Options{Table: tb})
					check(t, live(t, s))
					old := s.NewSession(t, session.Create{Step: apptest.Named("ada")})
					_, err := s.Users.Delete(t.Context(), apptest.Admin(), "ada")
					check(t, err)
					s.Clock.Advance(-back)
					check(t, live(t, s))
					wantOver(t, s, old)
					wantAliveByID(t, s, s.NewSession(t, session.Create{Step: apptest.Named("ada")}).SessionID)
				})
			})
		}
	}
}

func created(t *testing.T, s *apptest.Service) error {
	t.Helper()
	_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email: user.Contact{Address: "ada@example.com", Verified: true},
	})
	return err
}

func imported(t *testing.T, s *apptest.Service) error {
	t.Helper()
	_, err := s.Users.Import(t.Context(), apptest.Admin(), user.Portable{
		ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"}, State: user.StateActive,
	})
	return err
}

func wantAliveByID(t *testing.T, s *apptest.Service, id string) {
	t.Helper()
	if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), id, ""); err != nil {
		t.Error(err)
	}
}
