package tabletest

import (
	"math"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var changeCases = []contractCase{
	{"leave the rest of the item alone", changesApply},
	{"create an item that is not there", changesCreate},
	{"need the parent map of a nested path", changesNeedParent},
	{"add only to numbers", addNeedsNumber},
	{"that cannot be made undo the whole write", brokenChangeUndoesWrite},
	{"take names literally", changesTakeNamesLiterally},
	{"keep numbers exact", addIsExact},
}

func changesApply(t *testing.T, tb table.Table) {
	at := table.At
	inner := func(m map[string]any) table.Item { return table.Item{"keep": "k", "m": m} }
	for _, c := range []struct {
		name         string
		before, want table.Item
		changes      []table.Change
	}{
		{"set new", table.Item{"keep": "k"}, table.Item{"keep": "k", "a": "x"},
			[]table.Change{table.Set(at("a"), "x")}},
		{"set over another type", table.Item{"a": int64(1), "keep": "k"}, table.Item{"a": []any{}, "keep": "k"},
			[]table.Change{table.Set(at("a"), []any{})}},
		{"set nested", inner(map[string]any{"k": "v"}), inner(map[string]any{"k": "v", "n": int64(1)}),
			[]table.Change{table.Set(at("m", "n"), int64(1))}},
		{"set whole map", inner(map[string]any{"k": "v"}), inner(map[string]any{"z": true}),
			[]table.Change{table.Set(at("m"), map[string]any{"z": true})}},
		{"set if absent", table.Item{"a": "old"}, table.Item{"a": "old", "b": "new"},
			[]table.Change{table.SetIfAbsent(at("a"), "new"), table.SetIfAbsent(at("b"), "new")}},
		{"set if absent nested", inner(map[string]any{"k": "v"}), inner(map[string]any{"k": "v", "l": "w"}),
			[]table.Change{table.SetIfAbsent(at("m", "k"), "w"), table.SetIfAbsent(at("m", "l"), "w")}},
		{"remove", table.Item{"a": "x", "keep": "k"}, table.Item{"keep": "k"},
			[]table.Change{table.Remove(at("a")), table.Remove(at("nothing"))}},
		{"remove last", table.Item{"a": "x"}, table.Item{},
			[]table.Change{table.Remove(at("a"))}},
		{"remove nested, keeping the empty map", inner(map[string]any{"k": "v"}), inner(map[string]any{}),
			[]table.Change{table.Remove(at("m", "k")), table.Remove(at("m", "z"))}},
		{"add", table.Item{"n": int64(5)}, table.Item{"n": int64(2), "new": int64(4)},
			[]table.Change{table.Add(at("n"), -3), table.Add(at("new"), 4)}},
		{"add nested", inner(map[string]any{"n": int64(1)}), inner(map[string]any{"n": int64(3), "o": int64(1)}),
			[]table.Change{table.Add(at("m", "n"), 2), table.Add(at("m", "o"), 1)}},
		{"all at once", table.Item{"s": "a", "n": int64(1), "r": true, "keep": "k"},
			table.Item{"s": "b", "n": int64(2), "d": "d", "keep": "k"},
			[]table.Change{table.Remove(at("r")), table.Set(at("s"), "b"), table.Add(at("n"), 1), table.SetIfAbsent(at("d"), "d")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			write(t, tb, table.Put(key, c.before, nil))
			write(t, tb, table.Update(key, nil, c.changes...))
			wantItem(t, tb, key, c.want)
		})
	}
}

func changesCreate(t *testing.T, tb table.Table) {
	write(t, tb, table.Update(key, table.NotExists(), table.Set(table.At("a"), "x"), table.Add(table.At("n"), 1)))
	wantItem(t, tb, key, table.Item{"a": "x", "n": int64(1)})

	bare := table.Key{PK: "P", SK: "bare"}
	write(t, tb, table.Update(bare, nil, table.Remove(table.At("a"))))
	wantItem(t, tb, bare, table.Item{})
}

func changesNeedParent(t *testing.T, tb table.Table) {
	stored := table.Item{"text": "x", "map": map[string]any{}}
	write(t, tb, table.Put(key, stored, nil))
	for _, k := range []table.Key{key, {PK: "P", SK: "none"}} {
		for _, path := range []table.Path{table.At("nothing", "k"), table.At("text", "k"), table.At("map", "k", "l")} {
			for _, c := range []table.Change{table.Set(path, "v"), table.SetIfAbsent(path, "v"), table.Add(path, 1)} {
				err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Update(k, nil, c)}})
				wantFault(t, err, table.ErrRefused)
			}
		}
	}
	wantItem(t, tb, key, stored)
}

func addNeedsNumber(t *testing.T, tb table.Table) {
	stored := table.Item{"text": "1", "map": map[string]any{}}
	write(t, tb, table.Put(key, stored, nil))
	for _, name := range []string{"text", "map"} {
		err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Update(key, nil, table.Add(table.At(name), 1))}})
		wantFault(t, err, table.ErrRefused)
	}
	wantItem(t, tb, key, stored)
}

func brokenChangeUndoesWrite(t *testing.T, tb table.Table) {
	other := table.Key{PK: "P", SK: "other"}
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{
		table.Put(other, table.Item{"a": "x"}, nil),
		table.Update(key, nil, table.Set(table.At("nothing", "k"), "v")),
	}})
	wantFault(t, err, table.ErrRefused)
	wantItem(t, tb, other, nil)
	wantItem(t, tb, key, nil)

	// A false condition is reported even when a change could not be made either.
	err = tb.Write(t.Context(), table.Write{Ops: []table.Op{
		table.Put(other, table.Item{"a": "x"}, table.Exists()),
		table.Update(key, nil, table.Set(table.At("nothing", "k"), "v")),
	}})
	wantConflict(t, err, table.Failure{Op: 0})
}

func changesTakeNamesLiterally(t *testing.T, tb table.Table) {
	names := []string{"a.b", "m[0]", "]x[", "#0", ":0", "size", "with space", "€ж", "\x00"}
	write(t, tb, table.Put(key, table.Item{"map": map[string]any{}}, nil))
	top, inner := table.Item{}, map[string]any{}
	for _, name := range names {
		write(t, tb, table.Update(key, nil, table.Set(table.At(name), name), table.Set(table.At("map", name), name)))
		top[name], inner[name] = name, name
	}
	top["map"] = inner
	wantItem(t, tb, key, top)
}

func addIsExact(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, table.Item{"n": int64(math.MaxInt64 - 1), "m": int64(math.MinInt64 + 1)}, nil))
	write(t, tb, table.Update(key, nil, table.Add(table.At("n"), 1), table.Add(table.At("m"), -1)))
	wantItem(t, tb, key, table.Item{"n": int64(math.MaxInt64), "m": int64(math.MinInt64)})
}
