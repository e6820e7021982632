package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// torn is a store in which something happens between the reads of a session and of its
// user's items, which a service makes side by side.
type torn struct {
	table.Table

	first string // the beginning of the key that is read first
	mu    sync.Mutex
	event func(ctx context.Context) // happens once; nil when it has
	over  chan struct{}             // nil before the first event
}

// inside marks what the event itself reads.
type inside struct{}

// between lets the event happen between the first read from now on and the other.
func (s *torn) between(event func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.event, s.over = event, make(chan struct{})
}

func (s *torn) take(first bool) (event func(ctx context.Context), over chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		event, s.event = s.event, nil
	}
	return event, s.over
}

func (s *torn) read(ctx context.Context, pk string, read func()) {
	if ctx.Value(inside{}) != nil {
		read()
		return
	}
	first := strings.HasPrefix(pk, s.first)
	event, over := s.take(first)
	if !first && over != nil {
		<-over
	}
	read()
	if event != nil {
		event(context.WithValue(ctx, inside{}, true))
		close(over)
	}
}

func (s *torn) Get(ctx context.Context, key table.Key) (item table.Item, err error) {
	s.read(ctx, key.PK, func() { item, err = s.Table.Get(ctx, key) })
	return item, err
}

// BatchGet reads its items one by one, as DynamoDB may.
func (s *torn) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	items := make([]table.Item, len(keys))
	reads, ctx := errgroup.WithContext(ctx)
	for i, key := range keys {
		reads.Go(func() (err error) {
			items[i], err = s.Get(ctx, key)
			return err
		})
	}
	return items, reads.Wait()
}

func (s *torn) Query(ctx context.Context, q table.Query) (page table.Page, err error) {
	s.read(ctx, q.PK, func() { page, err = s.Table.Query(ctx, q) })
	return page, err
}

// TestS6_TheSessionThatIsKeptIsNeverToldThatItIsOver, neither to who reads it before the
// others end and its user after, nor the other way round.
func TestS6_TheSessionThatIsKeptIsNeverToldThatItIsOver(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"SES#", "USR#"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				store := &torn{Table: tb, first: first}
				s := apptest.New(t, apptest.Options{Table: store})
				ada := s.NewUserCheap(t, "ada")
				kept, other := on(t, s, ada.ID, "phone"), on(t, s, ada.ID, "laptop")
				end := func(ctx context.Context) {
					_, err := s.Sessions.Terminate(ctx, apptest.Admin(), session.Terminate{UserID: ada.ID, KeepID: kept.SessionID})
					check(t, err)
				}
				store.between(end)
				if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), kept.SessionID, kept.Token); err != nil {
					t.Error(err)
				}
				wantAlive(t, s, kept)
				store.between(end)
				if _, err := s.TrySet(kept.SessionID, metadata("k", "v")); err != nil {
					t.Error(err)
				}
				wantOver(t, s, other)
			})
		})
	}
}

func TestS6_TheSessionThatIsKeptIsNeverLeftOut(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		store := &torn{Table: tb, first: "SES#"}
		s := apptest.New(t, apptest.Options{Table: store})
		ada := s.NewUserCheap(t, "ada")
		kept := on(t, s, ada.ID, "phone")
		store.between(func(ctx context.Context) {
			_, err := s.Sessions.Terminate(ctx, apptest.Admin(), session.Terminate{UserID: ada.ID, KeepID: kept.SessionID})
			check(t, err)
		})
		found, err := s.Sessions.List(t.Context(), apptest.Admin(), session.Search{
			Filters: []session.Filter{session.IDs{kept.SessionID}},
		})
		check(t, err)
		if len(found.Sessions) != 1 {
			t.Errorf("listed %+v, want the session that was kept", found.Sessions)
		}
	})
}
