package tabletest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

var indexCases = []contractCase{
	{"hold the items with both attributes, and keys only", indexHoldsKeys},
	{"follow the attributes", indexFollows},
	{"follow transactions", indexFollowsTransactions},
	{"page through equal sort keys", indexPagesThroughTies},
	{"select ranges in both directions", indexSelects},
	{"refuse keys that cannot be indexed", indexRefusesKeys},
}

func indexed(user, born string) table.Item {
	return table.Item{indexPK: user, indexSK: born, "other": "x"}
}

// wantIndexed checks the sort keys of the items that the index has for the user.
func wantIndexed(t *testing.T, tb table.Table, user string, want ...string) {
	t.Helper()
	got, _ := collect(t, tb, table.Query{Index: indexName, PK: user})
	slices.Sort(got)
	wantSorts(t, got, want)
}

func indexHoldsKeys(t *testing.T, tb table.Table) {
	write(t, tb,
		table.Put(numbered(0), indexed("u", "1"), nil),
		table.Put(numbered(1), table.Item{indexPK: "u"}, nil),
		table.Put(numbered(2), table.Item{indexSK: "1"}, nil),
		table.Put(numbered(3), table.Item{"other": "x"}, nil),
		table.Put(numbered(4), indexed("v", "1"), nil),
	)
	page, err := tb.Query(t.Context(), table.Query{Index: indexName, PK: "u"})
	if err != nil {
		t.Fatal(err)
	}
	want := []table.Row{{Key: numbered(0), Attrs: table.Item{indexPK: "u", indexSK: "1"}}}
	if diff := cmp.Diff(want, page.Rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func indexFollows(t *testing.T, tb table.Table) {
	k := numbered(0)
	at := table.At
	steps := []struct {
		op   table.Op
		u, v []string
	}{
		{table.Put(k, indexed("u", "1"), nil), []string{k.SK}, nil},
		{table.Update(k, nil, table.Set(at("other"), "y")), []string{k.SK}, nil},
		{table.Update(k, nil, table.Set(at(indexPK), "v")), nil, []string{k.SK}},
		{table.Update(k, nil, table.Remove(at(indexSK))), nil, nil},
		{table.Update(k, nil, table.SetIfAbsent(at(indexSK), "2")), nil, []string{k.SK}},
		{table.Put(k, indexed("u", "3"), nil), []string{k.SK}, nil},
		{table.Put(k, nil, nil), nil, nil},
		{table.Put(k, indexed("u", "3"), nil), []string{k.SK}, nil},
		{table.Delete(k, nil), nil, nil},
		{table.Update(k, nil, table.Set(at(indexPK), "u"), table.Set(at(indexSK), "1")), []string{k.SK}, nil},
	}
	for i, step := range steps {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			write(t, tb, step.op)
			wantIndexed(t, tb, "u", step.u...)
			wantIndexed(t, tb, "v", step.v...)
		})
	}
}

func indexFollowsTransactions(t *testing.T, tb table.Table) {
	write(t, tb,
		table.Put(numbered(0), indexed("u", "1"), nil),
		table.Put(numbered(1), indexed("u", "1"), nil),
		table.Put(numbered(2), indexed("u", "2"), nil),
	)
	wantIndexed(t, tb, "u", "000", "001", "002")
	write(t, tb,
		table.Update(numbered(0), nil, table.Set(table.At(indexPK), "v")),
		table.Delete(numbered(1), nil),
		table.Check(numbered(2), table.Exists()),
	)
	wantIndexed(t, tb, "u", "002")
	wantIndexed(t, tb, "v", "000")
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{
		table.Delete(numbered(0), nil),
		table.Check(numbered(2), table.NotExists()),
	}})
	wantConflict(t, err, table.Failure{Op: 1, Old: indexed("u", "2")})
	wantIndexed(t, tb, "v", "000")
}

func indexPagesThroughTies(t *testing.T, tb table.Table) {
	var want []string
	for i := range 7 {
		write(t, tb, table.Put(numbered(i), indexed("u", "same"), nil))
		want = append(want, numbered(i).SK)
	}
	for _, descending := range []bool{false, true} {
		got, pages := collect(t, tb, table.Query{Index: indexName, PK: "u", Limit: 2, Descending: descending})
		slices.Sort(got)
		wantSorts(t, got, want)
		if pages < 4 {
			t.Errorf("7 rows came in %d pages of 2", pages)
		}
	}
}

func indexSelects(t *testing.T, tb table.Table) {
	for i, born := range []string{"2026-01", "2026-02", "2026-1", "2027", "a\x00b"} {
		write(t, tb, table.Put(numbered(i), indexed("u", born), nil))
	}
	write(t, tb, table.Put(numbered(9), indexed("u\x00", "2026-01"), nil))
	for _, c := range []struct {
		name string
		q    table.Query
		want []string
	}{
		{"all", table.Query{}, []string{"000", "001", "002", "003", "004"}},
		{"prefix", table.Query{Prefix: "2026-0"}, []string{"000", "001"}},
		{"from to", table.Query{From: "2026-02", To: "2027"}, []string{"001", "002", "003"}},
		{"from", table.Query{From: "2026-1"}, []string{"002", "003", "004"}},
		{"to", table.Query{To: "2026-02"}, []string{"000", "001"}},
		{"a zero byte", table.Query{From: "a\x00b", To: "a\x00b"}, []string{"004"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.q.Index, c.q.PK, c.q.Limit = indexName, "u", 2
			got, _ := collect(t, tb, c.q)
			wantSorts(t, got, c.want)
			c.q.Descending = true
			got, _ = collect(t, tb, c.q)
			slices.Reverse(got)
			wantSorts(t, got, c.want)
		})
	}
}

func indexRefusesKeys(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, indexed("u", "1"), nil))
	long := make([]byte, table.MaxPartitionKey+1)
	for i := range long {
		long[i] = 'x'
	}
	for _, v := range []any{"", int64(1), true, []byte("u"), map[string]any{}, []any{}, string(long)} {
		for _, name := range []string{indexPK, indexSK} {
			for _, op := range []table.Op{
				table.Put(key, table.Item{name: v}, nil),
				table.Update(key, nil, table.Set(table.At(name), v)),
				table.Update(key, nil, table.SetIfAbsent(table.At(name), v)),
			} {
				wantFault(t, tb.Write(t.Context(), table.Write{Ops: []table.Op{op}}), table.ErrRefused)
			}
		}
	}
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Update(key, nil, table.Add(table.At(indexSK), 1))}})
	wantFault(t, err, table.ErrRefused)
	wantItem(t, tb, key, indexed("u", "1"))
}
