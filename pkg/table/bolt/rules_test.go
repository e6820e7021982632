package bolt_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// The rules of DynamoDB in this file are not in the contract, because the stand-in
// that the other adapter is tested with does not keep them.

func TestRemoveNeedsItsParent(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	put(t, s, "S", table.Item{"text": "x"})
	for _, path := range []table.Path{table.At("nothing", "k"), table.At("text", "k")} {
		op := table.Update(table.Key{PK: "P", SK: "S"}, nil, table.Remove(path))
		if err := s.Write(t.Context(), table.Write{Ops: []table.Op{op}}); !errors.Is(err, table.ErrRefused) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestPrefixKnowsCase(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	for _, sk := range []string{"A", "Ab", "a", "ab"} {
		put(t, s, sk, nil)
	}
	page, err := s.Query(t.Context(), table.Query{PK: "P", Prefix: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Rows) != 2 || page.Rows[0].Key.SK != "a" || page.Rows[1].Key.SK != "ab" {
		t.Errorf("got %v", page.Rows)
	}
}

func TestAddRefusesASumThatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	for _, c := range []struct{ stored, delta int64 }{
		{math.MaxInt64, 1}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}, {1, math.MaxInt64},
	} {
		put(t, s, "S", table.Item{"n": c.stored})
		op := table.Update(table.Key{PK: "P", SK: "S"}, nil, table.Add(table.At("n"), c.delta))
		if err := s.Write(t.Context(), table.Write{Ops: []table.Op{op}}); !errors.Is(err, table.ErrRefused) {
			t.Errorf("%d + %d: %v", c.stored, c.delta, err)
		}
	}
}
