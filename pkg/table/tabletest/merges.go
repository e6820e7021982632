package tabletest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var mergeCases = []contractCase{
	{"put partitions into one order", mergeOrders},
	{"keep to the bounds", mergeKeepsBounds},
	{"order ties by key, each row once, also across pages", mergeOrdersTies},
	{"read no more than is asked for", mergeReadsLittle},
	{"end where there is nothing", mergeOfNothing},
	{"end at a failure", mergeFails},
}

// shards are the partitions that the cases spread rows over.
var shards = []string{"s0", "s1", "s2"}

func shardQueries(q table.Query) []table.Query {
	all := make([]table.Query, len(shards))
	for i, s := range shards {
		all[i] = q
		all[i].Index, all[i].PK = indexName, s
	}
	return all
}

// scatter writes n rows, the i-th under numbered(i) with the sort key that born returns,
// over the partitions.
func scatter(t *testing.T, tb table.Table, n int, born func(i int) string) {
	t.Helper()
	for start := 0; start < n; start += table.MaxTransact {
		var ops []table.Op
		for i := start; i < min(start+table.MaxTransact, n); i++ {
			ops = append(ops, table.Put(numbered(i), indexed(shards[i*i%7%len(shards)], born(i)), nil))
		}
		write(t, tb, ops...)
	}
}

// merged reads up to n rows of the partitions and returns their sort keys in the
// table.
func merged(t *testing.T, tb table.Table, q table.Query, n int) []string {
	t.Helper()
	var got []string
	for row, err := range table.Merge(t.Context(), tb, indexSK, shardQueries(q)) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, row.Key.SK); len(got) == n {
			break
		}
	}
	return got
}

// names are the sort keys of numbered from up to, without, to.
func names(from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, numbered(i).SK)
	}
	return all
}

func mergeOrders(t *testing.T, tb table.Table) {
	const n = 500 // several pages of each partition
	scatter(t, tb, n, func(i int) string { return fmt.Sprintf("%04d", i) })
	want := names(0, n)
	wantSorts(t, merged(t, tb, table.Query{}, 0), want)
	wantSorts(t, merged(t, tb, table.Query{Limit: 1, Cursor: "not used"}, 0), want)
	slices.Reverse(want)
	wantSorts(t, merged(t, tb, table.Query{Descending: true}, 0), want)
}

func mergeKeepsBounds(t *testing.T, tb table.Table) {
	scatter(t, tb, 20, func(i int) string { return fmt.Sprintf("%04d", i) })
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"0005", "", names(5, 20)},
		{"", "0005", names(0, 6)},
		{"0005", "0009", names(5, 10)},
		{"0005", "0005", names(5, 6)},
		{"0009", "0005", nil},
		{"0020", "", nil},
	} {
		wantSorts(t, merged(t, tb, table.Query{From: c.from, To: c.to}, 0), c.want)
		slices.Reverse(c.want)
		wantSorts(t, merged(t, tb, table.Query{From: c.from, To: c.to, Descending: true}, 0), c.want)
	}
}

func mergeOrdersTies(t *testing.T, tb table.Table) {
	const n = 400
	scatter(t, tb, n, func(i int) string { return fmt.Sprint(i / 250) }) // more than a page has of each
	want := names(0, n)
	wantSorts(t, merged(t, tb, table.Query{}, 0), want)
	wantSorts(t, merged(t, tb, table.Query{}, 300), want[:300])
	slices.Reverse(want)
	wantSorts(t, merged(t, tb, table.Query{Descending: true}, 0), want)
	var twice []string
	queries := append(shardQueries(table.Query{}), shardQueries(table.Query{})...)
	for row, err := range table.Merge(t.Context(), tb, indexSK, queries) {
		if err != nil {
			t.Fatal(err)
		}
		twice = append(twice, row.Key.SK)
	}
	wantSorts(t, twice, names(0, n))
}

func mergeReadsLittle(t *testing.T, tb table.Table) {
	const n = 900
	scatter(t, tb, n, func(i int) string { return fmt.Sprintf("%04d", i) })
	m := NewMeter(tb, 0)
	for _, c := range []struct{ rows, most int }{
		{1, len(shards)},
		{20, len(shards)},
		{100, 2 * len(shards)},
		{n, 4 * len(shards)}, // pages of 64, 128, 256 and 512
	} {
		for _, descending := range []bool{false, true} {
			m.Reset()
			if got := merged(t, m, table.Query{Descending: descending}, c.rows); len(got) != c.rows {
				t.Errorf("%d rows, want %d", len(got), c.rows)
			}
			if calls := m.Calls(); calls.Query > c.most || calls.Total() != calls.Query {
				t.Errorf("%d rows took %+v, want at most %d queries", c.rows, calls, c.most)
			}
		}
	}
}

func mergeOfNothing(t *testing.T, tb table.Table) {
	wantSorts(t, merged(t, tb, table.Query{}, 0), nil)
	for row, err := range table.Merge(t.Context(), tb, indexSK, nil) {
		t.Errorf("no query found %v, %v", row, err)
	}
}

func mergeFails(t *testing.T, tb table.Table) {
	scatter(t, tb, 300, func(i int) string { return fmt.Sprintf("%04d", i) })
	for _, q := range []table.Query{{From: "\xff"}, {Prefix: "0", From: "0"}} {
		if n, err := mergedUntilError(t.Context(), tb, q); n != 0 || err == nil {
			t.Errorf("%+v: %d rows, %v", q, n, err)
		}
	}
	for broken := 1; broken <= len(shards)+1; broken++ { // at least one has a second page
		faulty := NewFaulty(tb, func(n int, _ string) Action {
			if n == broken {
				return Fail
			}
			return Pass
		})
		if n, err := mergedUntilError(t.Context(), faulty, table.Query{}); err == nil || n == 300 {
			t.Errorf("read %d fails: %d rows, %v", broken, n, err)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := mergedUntilError(over, tb, table.Query{}); n != 0 || err == nil {
		t.Errorf("a canceled context: %d rows, %v", n, err)
	}
}

// mergedUntilError returns how many rows came before the error, which has to be the
// last that comes.
func mergedUntilError(ctx context.Context, tb table.Table, q table.Query) (n int, failed error) {
	for _, err := range table.Merge(ctx, tb, indexSK, shardQueries(q)) {
		if failed != nil {
			return n, nil
		}
		if failed = err; err == nil {
			n++
		}
	}
	return n, failed
}
