package table_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
)

func TestRefusalsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	key := table.Key{PK: "P", SK: "S"}
	for want, op := range map[string]table.Op{
		"PK is empty":       table.Delete(table.Key{SK: "S"}, nil),
		"SK is empty":       table.Delete(table.Key{PK: "P"}, nil),
		"SK is not UTF-8":   table.Delete(table.Key{PK: "P", SK: "\xff"}, nil),
		"SK has 1025 bytes": table.Delete(table.Key{PK: "P", SK: strings.Repeat("x", 1025)}, nil),
		`attribute "a": element "b": element 1: `: table.Put(key, table.Item{"a": map[string]any{"b": []any{true, 1.5}}}, nil),
		"PK is the key":                         table.Put(key, table.Item{"PK": "x"}, nil),
		"over the limit of 409600":              table.Put(key, table.Item{"a": strings.Repeat("x", 400<<10)}, nil),
		"user is a key of index byUser":         table.Put(key, table.Item{"user": int64(1)}, nil),
		"index byUser: born is empty":           table.Update(key, nil, table.Set(table.At("born"), "")),
		"change 1: path [\"a\" \"b\"] overlaps": table.Update(key, nil, table.Remove(table.At("a")), table.Remove(table.At("a", "b"))),
		"a check needs a condition":             table.Check(key, nil),
		"a bool has no order":                   table.Check(key, table.Lt(table.At("a"), true)),
		"<nil> is not a condition":              table.Delete(key, table.Not(nil)),
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			err := table.Write{Ops: []table.Op{op}}.Validate(schema)
			if !errors.Is(err, table.ErrRefused) || !strings.Contains(err.Error(), "operation 0: ") || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTheClientLearnsNothingOfARefusal(t *testing.T) {
	t.Parallel()
	err := table.Write{Ops: []table.Op{table.Delete(table.Key{PK: "secret"}, nil)}}.Validate(schema)
	if got := fault.From(err); got.Kind != fault.Internal || got.Message() != "An internal error occurred (STEPUP-store-refused)" {
		t.Errorf("got %v: %s", got.Kind, got.Message())
	}
}

func TestItemSizeIsDynamoDBs(t *testing.T) {
	t.Parallel()
	key := table.Key{PK: "P", SK: "S"} // with its names, 6 bytes
	for name, c := range map[string]struct {
		item table.Item
		size int
	}{
		"no attributes":   {table.Item{}, 6},
		"text":            {table.Item{"a": "é"}, 9},
		"bytes":           {table.Item{"a": []byte{1, 2, 3}}, 10},
		"bools":           {table.Item{"a": true, "b": false}, 10},
		"zero":            {table.Item{"a": int64(0)}, 8},
		"two digits":      {table.Item{"a": int64(42)}, 9},
		"three digits":    {table.Item{"a": int64(123)}, 10},
		"negative":        {table.Item{"a": int64(-42)}, 10},
		"empty list, map": {table.Item{"a": []any{}, "b": map[string]any{}}, 14},
		"list":            {table.Item{"a": []any{"x", true}}, 14},
		"map":             {table.Item{"a": map[string]any{"kk": "xyz"}}, 16},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The rest of the limit, less the two bytes of the filler's name.
			filler := table.MaxItem - c.size - 2
			c.item["zz"] = strings.Repeat("x", filler)
			if err := table.CheckSize(key, c.item); err != nil {
				t.Errorf("at the limit: %v", err)
			}
			c.item["zz"] = strings.Repeat("x", filler+1)
			if err := table.CheckSize(key, c.item); err == nil {
				t.Error("one byte over the limit passed")
			}
		})
	}
}

func TestConflictNamesTheOperations(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]*table.Conflict{
		"another write was under way":        {},
		"condition failed on operation 0":    {Failures: []table.Failure{{Op: 0}}},
		"condition failed on operation 1, 7": {Failures: []table.Failure{{Op: 1}, {Op: 7}}},
	} {
		if got := c.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestInterruptedIsTheContextsFault(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	if err := table.Interrupted(ctx); err != nil {
		t.Errorf("a live context: %v", err)
	}
	cancel()
	if err := table.Interrupted(ctx); fault.From(err).Kind != fault.Canceled {
		t.Errorf("a canceled context: %v", err)
	}
}

func TestKeyReadsAsPath(t *testing.T) {
	t.Parallel()
	if got := (table.Key{PK: "USR#1", SK: "A"}).String(); got != "USR#1/A" {
		t.Errorf("got %q", got)
	}
}
