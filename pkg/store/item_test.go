package store_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
)

// raw returns the stored item of a session.
func raw(t *testing.T, tb table.Table) table.Item {
	t.Helper()
	item, err := tb.Get(t.Context(), table.Key{PK: "SES#" + sessionID, SK: "A"})
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestTTLIsExpiryPlusADay(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, rand.Reader)
	sess := fullSession()
	commit(t, s, session.Change{New: sess})
	if got, want := raw(t, tb)["ttl"], sess.ExpiresAt.Add(24*time.Hour).Unix(); got != want {
		t.Errorf("of an expiring session: %v, want %d", got, want)
	}
	endless := sess.Clone()
	endless.Revision++
	endless.ExpiresAt = time.Time{}
	commit(t, s, session.Change{Old: sess, New: endless})
	if got, has := raw(t, tb)["ttl"]; has {
		t.Errorf("of an endless session: %v", got)
	}
	dead := endless.Clone()
	dead.Revision++
	dead.TerminatedAt = apptest.Epoch().Add(time.Minute)
	commit(t, s, session.Change{Old: endless, New: dead})
	item := raw(t, tb)
	if got, want := item["ttl"], dead.TerminatedAt.Add(24*time.Hour).Unix(); got != want {
		t.Errorf("of a tombstone: %v, want %d", got, want)
	}
	for _, index := range store.Schema().Indexes {
		if _, listed := item[index.PK]; listed {
			t.Errorf("the tombstone is in index %s", index.Name)
		}
	}
}

func TestIndexKeysNeverChange(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, rand.Reader)
	sess := fullSession()
	commit(t, s, session.Change{New: sess})
	before := raw(t, tb)
	next := sess.Clone()
	next.Revision++
	next.Changed, next.ExpiresAt, next.Metadata = next.Changed.Add(time.Hour), time.Time{}, nil
	next.Factors.Password = next.Changed
	commit(t, s, session.Change{Old: sess, New: next})
	after := raw(t, tb)
	for _, index := range store.Schema().Indexes {
		for _, attr := range []string{index.PK, index.SK} {
			if before[attr] == nil || before[attr] != after[attr] {
				t.Errorf("%s of index %s: %v became %v", attr, index.Name, before[attr], after[attr])
			}
		}
	}
}

// TestTypicalSessionCostsOneWriteUnit: DynamoDB counts a kilobyte for each.
func TestTypicalSessionCostsOneWriteUnit(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	u := s.NewUser(t, "ada.lovelace@example.com")
	step := apptest.NamedGuess(u.ID, apptest.Password)
	step.Metadata = map[string][]byte{"requestId": make([]byte, 32), "locale": []byte("en-GB")}
	hour := time.Hour
	step.Lifetime = &hour
	r := s.NewSession(t, session.Create{Step: step, Agent: session.UserAgent{
		Fingerprint: "6f1c2a54-3c1e-4c77-9d0b-0c6a3b9e2f10", Description: "Firefox 140, Linux",
		Header: map[string][]string{"user-agent": {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}},
	}})
	for key, item := range apptest.Dump(t, tb) {
		if key.PK != "SES#"+r.SessionID {
			continue
		}
		padded := table.Item{"pad": make([]byte, table.MaxItem-1024)}
		maps.Copy(padded, item)
		if err := table.CheckSize(key, padded); err != nil {
			t.Errorf("it has more than a kilobyte: %v", err)
		}
		return
	}
	t.Error("the session is not there")
}

// weird is a table in which every read finds the same item.
type weird struct{ item table.Item }

func (w weird) Get(context.Context, table.Key) (table.Item, error) { return w.item, nil }

func (w weird) BatchGet(_ context.Context, keys []table.Key) ([]table.Item, error) {
	items := make([]table.Item, len(keys))
	for i := range items {
		items[i] = w.item
	}
	return items, nil
}

func (w weird) Query(_ context.Context, q table.Query) (table.Page, error) {
	var page table.Page
	for _, sk := range []string{"A", "GUARD", "LINK#x", "other"} {
		page.Rows = append(page.Rows, table.Row{Key: table.Key{PK: q.PK, SK: sk}, Attrs: w.item})
	}
	return page, nil
}

func (weird) Write(context.Context, table.Write) error { return nil }

// readAll calls everything that decodes and returns the errors.
func readAll(ctx context.Context, item table.Item) []error {
	s := store.New(weird{item}, rand.Reader)
	_, load := s.Load(ctx, session.Ref{SessionID: sessionID, Depth: session.WholeUser})
	_, guard := s.Load(ctx, session.Ref{SessionID: sessionID})
	_, named := s.Load(ctx, session.Ref{LoginName: "ada", Depth: session.WholeUser})
	_, sessions := s.Sessions(ctx, []string{sessionID})
	_, users := s.Users(ctx, []string{"ada"})
	_, one := s.User(ctx, "ada")
	_, key := s.Key(ctx, "id")
	_, keys := s.Keys(ctx)
	all := errorOf(s.UserIDs(ctx, false))
	_, intent := s.Intent(ctx, "id")
	_, linked := s.LinkedUser(ctx, "p", "x")
	return []error{load, guard, named, sessions, users, one, key, keys, all, intent, linked}
}

