package tabletest

import (
	"errors"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var conditionCases = []contractCase{
	{"hold or fail as the stored item says", conditionsOnItem},
	{"of an absent item find nothing", conditionsOnNothing},
	{"guard every kind of operation", conditionsGuardOperations},
}

type conditionRow struct {
	name string
	cond table.Condition
	want bool
}

// subject is the item that the conditions below are about.
func subject() table.Item {
	return table.Item{
		"text":    "banana",
		"empty":   "",
		"number":  int64(7),
		"flag":    true,
		"bytes":   []byte{1, 2, 3},
		"list":    []any{"a", "b", "c"},
		"map":     map[string]any{"k": "v", "n": int64(-1), "deep": map[string]any{"x": int64(1)}},
		"a.b":     "dotted",
		"list[0]": "bracketed",
		"status":  "reserved",
	}
}

func conditionsOnItem(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, subject(), nil))
	rows := append(relationRows(), shapeRows()...)
	runConditions(t, tb, key, append(rows, combinationRows()...))
}

func relationRows() []conditionRow {
	at := table.At
	return []conditionRow{
		{"equal text", table.Eq(at("text"), "banana"), true},
		{"other text", table.Eq(at("text"), "Banana"), false},
		{"empty text", table.Eq(at("empty"), ""), true},
		{"equal number", table.Eq(at("number"), int64(7)), true},
		{"other number", table.Eq(at("number"), int64(8)), false},
		{"equal bool", table.Eq(at("flag"), true), true},
		{"other bool", table.Eq(at("flag"), false), false},
		{"equal bytes", table.Eq(at("bytes"), []byte{1, 2, 3}), true},
		{"longer bytes", table.Eq(at("bytes"), []byte{1, 2, 3, 0}), false},
		{"text is not its number", table.Eq(at("number"), "7"), false},
		{"text is not its bytes", table.Eq(at("text"), []byte("banana")), false},
		{"bool is not a number", table.Eq(at("flag"), int64(1)), false},
		{"a map equals no text", table.Eq(at("map"), "v"), false},
		{"absent equals nothing", table.Eq(at("nothing"), ""), false},
		{"absent is not less", table.Lt(at("nothing"), int64(1)), false},
		{"absent is not greater", table.Ge(at("nothing"), int64(0)), false},
		{"other type is not less", table.Lt(at("text"), int64(9)), false},
		{"other type is not greater", table.Ge(at("text"), int64(0)), false},
		{"number less", table.Lt(at("number"), int64(8)), true},
		{"number not less than itself", table.Lt(at("number"), int64(7)), false},
		{"number at most itself", table.Le(at("number"), int64(7)), true},
		{"number not at most less", table.Le(at("number"), int64(6)), false},
		{"number greater", table.Gt(at("number"), int64(-8)), true},
		{"number not greater than itself", table.Gt(at("number"), int64(7)), false},
		{"number at least itself", table.Ge(at("number"), int64(7)), true},
		{"number not at least more", table.Ge(at("number"), int64(8)), false},
		{"numbers are not compared as text", table.Lt(at("number"), int64(10)), true},
		{"text is compared bytewise", table.Gt(at("text"), "Zebra"), true},
		{"text less than its extension", table.Lt(at("text"), "bananas"), true},
		{"bytes are compared bytewise", table.Lt(at("bytes"), []byte{1, 200}), true},
	}
}

