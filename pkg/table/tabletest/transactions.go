package tabletest

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var transactionCases = []contractCase{
	{"apply every kind of operation", transactionApplies},
	{"apply nothing when one condition fails", transactionIsAtomic},
	{"name each false condition with its old item", transactionNamesFailures},
	{"take the most operations", transactionOfMax},
	{"answer a repeated token as before", tokenIsIdempotent},
	{"refuse a token with other operations", tokenIsBound},
	{"try again after a conflict with the same token", tokenAfterConflict},
}

func numbered(i int) table.Key { return table.Key{PK: "P", SK: fmt.Sprintf("%03d", i)} }

func transactionApplies(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(numbered(1), table.Item{"n": int64(1)}, nil))
	write(t, tb, table.Put(numbered(2), table.Item{"a": "x"}, nil))
	write(t, tb, table.Put(numbered(3), table.Item{"a": "x"}, nil))
	write(t, tb,
		table.Put(numbered(0), table.Item{"new": true}, table.NotExists()),
		table.Update(numbered(1), table.Eq(table.At("n"), int64(1)), table.Add(table.At("n"), 1)),
		table.Delete(numbered(2), table.Exists()),
		table.Check(numbered(3), table.Eq(table.At("a"), "x")),
		table.Update(numbered(4), nil, table.Set(table.At("created"), true)),
	)
	for i, want := range []table.Item{{"new": true}, {"n": int64(2)}, nil, {"a": "x"}, {"created": true}} {
		wantItem(t, tb, numbered(i), want)
	}
}

func transactionIsAtomic(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(numbered(1), table.Item{"a": "x"}, nil))
	for position := range 4 {
		ops := []table.Op{
			table.Put(numbered(0), table.Item{"new": true}, nil),
			table.Update(numbered(1), nil, table.Set(table.At("a"), "y")),
			table.Delete(numbered(2), nil),
		}
		failing := table.Check(numbered(9), table.Exists())
		ops = append(ops[:position:position], append([]table.Op{failing}, ops[position:]...)...)
		err := tb.Write(t.Context(), table.Write{Ops: ops})
		wantConflict(t, err, table.Failure{Op: position})
		wantItem(t, tb, numbered(0), nil)
		wantItem(t, tb, numbered(1), table.Item{"a": "x"})
	}
}

func transactionNamesFailures(t *testing.T, tb table.Table) {
	one, three := table.Item{"n": int64(1)}, table.Item{"m": map[string]any{"k": []any{"v"}}}
	write(t, tb, table.Put(numbered(1), one, nil), table.Put(numbered(3), three, nil))
	no := table.Eq(table.At("n"), int64(7))
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{
		table.Put(numbered(0), nil, table.NotExists()),
		table.Update(numbered(1), no, table.Add(table.At("n"), 1)),
		table.Delete(numbered(2), no),
		table.Put(numbered(3), nil, table.NotExists()),
		table.Check(numbered(4), table.Exists()),
	}})
	wantConflict(t, err,
		table.Failure{Op: 1, Old: one},
		table.Failure{Op: 2},
		table.Failure{Op: 3, Old: three},
		table.Failure{Op: 4},
	)
}

func transactionOfMax(t *testing.T, tb table.Table) {
	ops := make([]table.Op, table.MaxTransact)
	for i := range ops {
		ops[i] = table.Put(numbered(i), table.Item{"i": int64(i)}, table.NotExists())
	}
	write(t, tb, ops...)
	for _, i := range []int{0, 1, table.MaxTransact - 1} {
		wantItem(t, tb, numbered(i), table.Item{"i": int64(i)})
	}
}

// token returns a new token. Stores keep tokens for the account, not for the table,
// so two tests must not share one.
func token() string { return rand.Text() }

// counted is a write of two operations that would leave a trace if it were applied
// twice.
func counted(token string, delta int64) table.Write {
	return table.Write{Token: token, Ops: []table.Op{
		table.Update(numbered(0), nil, table.Add(table.At("n"), delta)),
		table.Put(numbered(1), table.Item{"m": map[string]any{"b": int64(1), "a": []byte{2}}}, table.NotExists()),
	}}
}

func tokenIsIdempotent(t *testing.T, tb table.Table) {
	first := counted(token(), 1)
	for range 3 {
		if err := tb.Write(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	wantItem(t, tb, numbered(0), table.Item{"n": int64(1)})

	wantConflict(t, tb.Write(t.Context(), counted(token(), 1)), table.Failure{
		Op: 1, Old: table.Item{"m": map[string]any{"b": int64(1), "a": []byte{2}}},
	})
}

func tokenIsBound(t *testing.T, tb table.Table) {
	shared := token()
	if err := tb.Write(t.Context(), counted(shared, 1)); err != nil {
		t.Fatal(err)
	}
	wantFault(t, tb.Write(t.Context(), counted(shared, 2)), table.ErrRefused)
	wantItem(t, tb, numbered(0), table.Item{"n": int64(1)})
}

func tokenAfterConflict(t *testing.T, tb table.Table) {
	again := counted(token(), 1)
	write(t, tb, table.Put(numbered(1), nil, nil))
	wantConflict(t, tb.Write(t.Context(), again), table.Failure{Op: 1, Old: table.Item{}})
	write(t, tb, table.Delete(numbered(1), nil))
	if err := tb.Write(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	wantItem(t, tb, numbered(0), table.Item{"n": int64(1)})
}
