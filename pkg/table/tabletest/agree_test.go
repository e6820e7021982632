package tabletest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// TestAdaptersAgree gives both adapters the same arbitrary writes and compares every
// outcome and every item.
func TestAdaptersAgree(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			client, name := dynoxide.NewTable(t, dynoxide.Options{})
			remote, local := dynamo.New(client, name, dynoxide.Schema(t), dynamo.Options{}), open(t)
			g := generator{rand.New(rand.NewPCG(seed, 0))}
			outcomes := map[string]int{}
			for range 300 {
				w := g.write()
				want, got := outcome(remote.Write(t.Context(), w)), outcome(local.Write(t.Context(), w))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%#v\n(-dynamo +bolt):\n%s", w, diff)
				}
				outcomes[want.Kind]++
				wantEqualStores(t, remote, local)
			}
			// A generator that misses a kind of outcome does not compare it.
			for _, kind := range []string{"written", "conflict", table.ErrRefused.ID} {
				if outcomes[kind] == 0 {
					t.Errorf("no write was %s", kind)
				}
			}
		})
	}
}

// result is what a caller learns from a write.
type result struct {
	Kind     string
	Failures []table.Failure
}

func outcome(err error) result {
	var conflict *table.Conflict
	switch {
	case err == nil:
		return result{Kind: "written"}
	case errors.As(err, &conflict):
		return result{Kind: "conflict", Failures: conflict.Failures}
	default:
		return result{Kind: fault.From(err).ID}
	}
}

func wantEqualStores(t *testing.T, remote, local table.Table) {
	t.Helper()
	for _, q := range []table.Query{{PK: "P"}, {Index: "byUser", PK: "u"}, {Index: "byUser", PK: "v", Descending: true}} {
		want, err := remote.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := local.Query(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Rows) == 0 && len(got.Rows) == 0 {
			continue
		}
		if diff := cmp.Diff(want.Rows, got.Rows); diff != "" {
			t.Fatalf("%+v (-dynamo +bolt):\n%s", q, diff)
		}
	}
}

// generator makes valid writes over a few keys and names, so that they often meet.
type generator struct{ *rand.Rand }

func pick[T any](g generator, all ...T) T { return all[g.IntN(len(all))] }

func (g generator) write() table.Write {
	keys := g.Perm(4)[:1+g.IntN(3)]
	var w table.Write
	for _, k := range keys {
		w.Ops = append(w.Ops, g.op(table.Key{PK: "P", SK: fmt.Sprint(k)}))
	}
	return w
}

func (g generator) op(k table.Key) table.Op {
	var cond table.Condition
	if g.IntN(2) == 0 {
		cond = g.condition(3)
	}
	switch g.IntN(6) {
	case 0, 1:
		return table.Put(k, g.item(), cond)
	case 2:
		return table.Delete(k, cond)
	case 3:
		return table.Check(k, g.condition(3))
	default:
		return table.Update(k, cond, g.changes()...)
	}
}

// item always has a sort key of the index that is the item's own, because rows with
// equal ones may come in any order.
func (g generator) item() table.Item {
	item := table.Item{"born": fmt.Sprint(g.Uint64())}
	for range g.IntN(5) {
		item[g.name()] = g.value(2)
	}
	if g.IntN(2) == 0 {
		item["byUser"] = pick(g, "u", "v")
	}
	return item
}

func (g generator) name() string { return pick(g, "a", "b", "c", "m", "m[0]", "a.b") }

func (g generator) path() table.Path {
	if g.IntN(3) == 0 {
		return table.At("m", g.name())
	}
	return table.At(g.name())
}

func (g generator) value(depth int) any {
	switch n := g.IntN(7); {
	case n == 0:
		return pick(g, "", "x", "y", "yy") // ASCII: stores measure the rest in different units
	case n == 1:
		return pick(g, true, false)
	case n == 2:
		return pick(g, []byte{}, []byte{1}, []byte{1, 2})
	case n == 3 && depth > 0:
		return []any{g.value(depth - 1)}
	case n <= 5 && depth > 0:
		return map[string]any{g.name(): g.value(depth - 1)}
	default:
		return g.Int64N(7) - 3
	}
}

func (g generator) changes() []table.Change {
	switch g.IntN(8) {
	case 0:
		return []table.Change{table.Set(table.At("byUser"), pick(g, "u", "v"))}
	case 1:
		return []table.Change{table.Remove(table.At("byUser")), table.Remove(table.At("m"))}
	case 2:
		return []table.Change{table.Set(table.At("m"), map[string]any{"a": g.value(1)}), table.Add(table.At("a"), 1)}
	case 3:
		return []table.Change{table.Remove(table.At(g.name()))}
	case 4:
		return []table.Change{table.Add(g.path(), g.Int64N(9)-4)}
	case 5:
		return []table.Change{table.SetIfAbsent(g.path(), g.value(2))}
	default:
		return []table.Change{table.Set(g.path(), g.value(2))}
	}
}

func (g generator) condition(depth int) table.Condition {
	n := g.IntN(10)
	if depth == 0 {
		n = g.IntN(7)
	}
	switch n {
	case 0:
		return pick(g, table.Exists(), table.NotExists())
	case 1:
		return table.Has(g.path())
	case 2:
		return table.SizeLt(g.path(), g.Int64N(3))
	case 3:
		return table.Eq(g.path(), pick[any](g, true, false, []byte{1}, "x", "", int64(1)))
	case 4, 5, 6:
		rel := pick(g, table.Less, table.LessOrEqual, table.Greater, table.GreaterOrEqual)
		return table.Compare{Path: g.path(), Rel: rel, Value: pick[any](g, "x", "é", int64(0), int64(2), []byte{1})}
	case 7:
		return table.And(g.condition(depth-1), g.condition(depth-1))
	case 8:
		return table.Or(g.condition(depth-1), g.condition(depth-1))
	default:
		return table.Not(g.condition(depth - 1))
	}
}
