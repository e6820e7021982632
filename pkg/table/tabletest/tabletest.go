// Package tabletest owns the contract of the item port: what every adapter must do,
// written once and run against each of them without exceptions. It also holds the
// wrappers with which the packages above the port test how they use it: Meter counts
// and delays calls, and Faulty makes them fail.
package tabletest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
)

// Names of the attributes that the contract's schema reads.
const (
	indexName = "byUser"
	indexPK   = "byUser"
	indexSK   = "born"
)

// Schema returns the smallest schema that the contract runs on: one index and the
// TTL attribute, both named as in the deployed table.
func Schema() table.Schema {
	return table.Schema{
		Indexes: []table.Index{{Name: indexName, PK: indexPK, SK: indexSK}},
		TTL:     "ttl",
	}
}

// Run checks that the tables that open returns keep the contract. Each call of open
// returns an empty table whose schema includes Schema; open closes it with the test.
func Run(t *testing.T, open func(t *testing.T) table.Table) {
	t.Helper()
	groups := []struct {
		name  string
		cases []contractCase
	}{
		{"conditions", conditionCases},
		{"changes", changeCases},
		{"operations", operationCases},
		{"transactions", transactionCases},
		{"races", raceCases},
		{"batches", batchCases},
		{"queries", queryCases},
		{"cursors", cursorCases},
		{"indexes", indexCases},
		{"merges", mergeCases},
		{"values", valueCases},
		{"refusals", refusalCases},
		{"contexts", contextCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.check(t, open(t))
				})
			}
		})
	}
}

// contractCase is one sentence of the contract. It gets a table of its own.
type contractCase struct {
	name  string
	check func(t *testing.T, tb table.Table)
}

// key is the item that most cases are about.
var key = table.Key{PK: "P", SK: "S"}

func write(t *testing.T, tb table.Table, ops ...table.Op) {
	t.Helper()
	if err := tb.Write(t.Context(), table.Write{Ops: ops}); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func wantItem(t *testing.T, tb table.Table, k table.Key, want table.Item) {
	t.Helper()
	got, err := tb.Get(t.Context(), k)
	if err != nil {
		t.Fatalf("get %v: %v", k, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("item %v (-want +got):\n%s", k, diff)
	}
}

func wantConflict(t *testing.T, err error, want ...table.Failure) {
	t.Helper()
	var conflict *table.Conflict
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if diff := cmp.Diff(want, conflict.Failures); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

func wantFault(t *testing.T, err error, want *fault.Fault) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}