func TestUnreadableItemIsAnInternalFaultThatNamesTheAttribute(t *testing.T) {
	t.Parallel()
	token := make([]byte, 16)
	for name, item := range map[string]table.Item{
		"v":    {"tok": token, "v": "text"},
		"tok":  {"tok": token[:15]},
		"cr":   {"tok": token, "cr": true},
		"id":   {"tok": token, "usr": map[string]any{"id": int64(1)}},
		"usr":  {"tok": token, "usr": "text"},
		"md":   {"tok": token, "md": []any{}},
		"k":    {"tok": token, "md": map[string]any{"k": "text"}},
		"h":    {"tok": token, "ua": map[string]any{"h": true}},
		"list": {"tok": token, "ua": map[string]any{"h": map[string]any{"list": []any{int64(1)}}}},
		"addr": {"tok": token, "ua": map[string]any{"ip": "addr"}},
	} {
		s := store.New(weird{item}, rand.Reader)
		_, err := s.Sessions(t.Context(), []string{sessionID})
		f := fault.From(err)
		if f == nil || f.ID != "STEPUP-corrupt" || f.Kind != fault.Internal || !strings.Contains(f.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if f != nil && strings.Contains(f.Message(), name+"\"") {
			t.Errorf("%s: the client reads %q", name, f.Message())
		}
	}
}

// weave makes a nested value from bytes, and returns the bytes that are left.
func weave(b []byte, depth int) (any, []byte) {
	if len(b) < 2 {
		return nil, nil
	}
	kind, size := b[0]%6, int(b[1]%20)
	b = b[2:]
	switch kind {
	case 0:
		n := min(8, len(b))
		return int64(binary.BigEndian.Uint64(append(make([]byte, 8-n), b[:n]...))), b[n:]
	case 1:
		return size%2 == 0, b
	case 2:
		n := min(size, len(b))
		return b[:n], b[n:]
	case 3:
		n := min(size, len(b))
		return string(b[:n]), b[n:]
	}
	list, nested := []any{}, map[string]any{}
	for i := 0; i < size%6 && depth < 5 && len(b) > 0; i++ {
		var v any
		name := names[int(b[0])%len(names)]
		if v, b = weave(b[1:], depth+1); v != nil {
			list, nested[name] = append(list, v), v
		}
	}
	if kind == 4 {
		return list, b
	}
	return nested, b
}

// names are the attributes that the package reads.
var names = []string{
	"v", "tok", "cr", "ch", "by", "exp", "end", "usr", "pw", "md", "ua", "id", "org", "at", "ep", "fp", "ip", "d", "h",
	"un", "gn", "fn", "nn", "dn", "lang", "g", "em", "emv", "ph", "phv", "pwh", "pwc", "st", "pwat", "att", "n", "til", "w", "u",
	"name", "role", "sec", "rev", "ttl", "born", "byUser", "password",
	"r", "idp", "ext", "ok", "ko", "said", "k",
}

// FuzzDecode has a table return any item for any key: whatever it is, it is decoded or
// refused as corrupt.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 2, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for i := range names {
		for kind := range byte(6) {
			f.Add([]byte{1, 2, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, byte(i), kind, 7, 255, 255, 255, 255, 255, 255, 255, 255, 1, 3, 2, 65, 66})
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		item := table.Item{}
		for len(b) > 0 {
			name := names[int(b[0])%len(names)]
			var v any
			if v, b = weave(b[1:], 0); v != nil {
				item[name] = v
			}
		}
		for i, err := range readAll(t.Context(), item) {
			if err != nil && fault.From(err).ID != "STEPUP-corrupt" && !errors.Is(err, table.ErrCorrupt) {
				t.Errorf("read %d: %v", i, err)
			}
		}
	})
}

func TestAPIKeysAreKept(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		now := apptest.Epoch()
		k := access.Key{ID: "id", Name: "name", Role: access.OrgOwner, Organization: "red", SecretHash: [32]byte{1}, Created: now}
		if err := s.AddKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		var lost *table.Conflict
		if err := s.AddKey(t.Context(), k); !errors.As(err, &lost) {
			t.Errorf("the same id again: %v", err)
		}
		for i, at := range []time.Time{now.Add(time.Hour), now.Add(2 * time.Hour)} {
			if found, err := s.RevokeKey(t.Context(), "id", at); !found || err != nil {
				t.Errorf("revocation %d: %t, %v", i, found, err)
			}
		}
		if found, err := s.RevokeKey(t.Context(), "unknown", now); found || err != nil {
			t.Errorf("an unknown key: %t, %v", found, err)
		}
		k.RevokedAt = now.Add(time.Hour)
		got, err := s.Key(t.Context(), "id")
		if err != nil || got == nil || *got != k {
			t.Errorf("got %+v, %v", got, err)
		}
		all, err := s.Keys(t.Context())
		if err != nil || len(all) != 1 || all[0] != k {
			t.Errorf("all: %+v, %v", all, err)
		}
		if got, err := s.Key(t.Context(), "unknown"); got != nil || err != nil {
			t.Errorf("an unknown key is %v, %v", got, err)
		}
	})
}
