package tabletest

import (
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var refusalCases = []contractCase{
	{"of values that cannot be stored", refusedValues},
	{"of keys", refusedKeys},
	{"of paths", refusedPaths},
	{"of conditions", refusedConditions},
	{"of whole writes", refusedWrites},
}

func wantRefused(t *testing.T, tb table.Table, ops ...table.Op) {
	t.Helper()
	err := tb.Write(t.Context(), table.Write{Ops: ops})
	wantFault(t, err, table.ErrRefused)
}

func refusedValues(t *testing.T, tb table.Table) {
	type text string
	deep := any("x")
	for range 40 {
		deep = map[string]any{"d": deep}
	}
	for _, v := range []any{
		nil, 1.5, 1, int32(1), uint64(1), text("x"), []string{"x"}, map[string]string{}, table.Item{}, new(int64), struct{}{},
		"\xff", []any{nil}, []any{[]any{1.5}}, map[string]any{"k": 1}, map[string]any{"": "x"}, map[string]any{"\xff": "x"},
		map[string]any{"k": []any{"\xff"}}, deep,
	} {
		wantRefused(t, tb, table.Put(key, table.Item{"v": v}, nil))
		wantRefused(t, tb, table.Update(key, nil, table.Set(table.At("v"), v)))
		wantRefused(t, tb, table.Update(key, nil, table.SetIfAbsent(table.At("v"), v)))
		wantRefused(t, tb, table.Put(numbered(0), nil, nil), table.Put(key, table.Item{"v": v}, nil))
	}
	wantItem(t, tb, key, nil)
	wantItem(t, tb, numbered(0), nil)
}

func refusedKeys(t *testing.T, tb table.Table) {
	for _, k := range []table.Key{
		{}, {PK: "P"}, {SK: "S"}, {PK: "\xff", SK: "S"}, {PK: "P", SK: "\xff"},
		{PK: strings.Repeat("x", table.MaxPartitionKey+1), SK: "S"},
		{PK: "P", SK: strings.Repeat("x", table.MaxSortKey+1)},
	} {
		wantRefused(t, tb, table.Put(k, nil, nil))
		wantRefused(t, tb, table.Update(k, nil, table.Set(table.At("a"), "x")))
		wantRefused(t, tb, table.Delete(k, nil))
		wantRefused(t, tb, table.Check(k, table.NotExists()))
		_, err := tb.Get(t.Context(), k)
		wantFault(t, err, table.ErrRefused)
		_, err = tb.BatchGet(t.Context(), []table.Key{key, k})
		wantFault(t, err, table.ErrRefused)
	}
}

func refusedPaths(t *testing.T, tb table.Table) {
	long := make(table.Path, 40)
	for i := range long {
		long[i] = "x"
	}
	for _, p := range []table.Path{nil, {}, {""}, {"a", ""}, {"PK"}, {"SK"}, {"PK", "x"}, {"\xff"}, long} {
		for _, c := range []table.Change{table.Set(p, "v"), table.SetIfAbsent(p, "v"), table.Remove(p), table.Add(p, 1)} {
			wantRefused(t, tb, table.Update(key, nil, c))
		}
		for _, c := range []table.Condition{table.Has(p), table.Eq(p, "v"), table.SizeLt(p, 1)} {
			wantRefused(t, tb, table.Check(key, c))
		}
	}
	for _, name := range []string{"", "PK", "SK", "\xff"} {
		wantRefused(t, tb, table.Put(key, table.Item{name: "v"}, nil))
	}
	a, ab := table.At("a"), table.At("a", "b")
	wantRefused(t, tb, table.Update(key, nil, table.Set(a, "v"), table.Remove(a)))
	wantRefused(t, tb, table.Update(key, nil, table.Set(a, map[string]any{}), table.Set(ab, "v")))
	wantRefused(t, tb, table.Update(key, nil, table.Set(ab, "v"), table.Remove(a)))
	wantItem(t, tb, key, nil)
}

func refusedConditions(t *testing.T, tb table.Table) {
	at := table.At("a")
	for _, c := range []table.Condition{
		nil, table.And(), table.Or(), table.Not(nil), table.And(nil), table.Or(table.Exists(), nil),
		table.Not(table.And(table.Or())), &table.ItemExists{},
		table.Eq(at, nil), table.Eq(at, 1), table.Eq(at, 1.5), table.Eq(at, []any{}), table.Eq(at, map[string]any{}), table.Eq(at, "\xff"),
		table.Lt(at, true), table.Ge(at, false),
		table.Compare{Path: at, Value: "x"}, table.Compare{Path: at, Rel: 99, Value: "x"},
	} {
		wantRefused(t, tb, table.Check(key, c))
		if c != nil {
			wantRefused(t, tb, table.Put(key, nil, c))
		}
	}
	wantItem(t, tb, key, nil)
}

func refusedWrites(t *testing.T, tb table.Table) {
	tooMany := make([]table.Op, table.MaxTransact+1)
	for i := range tooMany {
		tooMany[i] = table.Put(numbered(i), nil, nil)
	}
	two := []table.Op{table.Put(numbered(0), nil, nil), table.Put(numbered(1), nil, nil)}
	for name, w := range map[string]table.Write{
		"empty":                {},
		"too many":             {Ops: tooMany},
		"one key twice":        {Ops: []table.Op{two[0], two[1], table.Delete(numbered(0), nil)}},
		"checked and written":  {Ops: []table.Op{table.Check(key, table.NotExists()), table.Put(key, nil, nil)}},
		"long token":           {Token: strings.Repeat("x", table.MaxToken+1), Ops: two},
		"no kind":              {Ops: []table.Op{{Key: key}}},
		"unknown kind":         {Ops: []table.Op{{Kind: 99, Key: key}}},
		"update of nothing":    {Ops: []table.Op{table.Update(key, nil)}},
		"change of no kind":    {Ops: []table.Op{table.Update(key, nil, table.Change{Path: table.At("a")})}},
		"add of another type":  {Ops: []table.Op{table.Update(key, nil, table.Change{Kind: table.ChangeAdd, Path: table.At("a"), Value: 1})}},
		"put over 400 KB":      {Ops: []table.Op{table.Put(key, padded(key, table.MaxItem+1), nil), two[0]}},
		"put of a bad indexed": {Ops: []table.Op{two[0], table.Put(key, table.Item{indexPK: ""}, nil)}},
	} {
		t.Run(name, func(t *testing.T) {
			wantFault(t, tb.Write(t.Context(), w), table.ErrRefused)
			wantItem(t, tb, numbered(0), nil)
		})
	}
}
