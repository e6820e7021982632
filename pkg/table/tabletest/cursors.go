package tabletest

import (
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var cursorCases = []contractCase{
	{"continue where the page ended, whatever happened since", cursorSurvivesWrites},
	{"can be turned around", cursorTurns},
	{"of another query are refused", cursorIsBound},
	{"that are garbage are refused", cursorGarbage},
}

func firstPage(t *testing.T, tb table.Table, q table.Query) table.Page {
	t.Helper()
	page, err := tb.Query(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if page.Next == "" {
		t.Fatalf("%+v has one page of %d rows", q, len(page.Rows))
	}
	return page
}

func cursorSurvivesWrites(t *testing.T, tb table.Table) {
	fill(t, tb, "a", "b", "d", "e")
	q := table.Query{PK: "P", Limit: 2}
	q.Cursor = firstPage(t, tb, q).Next
	write(t, tb, table.Delete(table.Key{PK: "P", SK: "b"}, nil), table.Put(table.Key{PK: "P", SK: "c"}, nil, nil))
	got, _ := collect(t, tb, q)
	wantSorts(t, got, []string{"c", "d", "e"})
}

func cursorTurns(t *testing.T, tb table.Table) {
	fill(t, tb, "a", "b", "c", "d")
	q := table.Query{PK: "P", Limit: 3}
	q.Cursor, q.Descending = firstPage(t, tb, q).Next, true
	got, _ := collect(t, tb, q)
	wantSorts(t, got, []string{"b", "a"})
}

func cursorIsBound(t *testing.T, tb table.Table) {
	for i := range 4 {
		item := table.Item{indexPK: "P", indexSK: fmt.Sprint("a", i)}
		write(t, tb, table.Put(table.Key{PK: "P", SK: fmt.Sprint("a", i)}, item, nil))
	}
	ofTable := firstPage(t, tb, table.Query{PK: "P", Limit: 2}).Next
	ofIndex := firstPage(t, tb, table.Query{Index: indexName, PK: "P", Limit: 2}).Next
	for name, q := range map[string]table.Query{
		"another partition":                {PK: "Q", Cursor: ofTable},
		"the index":                        {Index: indexName, PK: "P", Cursor: ofTable},
		"the table":                        {PK: "P", Cursor: ofIndex},
		"another partition of the index":   {Index: indexName, PK: "Q", Cursor: ofIndex},
		"a prefix that excludes it":        {PK: "P", Prefix: "a2", Cursor: ofTable},
		"a range behind it":                {PK: "P", From: "a2", Cursor: ofTable},
		"a range before it":                {PK: "P", To: "a0", Cursor: ofTable},
		"a range of the index without it":  {Index: indexName, PK: "P", From: "a3", Cursor: ofIndex},
		"a prefix of the index without it": {Index: indexName, PK: "P", Prefix: "b", Cursor: ofIndex},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tb.Query(t.Context(), q)
			wantFault(t, err, table.ErrCursor)
		})
	}
}

func cursorGarbage(t *testing.T, tb table.Table) {
	fill(t, tb, "a", "b")
	good := firstPage(t, tb, table.Query{PK: "P", Limit: 1}).Next
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{
		"x", "!!!!", " ", good + "=", good + "A", good[:len(good)-1], good + "\n", "AAAA",
		encode(raw[:1]), encode(raw[1:]), encode(append([]byte{2}, raw[1:]...)), encode(append(raw, 0)),
		encode([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}),
		table.Query{PK: "P"}.CursorAfter(table.Position{}),
		table.Query{PK: "P"}.CursorAfter(table.Position{Sort: "\xff", Key: table.Key{PK: "P", SK: "\xff"}}),
		table.Query{PK: "P"}.CursorAfter(table.Position{Sort: "a", Key: table.Key{PK: "Q", SK: "a"}}),
		table.Query{PK: "P"}.CursorAfter(table.Position{Sort: "a", Key: table.Key{PK: "P", SK: "b"}}),
	} {
		t.Run(fmt.Sprintf("%q", cursor), func(t *testing.T) {
			_, err := tb.Query(t.Context(), table.Query{PK: "P", Cursor: cursor})
			wantFault(t, err, table.ErrCursor)
		})
	}
}
