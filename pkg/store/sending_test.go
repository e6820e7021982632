package store_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
)

// TestL6_ManyNumbersDoNotStretchAUsersCap writes 200 messages of one user at once, each to
// a number of its own, so that nothing but the user's count holds them back.
func TestL6_ManyNumbersDoNotStretchAUsersCap(t *testing.T) {
	t.Parallel()
	for name, caps := range map[string]sending.Caps{"hour": {UserHour: 7}, "day": {User: 7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				passed := 0
				for _, err := range sendAll(t, store.New(tb, rand.Reader), sending.Policy{Caps: caps}) {
					switch {
					case err == nil:
						passed++
					case !errors.Is(err, sending.ErrUser):
						t.Error(err)
					}
				}
				if passed != 7 {
					t.Errorf("%d passed, want 7", passed)
				}
			})
		})
	}
}

// sendAll commits 200 sessions with a message each, and again those that lost a race, and
// returns how they ended.
func sendAll(t *testing.T, s *store.Store, p sending.Policy) []error {
	t.Helper()
	errs := make([]error, 200)
	var all errgroup.Group
	all.SetLimit(64)
	for i := range errs {
		all.Go(func() error {
			now := apptest.Epoch().Add(time.Minute)
			var o sending.Outbox
			if denied := o.Add(sending.Message{Channel: sending.SMS, To: fmt.Sprintf("+4179123%04d", i), UserID: "ada"}, p, sending.Usage{}, now); denied != nil {
				return denied
			}
			sent := session.Change{New: &session.Session{ID: fmt.Sprint("s", i), Revision: 1, Created: now, Changed: now}, Sends: o.Sends}
			errs[i] = s.Commit(t.Context(), sent)
			for errors.Is(errs[i], fault.Conflict) {
				errs[i] = s.Commit(t.Context(), sent)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return errs
}

// TestCountsComeBackAsWhatTheyHaveComeTo counts three messages, one of them to another
// country, and asks for the next day as well.
func TestCountsComeBackAsWhatTheyHaveComeTo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		p := sending.Policy{Spend: price.USD, Prices: price.List{"": 70_000}, Caps: sending.Caps{User: 9, UserHour: 9, Country: 9}}
		m := sending.Message{Channel: sending.SMS, UserID: "ada"}
		for i, to := range []string{"+41791230001", "+41791230002", "+16502530000"} {
			m.To = to
			var o sending.Outbox
			if denied := o.Add(m, p, sending.Usage{}, apptest.Epoch()); denied != nil {
				t.Fatal(denied)
			}
			commit(t, s, session.Change{New: &session.Session{ID: fmt.Sprint("s", i), Revision: 1}, Sends: o.Sends})
		}
		asked := p.Counts(m, apptest.Epoch())
		other := p.Counts(m, apptest.Epoch().AddDate(0, 0, 1))
		got := load(t, s, session.Ref{Counts: append(asked, other...)}).Counted
		want := map[sending.Count]sending.Tally{
			asked[0]: {Messages: 3, Spent: 210_000}, asked[1]: {Messages: 3}, asked[2]: {Messages: 1}, asked[3]: {Messages: 3},
			other[0]: {}, other[1]: {}, other[2]: {}, other[3]: {},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
