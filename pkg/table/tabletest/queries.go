package tabletest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

var queryCases = []contractCase{
	{"select a range of one partition", querySelects},
	{"order sort keys bytewise", queryOrdersBytewise},
	{"return the attributes with the key", queryReturnsRows},
	{"stop at the limit", queryLimits},
	{"page through what is too large for one answer", queryPagesBySize},
	{"refuse what cannot be asked", queryRefuses},
}

// fill puts bare items under the sort keys of partition P, and one into each of two
// partitions around it.
func fill(t *testing.T, tb table.Table, sorts ...string) {
	t.Helper()
	ops := []table.Op{table.Put(table.Key{PK: "O", SK: "b"}, nil, nil), table.Put(table.Key{PK: "P\x00", SK: "b"}, nil, nil)}
	for _, sk := range sorts {
		ops = append(ops, table.Put(table.Key{PK: "P", SK: sk}, nil, nil))
	}
	write(t, tb, ops...)
}

// collect reads all pages and returns the sort keys and the number of pages.
func collect(t *testing.T, tb table.Table, q table.Query) (sorts []string, pages int) {
	t.Helper()
	for {
		page, err := tb.Query(t.Context(), q)
		if err != nil {
			t.Fatalf("page %d: %v", pages, err)
		}
		pages++
		for _, r := range page.Rows {
			sorts = append(sorts, r.Key.SK)
		}
		if page.Next == "" {
			return sorts, pages
		}
		q.Cursor = page.Next
	}
}

func querySelects(t *testing.T, tb table.Table) {
	fill(t, tb, "a", "b", "b#1", "b#2", "b$", "c", "é")
	for _, c := range []struct {
		name string
		q    table.Query
		want []string
	}{
		{"all", table.Query{}, []string{"a", "b", "b#1", "b#2", "b$", "c", "é"}},
		{"prefix", table.Query{Prefix: "b"}, []string{"b", "b#1", "b#2", "b$"}},
		{"longer prefix", table.Query{Prefix: "b#"}, []string{"b#1", "b#2"}},
		{"prefix of nothing", table.Query{Prefix: "b#3"}, nil},
		{"prefix behind all", table.Query{Prefix: "z"}, nil},
		{"prefix at the end", table.Query{Prefix: "é"}, []string{"é"}},
		{"from", table.Query{From: "b#2"}, []string{"b#2", "b$", "c", "é"}},
		{"from between", table.Query{From: "b#"}, []string{"b#1", "b#2", "b$", "c", "é"}},
		{"to", table.Query{To: "b#1"}, []string{"a", "b", "b#1"}},
		{"to between", table.Query{To: "b#"}, []string{"a", "b"}},
		{"from to", table.Query{From: "b", To: "b#2"}, []string{"b", "b#1", "b#2"}},
		{"one", table.Query{From: "b", To: "b"}, []string{"b"}},
		{"turned bounds", table.Query{From: "c", To: "b"}, nil},
		{"from behind all", table.Query{From: "€"}, nil},
		{"to before all", table.Query{To: "A"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.PK = "P"
			got, _ := collect(t, tb, c.q)
			wantSorts(t, got, c.want)
			c.q.Descending = true
			got, _ = collect(t, tb, c.q)
			slices.Reverse(got)
			wantSorts(t, got, c.want)
		})
	}
	t.Run("another partition", func(t *testing.T) {
		got, _ := collect(t, tb, table.Query{PK: "nobody"})
		wantSorts(t, got, nil)
	})
}

func wantSorts(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func queryOrdersBytewise(t *testing.T, tb table.Table) {
	want := []string{"\x00", "\x00\x00", "\x00\x01", "\x01", " ", "10", "9", "A", "Z", "a", "a\x00", "a\x00b", "a\x01", "aa", "b", "é", "€ж", "😀"}
	shuffled := slices.Clone(want)
	slices.Reverse(shuffled)
	fill(t, tb, shuffled...)
	got, _ := collect(t, tb, table.Query{PK: "P"})
	wantSorts(t, got, want)
	got, _ = collect(t, tb, table.Query{PK: "P", Prefix: "\x00"})
	wantSorts(t, got, []string{"\x00", "\x00\x00", "\x00\x01"})
	got, _ = collect(t, tb, table.Query{PK: "P", To: "a", From: "Z", Descending: true})
	wantSorts(t, got, []string{"a", "Z"})
}

func queryReturnsRows(t *testing.T, tb table.Table) {
	item := table.Item{"a": "x", "m": map[string]any{"n": int64(1)}}
	write(t, tb, table.Put(key, item, nil))
	page, err := tb.Query(t.Context(), table.Query{PK: key.PK})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]table.Row{{Key: key, Attrs: item}}, page.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func queryLimits(t *testing.T, tb table.Table) {
	want := []string{"a", "b", "c", "d", "e"}
	fill(t, tb, want...)
	for limit := 1; limit <= 6; limit++ {
		for _, descending := range []bool{false, true} {
			q := table.Query{PK: "P", Limit: limit, Descending: descending}
			page, err := tb.Query(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Rows) != min(limit, len(want)) {
				t.Errorf("limit %d: %d rows", limit, len(page.Rows))
			}
			got, _ := collect(t, tb, q)
			if descending {
				slices.Reverse(got)
			}
			wantSorts(t, got, want)
		}
	}
}

func queryPagesBySize(t *testing.T, tb table.Table) {
	large := strings.Repeat("x", 300<<10)
	var want []string
	for i := range 8 {
		write(t, tb, table.Put(numbered(i), table.Item{"v": large}, nil))
		want = append(want, numbered(i).SK)
	}
	got, pages := collect(t, tb, table.Query{PK: "P"})
	wantSorts(t, got, want)
	if pages < 2 {
		t.Errorf("2.4 MB came in %d page", pages)
	}
}

func queryRefuses(t *testing.T, tb table.Table) {
	long := strings.Repeat("x", table.MaxSortKey+1)
	for i, q := range []table.Query{
		{},
		{PK: strings.Repeat("x", table.MaxPartitionKey+1)},
		{PK: "P", Index: "noSuchIndex"},
		{PK: "P", Prefix: "a", From: "a"},
		{PK: "P", Prefix: "a", To: "a"},
		{PK: "P", Limit: -1},
		{PK: "P", Prefix: long},
		{PK: "P", From: long},
		{PK: "P", To: "\xff"},
		{PK: "\xff"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, err := tb.Query(t.Context(), q)
			wantFault(t, err, table.ErrRefused)
		})
	}
}
