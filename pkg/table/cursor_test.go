package table_test

import (
	"errors"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var schema = table.Schema{Indexes: []table.Index{{Name: "byUser", PK: "user", SK: "born"}}, TTL: "ttl"}

func TestCursorReturnsItsPosition(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		q table.Query
		p table.Position
	}{
		"table":        {table.Query{PK: "P"}, table.Position{Sort: "S", Key: table.Key{PK: "P", SK: "S"}}},
		"prefix":       {table.Query{PK: "P", Prefix: "S"}, table.Position{Sort: "S1", Key: table.Key{PK: "P", SK: "S1"}}},
		"bounds":       {table.Query{PK: "P", From: "S", To: "S"}, table.Position{Sort: "S", Key: table.Key{PK: "P", SK: "S"}}},
		"index":        {table.Query{Index: "byUser", PK: "U"}, table.Position{Sort: "B", Key: table.Key{PK: "P", SK: "S"}}},
		"any bytes":    {table.Query{PK: "\x00\x01"}, table.Position{Sort: "€\x00", Key: table.Key{PK: "\x00\x01", SK: "€\x00"}}},
		"no ambiguity": {table.Query{Index: "byUser", PK: "UB"}, table.Position{Sort: "P", Key: table.Key{PK: "S", SK: "S"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.q.Cursor = c.q.CursorAfter(c.p)
			got, ok, err := c.q.Position()
			if got != c.p || !ok || err != nil {
				t.Errorf("got %+v, %v, %v, want %+v", got, ok, err, c.p)
			}
		})
	}
}

func TestNoCursorIsNoPosition(t *testing.T) {
	t.Parallel()
	if p, ok, err := (table.Query{PK: "P"}).Position(); ok || err != nil {
		t.Errorf("got %+v, %v, %v", p, ok, err)
	}
}

// FuzzCursor holds that whatever a client sends as a cursor is either refused or a
// place that the query itself can have returned, and that there is one form of it.
func FuzzCursor(f *testing.F) {
	q := table.Query{PK: "P", Prefix: "S"}
	f.Add("", "P", "S", q.CursorAfter(table.Position{Sort: "S1", Key: table.Key{PK: "P", SK: "S1"}}))
	q = table.Query{Index: "byUser", PK: "U"}
	f.Add("byUser", "U", "", q.CursorAfter(table.Position{Sort: "B", Key: table.Key{PK: "P", SK: "S"}}))
	f.Add("", "P", "", "AQ")
	f.Add("", "P", "", "!")
	f.Fuzz(func(t *testing.T, index, pk, prefix, cursor string) {
		q := table.Query{Index: index, PK: pk, Prefix: prefix, Cursor: cursor}
		if q.Validate(schema) != nil {
			return
		}
		p, ok, err := q.Position()
		if err != nil {
			if !errors.Is(err, table.ErrCursor) {
				t.Fatalf("a fault of the wrong kind: %v", err)
			}
			return
		}
		if ok != (cursor != "") {
			t.Fatalf("ok = %v for %q", ok, cursor)
		}
		if !ok {
			return
		}
		if !q.Selects(p.Sort) || q.CursorAfter(p) != cursor || (index == "" && p.Key != table.Key{PK: pk, SK: p.Sort}) {
			t.Fatalf("accepted %+v for %+v", p, q)
		}
	})
}
