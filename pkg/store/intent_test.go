package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// fullIntent has every field set.
func fullIntent() *intent.Intent {
	now := apptest.Epoch()
	return &intent.Intent{
		ID: "0123456789abcdefghjkmnpqrs", ProviderID: "p", State: intent.Succeeded, Revision: 2, Created: now, Changed: now.Add(time.Second),
		ExpiresAt: now.Add(time.Hour), SuccessURL: "https://a.example/ok", FailureURL: "https://a.example/failed",
		KeyID: "k1", UserID: "ada", Sealed: []byte{0, 1, 255},
	}
}

func saved(t *testing.T, s *store.Store, old, changed *intent.Intent) {
	t.Helper()
	if err := s.SaveIntent(t.Context(), old, changed); err != nil {
		t.Fatal(err)
	}
}

func intentOf(t *testing.T, s *store.Store, id string) *intent.Intent {
	t.Helper()
	i, err := s.Intent(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAnIntentComesBackAndIsSavedUnderItsRevision(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		old := fullIntent()
		saved(t, s, nil, old)
		if diff := cmp.Diff(old, intentOf(t, s, old.ID)); diff != "" {
			t.Errorf("intent (-want +got):\n%s", diff)
		}
		if err := s.SaveIntent(t.Context(), nil, old); !errors.Is(err, fault.Conflict) {
			t.Errorf("a second one with the id: %v", err)
		}
		used := old.Consume(apptest.Epoch())
		saved(t, s, old, used)
		if diff := cmp.Diff(used, intentOf(t, s, old.ID)); diff != "" || used.Sealed != nil || used.Revision != 3 {
			t.Errorf("after its use (-want +got):\n%s", diff)
		}
		if err := s.SaveIntent(t.Context(), old, used); !errors.Is(err, fault.Conflict) {
			t.Errorf("a second use: %v", err)
		}
		for _, id := range []string{"", "unknown"} {
			if i := intentOf(t, s, id); i != nil {
				t.Errorf("%q is %+v", id, i)
			}
		}
	})
}

func TestASessionIsWrittenWithTheIntentThatItUsesOrNotAtAll(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		save(t, s, nil, fullUser())
		open := fullIntent()
		saved(t, s, nil, open)
		change := session.Change{New: fullSession(), OldIntent: open, NewIntent: open.Consume(apptest.Epoch())}
		commit(t, s, change)
		l := load(t, s, session.Ref{SessionID: sessionID, IntentID: open.ID})
		if l.Intent == nil || l.Intent.State != intent.Consumed {
			t.Errorf("loaded %+v", l.Intent)
		}
		next := fullSession()
		next.Revision++
		change.Old, change.New = fullSession(), next
		if err := s.Commit(t.Context(), change); !errors.Is(err, fault.Conflict) {
			t.Errorf("a second use: %v", err)
		}
		if l := load(t, s, session.Ref{SessionID: sessionID}); l.Session.Revision != fullSession().Revision || l.Intent != nil {
			t.Errorf("the session moved on: %+v", l)
		}
	})
}

// TestR2_AnIntentWhoseWriteLostItsAnswerIsSavedOnce repeats the write on the way, as the
// client of DynamoDB does.
func TestR2_AnIntentWhoseWriteLostItsAnswerIsSavedOnce(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(twice{tb}, rand.Reader)
	old := fullIntent()
	saved(t, s, nil, old)
	used := old.Consume(apptest.Epoch())
	saved(t, s, old, used)
	if diff := cmp.Diff(used, intentOf(t, s, old.ID)); diff != "" {
		t.Errorf("intent (-want +got):\n%s", diff)
	}
}

// twice is a table to which every write goes two times, of which the second is answered.
type twice struct{ table.Table }

func (d twice) Write(ctx context.Context, w table.Write) error {
	if err := d.Table.Write(ctx, w); err != nil {
		return err
	}
	return d.Table.Write(ctx, w)
}

func TestAnIntentIsSweptAnHourAfterItsTime(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, rand.Reader)
	saved(t, s, nil, fullIntent())
	for key, item := range apptest.Dump(t, tb) {
		if want := fullIntent().ExpiresAt.Add(time.Hour).Unix(); item["ttl"] != want {
			t.Errorf("%s: ttl %v, want %d", key, item["ttl"], want)
		}
	}
}

func TestLinksComeBackAndLeadToTheirUser(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		ada := withKeys(fullKeys()...)
		ada.Links = []user.Link{{ProviderID: "p", ExternalID: strings.Repeat("é", 200), Name: "Ada"}}
		save(t, s, nil, ada)
		got := load(t, s, session.Ref{UserID: "ada", Depth: session.WholeUser}).User
		if diff := cmp.Diff(ada, got, compare); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
		for account, want := range map[[2]string]string{
			{"p", ada.Links[0].ExternalID}: "ada", {"q", ada.Links[0].ExternalID}: "", {"p", "x"}: "", {"", "p" + ada.Links[0].ExternalID}: "",
		} {
			if id, err := s.LinkedUser(t.Context(), account[0], account[1]); id != want || err != nil {
				t.Errorf("%v leads to %q, %v", account, id, err)
			}
		}
	})
}

func TestFailuresOfTheStoreAreToldOfAnIntent(t *testing.T) {
	t.Parallel()
	s := store.New(tabletest.NewFaulty(apptest.Bolt(t), func(int, string) tabletest.Action { return tabletest.Fail }), rand.Reader)
	_, read := s.Intent(t.Context(), "id")
	_, linked := s.LinkedUser(t.Context(), "p", "x")
	_, loaded := s.Load(t.Context(), session.Ref{IntentID: "id"})
	for _, err := range []error{read, linked, loaded, s.SaveIntent(t.Context(), nil, fullIntent())} {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	}
}

func TestAnUnreadableIntentOrLinkIsAnInternalFault(t *testing.T) {
	t.Parallel()
	s := store.New(weird{table.Item{"r": "text", "idp": int64(1), "u": true}}, rand.Reader)
	_, read := s.Intent(t.Context(), "id")
	_, linked := s.LinkedUser(t.Context(), "p", "x")
	_, linksOf := s.User(t.Context(), "ada")
	for _, err := range []error{read, linked, linksOf} {
		if f := fault.From(err); f == nil || f.ID != "STEPUP-corrupt" {
			t.Errorf("got %v", err)
		}
	}
}