func shapeRows() []conditionRow {
	at := table.At
	return []conditionRow{
		{"exists", table.Exists(), true},
		{"not exists", table.NotExists(), false},
		{"has", table.Has(at("empty")), true},
		{"has not", table.Has(at("nothing")), false},
		{"has in map", table.Has(at("map", "k")), true},
		{"has not in map", table.Has(at("map", "z")), false},
		{"has in absent map", table.Has(at("nothing", "k")), false},
		{"has in text", table.Has(at("text", "k")), false},
		{"equal in map", table.Eq(at("map", "deep", "x"), int64(1)), true},
		{"other in map", table.Eq(at("map", "deep", "x"), int64(2)), false},
		{"equal in text", table.Eq(at("text", "k"), "v"), false},
		{"a dot is part of the name", table.Eq(at("a.b"), "dotted"), true},
		{"brackets are part of the name", table.Eq(at("list[0]"), "bracketed"), true},
		{"an element has no path", table.Has(at("list", "0")), false},
		{"any word is a name", table.Eq(at("status"), "reserved"), true},
		{"text below", table.SizeLt(at("text"), 7), true},
		{"text not below its size", table.SizeLt(at("text"), 6), false},
		{"empty text below one", table.SizeLt(at("empty"), 1), true},
		{"bytes below", table.SizeLt(at("bytes"), 4), true},
		{"bytes not below", table.SizeLt(at("bytes"), 3), false},
		{"list below", table.SizeLt(at("list"), 4), true},
		{"list not below", table.SizeLt(at("list"), 3), false},
		{"map below", table.SizeLt(at("map"), 4), true},
		{"map not below", table.SizeLt(at("map"), 3), false},
		{"absent has no size", table.SizeLt(at("nothing"), 9), false},
		{"a number has no size", table.SizeLt(at("number"), 9), false},
		{"a bool has no size", table.SizeLt(at("flag"), 9), false},
	}
}

func combinationRows() []conditionRow {
	yes, no := table.Exists(), table.NotExists()
	absent := table.Eq(table.At("nothing"), "x")
	return []conditionRow{
		{"and of true", table.And(yes, yes, yes), true},
		{"and with false", table.And(yes, yes, no), false},
		{"and of one", table.And(no), false},
		{"or of false", table.Or(no, no, no), false},
		{"or with true", table.Or(no, no, yes), true},
		{"or of one", table.Or(yes), true},
		{"not", table.Not(no), true},
		{"double not", table.Not(table.Not(no)), false},
		{"not of absent", table.Not(absent), true},
		{"not of another type", table.Not(table.Eq(table.At("text"), int64(1))), true},
		{"nested", table.And(yes, table.Or(absent, table.Not(table.And(yes, no)))), true},
		{"and binds its parts", table.And(table.Or(yes, no), no), false},
	}
}

func conditionsOnNothing(t *testing.T, tb table.Table) {
	at := table.At
	runConditions(t, tb, key, []conditionRow{
		{"exists", table.Exists(), false},
		{"not exists", table.NotExists(), true},
		{"has", table.Has(at("a")), false},
		{"equal", table.Eq(at("a"), ""), false},
		{"size", table.SizeLt(at("a"), 9), false},
		{"not equal", table.Not(table.Eq(at("a", "b"), "")), true},
	})
}

func runConditions(t *testing.T, tb table.Table, k table.Key, rows []conditionRow) {
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Check(k, r.cond)}})
			var conflict *table.Conflict
			if err != nil && !errors.As(err, &conflict) {
				t.Fatal(err)
			}
			if got := err == nil; got != r.want {
				t.Errorf("holds = %v, want %v", got, r.want)
			}
		})
	}
}

func conditionsGuardOperations(t *testing.T, tb table.Table) {
	stored := table.Item{"v": int64(1)}
	holds, fails := table.Eq(table.At("v"), int64(1)), table.Eq(table.At("v"), int64(2))
	for _, op := range []table.Op{
		table.Put(key, table.Item{"v": int64(9)}, nil),
		table.Update(key, nil, table.Set(table.At("v"), int64(9))),
		table.Delete(key, nil),
		table.Check(key, holds),
	} {
		write(t, tb, table.Put(key, stored, nil))
		op.If = fails
		err := tb.Write(t.Context(), table.Write{Ops: []table.Op{op}})
		wantConflict(t, err, table.Failure{Op: 0, Old: stored})
		wantItem(t, tb, key, stored)
		op.If = holds
		write(t, tb, op)
	}
	wantItem(t, tb, key, stored)
}
