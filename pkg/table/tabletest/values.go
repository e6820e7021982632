package tabletest

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

var valueCases = []contractCase{
	{"come back as they went in", valuesRoundTrip},
	{"that are nil slices and maps come back empty", nilsRoundTrip},
	{"are not shared with the writer", writerSharesNothing},
	{"are not shared with readers", readersShareNothing},
	{"may lie under unusual keys", unusualKeys},
	{"may fill an item to its limit", largestItem},
}

func everything() table.Item {
	return table.Item{
		"text": "naïve €ж 😀 \x00 \"quoted\"", "emptyText": "",
		"zero": int64(0), "max": int64(math.MaxInt64), "min": int64(math.MinInt64), "hundred": int64(100),
		"yes": true, "no": false,
		"bytes": []byte{0, 255, 10}, "emptyBytes": []byte{},
		"list":      []any{"a", int64(1), true, []byte{1}, []any{}, map[string]any{}},
		"emptyList": []any{},
		"map":       map[string]any{"a.b": "x", "m": map[string]any{"l": []any{map[string]any{"deep": int64(-1)}}}},
		"emptyMap":  map[string]any{},
		"ttl":       "not a number",
	}
}

func valuesRoundTrip(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, everything(), nil))
	wantItem(t, tb, key, everything())
	for name, v := range everything() {
		write(t, tb, table.Update(numbered(1), nil, table.Set(table.At(name), v)))
	}
	wantItem(t, tb, numbered(1), everything())
	nested := map[string]any(everything())
	write(t, tb, table.Put(key, table.Item{"m": nested}, nil), table.Check(numbered(1), table.Exists()))
	wantItem(t, tb, key, table.Item{"m": nested})
}

func nilsRoundTrip(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, table.Item{"b": []byte(nil), "l": []any(nil), "m": map[string]any(nil)}, nil))
	wantItem(t, tb, key, table.Item{"b": []byte{}, "l": []any{}, "m": map[string]any{}})
}

// spoil changes everything in the item that can be changed in place.
func spoil(item table.Item) {
	item["bytes"].([]byte)[0] ^= 1
	item["list"].([]any)[0] = "spoiled"
	item["list"].([]any)[3].([]byte)[0] ^= 1
	item["map"].(map[string]any)["a.b"] = "spoiled"
	delete(item["map"].(map[string]any)["m"].(map[string]any), "l")
	item["emptyMap"].(map[string]any)["k"] = "spoiled"
	item["text"] = "spoiled"
}

func writerSharesNothing(t *testing.T, tb table.Table) {
	put, set := everything(), everything()
	write(t, tb, table.Put(key, put, nil))
	write(t, tb, table.Update(numbered(1), nil, table.Set(table.At("m"), map[string]any(set))))
	spoil(put)
	spoil(set)
	wantItem(t, tb, key, everything())
	wantItem(t, tb, numbered(1), table.Item{"m": map[string]any(everything())})

	// Changing an item in the store must not reach into the arguments either.
	inner := map[string]any{"n": int64(1)}
	write(t, tb, table.Put(numbered(2), table.Item{"m": inner}, nil))
	write(t, tb, table.Update(numbered(2), nil, table.Add(table.At("m", "n"), 1)))
	if diff := cmp.Diff(map[string]any{"n": int64(1)}, inner); diff != "" {
		t.Errorf("the argument was changed:\n%s", diff)
	}
}

func readersShareNothing(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, everything(), nil))
	got, err := tb.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	spoil(got)
	batch, err := tb.BatchGet(t.Context(), []table.Key{key})
	if err != nil {
		t.Fatal(err)
	}
	spoil(batch[0])
	page, err := tb.Query(t.Context(), table.Query{PK: key.PK})
	if err != nil {
		t.Fatal(err)
	}
	spoil(page.Rows[0].Attrs)
	err = tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, nil, table.NotExists())}})
	wantConflict(t, err, table.Failure{Old: everything()})
	wantItem(t, tb, key, everything())
}

func unusualKeys(t *testing.T, tb table.Table) {
	keys := []table.Key{
		{PK: " ", SK: " "}, {PK: "a", SK: "b/c"}, {PK: "a/b", SK: "c"}, {PK: "\x00", SK: "\x00"},
		{PK: "a", SK: "\x00\x01b"}, {PK: "a\x00\x01", SK: "b"}, {PK: "a\x00", SK: "\x01b"}, {PK: "a\x00\xc3\xbf", SK: "b"},
		{PK: "€ж", SK: "😀"}, {PK: "%00", SK: "\n\t"}, {PK: `"`, SK: `\`},
		{PK: strings.Repeat("k", table.MaxPartitionKey), SK: strings.Repeat("k", table.MaxSortKey)},
		{PK: strings.Repeat("\x00", table.MaxPartitionKey), SK: strings.Repeat("é", table.MaxSortKey/2)},
	}
	for i, k := range keys {
		write(t, tb, table.Put(k, table.Item{"i": int64(i)}, table.NotExists()))
	}
	got, err := tb.BatchGet(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, k := range keys {
		if got[i]["i"] != int64(i) {
			t.Errorf("%q has %v, want item %d", k, got[i], i)
		}
		page, err := tb.Query(t.Context(), table.Query{PK: k.PK, From: k.SK, To: k.SK})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) != 1 || page.Rows[0].Key != k || page.Rows[0].Attrs["i"] != int64(i) {
			t.Errorf("query of %q: %v", k, page.Rows)
		}
	}
}

// padded returns an item of exactly the size: four key bytes of names, the key's own
// bytes, and one attribute.
func padded(k table.Key, size int) table.Item {
	return table.Item{"v": strings.Repeat("x", size-len("PKSKv")-len(k.PK)-len(k.SK))}
}

func largestItem(t *testing.T, tb table.Table) {
	full := padded(key, table.MaxItem)
	write(t, tb, table.Put(key, full, nil))
	wantItem(t, tb, key, full)
	over := padded(key, table.MaxItem+1)
	for _, op := range []table.Op{
		table.Put(key, over, nil),
		table.Update(key, nil, table.Set(table.At("v"), over["v"])),
		table.Update(key, nil, table.Set(table.At("w"), "")),
	} {
		wantFault(t, tb.Write(t.Context(), table.Write{Ops: []table.Op{op}}), table.ErrRefused)
	}
	wantItem(t, tb, key, full)
}
