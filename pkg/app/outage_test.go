package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// operation is one change of the world, with the ids of the faults that it may answer
// when it is made the first time and when it is repeated after it was made.
type operation struct {
	run          func(ctx context.Context, s *apptest.Service, sessionID string) error
	first, again string
}

var operations = map[string]operation{
	"create": {run: func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Sessions.Create(ctx, apptest.Admin(), session.Create{Step: apptest.NamedGuess("ada", apptest.Password)})
		return err
	}},
	"set": {run: func(_ context.Context, s *apptest.Service, id string) error {
		hour := time.Hour
		_, err := s.TrySet(id, session.Step{Lifetime: &hour})
		return err
	}},
	"right password": {run: func(_ context.Context, s *apptest.Service, id string) error {
		_, err := s.TrySet(id, apptest.Guess(apptest.Password))
		return err
	}},
	"wrong password": {first: "COMMAND-3M0fs", again: "COMMAND-3M0fs", run: func(_ context.Context, s *apptest.Service, id string) error {
		_, err := s.TrySet(id, apptest.Guess("no"))
		return err
	}},
	"delete": {run: func(ctx context.Context, s *apptest.Service, id string) error {
		_, err := s.Sessions.Delete(ctx, apptest.Admin(), id, "")
		return err
	}},
	"user create": {again: "COMMAND-k2unb", run: func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Create(ctx, apptest.Admin(), user.Registration{
			ID: "bob", Username: "bob", Profile: user.Profile{GivenName: "Bob", FamilyName: "B"}, Email: user.Contact{Address: "bob@example.com"},
		})
		return err
	}},
	"user rename": {run: func(ctx context.Context, s *apptest.Service, _ string) error {
		name := "countess"
		_, err := s.Users.Update(ctx, apptest.Admin(), "ada", user.Update{Username: &name})
		return err
	}},
	"lock": {again: "COMMAND-lgws8wtsqf", run: func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Lock(ctx, apptest.Admin(), "ada")
		return err
	}},
	"user delete": {again: "QUERY-Dfbg2", run: func(ctx context.Context, s *apptest.Service, _ string) error {
		_, err := s.Users.Delete(ctx, apptest.Admin(), "ada")
		return err
	}},
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

// shape is what a store holds without what is random: ids of sessions, tokens, markers,
// salts, and the partitions of the indexes that follow from the ids.
func shape(t *testing.T, tb *bolt.Store) []string {
	t.Helper()
	var rows []string
	for key, item := range apptest.Dump(t, tb) {
		if strings.HasPrefix(key.PK, "SES#") {
			key.PK = "SES#"
		}
		maps.DeleteFunc(item, func(name string, _ any) bool {
			return slices.Contains([]string{"tok", "w", "pwh", "byTime", "byCreator"}, name)
		})
		rows = append(rows, fmt.Sprint(key, item))
	}
	slices.Sort(rows)
	return rows
}

func faultID(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ID
}

// TestR1_FailureOfAnyStoreCallLeavesNoHalfState has each call of each operation fail in
// each way. The caller learns that the store is the reason, what is stored is the state
// before or the state after, and the operation can be repeated.
func TestR1_FailureOfAnyStoreCallLeavesNoHalfState(t *testing.T) {
	t.Parallel()
	for name, o := range operations {
		for action, way := range map[tabletest.Action]string{
			tabletest.Fail: "fails", tabletest.LoseAnswer: "loses its answer", tabletest.Contend: "is contended",
		} {
			t.Run(name+" whose call "+way, func(t *testing.T) {
				t.Parallel()
				tb, id := newAda(t)
				before := shape(t, tb)
				if got := faultID(o.run(t.Context(), apptest.New(t, apptest.Options{Table: tb}), id)); got != o.first {
					t.Fatalf("undisturbed: %s", got)
				}
				after := shape(t, tb)
				for n := 1; breakAt(t, o, breakage{n: n, action: action, before: before, after: after}); n++ {
				}
			})
		}
	}
}

// breakage is one disturbed run: the call that is disturbed and how, and what may be
// stored then.
type breakage struct {
	n             int
	action        tabletest.Action
	before, after []string
}

// breakAt runs the operation with one call disturbed, and reports whether there was
// such a call.
func breakAt(t *testing.T, o operation, b breakage) bool {
	t.Helper()
	tb, id := newAda(t)
	disturbed := ""
	s := apptest.New(t, apptest.Options{Table: tabletest.NewFaulty(tb, func(n int, call string) tabletest.Action {
		if n != b.n {
			return tabletest.Pass
		}
		disturbed = call
		return b.action
	})})
	err := o.run(t.Context(), s, id)
	if disturbed == "" {
		return false
	}
	written := disturbed == tabletest.CallWrite && b.action != tabletest.Fail
	if written && b.action == tabletest.Contend {
		if got := faultID(err); got != o.first {
			t.Errorf("call %d, %s: not tried again: %v", b.n, disturbed, err)
		}
	} else if !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("call %d, %s: got %v", b.n, disturbed, err)
	}
	want, repeated := b.before, o.first
	if written {
		want, repeated = b.after, o.again
	}
	if diff := cmp.Diff(want, shape(t, tb)); diff != "" {
		t.Errorf("call %d, %s: stored (-want +got):\n%s", b.n, disturbed, diff)
	}
	if got := faultID(o.run(t.Context(), s, id)); got != repeated {
		t.Errorf("call %d, %s: the repetition answers %q, want %q", b.n, disturbed, got, repeated)
	}
	return true
}

func TestR1_StoreThatIsAlwaysContendedIsAnAbortedRequest(t *testing.T) {
	t.Parallel()
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb, id := newAda(t)
			before := shape(t, tb)
			s := apptest.New(t, apptest.Options{Table: tabletest.NewFaulty(tb, func(_ int, call string) tabletest.Action {
				if call == tabletest.CallWrite {
					return tabletest.Contend
				}
				return tabletest.Pass
			})})
			if err := o.run(t.Context(), s, id); !errors.Is(err, fault.Conflict) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(before, shape(t, tb)); diff != "" {
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
