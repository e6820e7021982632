package store_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
)

// noting remembers the keys of all that is written.
type noting struct {
	table.Table

	keys map[table.Key]bool
}

func (n noting) Write(ctx context.Context, w table.Write) error {
	for _, op := range w.Ops {
		n.keys[op.Key] = true
	}
	return n.Table.Write(ctx, w)
}

// TestWhatANewerVersionStoredOutlivesTheStepsOfAnOlderOne: while a version is rolled out,
// two of them write the same items.
func TestWhatANewerVersionStoredOutlivesTheStepsOfAnOlderOne(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		seen := noting{tb, make(map[table.Key]bool)}
		s := store.New(seen, rand.Reader)
		u, sess, open := fullUser(), fullSession(), fullIntent()
		first := sending.Send{
			Subject: sending.Subject{Channel: sending.SMS, Address: u.Phone.Address},
			New:     sending.Usage{Revision: 1, NextAt: apptest.Epoch()},
		}
		save(t, s, nil, u)
		saved(t, s, nil, open)
		commit(t, s, session.Change{New: sess, Sends: []sending.Send{first}})
		for key := range seen.keys {
			newer := table.Update(key, table.Exists(), table.Set(table.At("newer"), "kept"))
			if err := tb.Write(t.Context(), table.Write{Ops: []table.Op{newer}}); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		}

		second := first
		second.Old, second.New = first.New, sending.Usage{Revision: 2}
		next := sess.Clone()
		next.Revision++
		next.Metadata, next.Factors.Password = nil, apptest.Epoch().Add(time.Hour)
		changed := moved(u)
		changed.Profile.NickName, changed.Guard.RecoveryCodes = "", nil
		commit(t, s, session.Change{
			Old: sess, New: next, OldUser: u, NewUser: changed, OldIntent: open, NewIntent: open.Consume(apptest.Epoch()),
			Sends: []sending.Send{second},
		})
		for key := range seen.keys {
			item, err := tb.Get(t.Context(), key)
			if err != nil || item["newer"] != "kept" {
				t.Errorf("%s: %v, %v", key, item, err)
			}
		}
		l := load(t, s, session.Ref{SessionID: sessionID, Depth: session.WholeUser})
		if diff := cmp.Diff(next, l.Session, compare) + cmp.Diff(changed, l.User, compare); diff != "" {
			t.Errorf("the step itself (-want +got):\n%s", diff)
		}
	})
}
