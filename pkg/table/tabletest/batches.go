package tabletest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

var batchCases = []contractCase{
	{"come back in the order of the keys", batchKeepsOrder},
	{"of nothing are nothing", batchOfNothing},
	{"take the most keys and not one more", batchOfMax},
	{"refuse a key twice", batchRefusesDuplicates},
}

func batchKeepsOrder(t *testing.T, tb table.Table) {
	other := table.Key{PK: "Q", SK: "S"}
	write(t, tb,
		table.Put(numbered(1), table.Item{"i": int64(1)}, nil),
		table.Put(numbered(2), nil, nil),
		table.Put(other, table.Item{"i": "other"}, nil),
	)
	got, err := tb.BatchGet(t.Context(), []table.Key{numbered(2), other, numbered(9), numbered(1)})
	if err != nil {
		t.Fatal(err)
	}
	want := []table.Item{{}, {"i": "other"}, nil, {"i": int64(1)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
}

func batchOfNothing(t *testing.T, tb table.Table) {
	got, err := tb.BatchGet(t.Context(), nil)
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func batchOfMax(t *testing.T, tb table.Table) {
	keys := make([]table.Key, table.MaxBatch)
	ops := make([]table.Op, table.MaxBatch)
	for i := range keys {
		keys[i] = numbered(len(keys) - i)
		ops[i] = table.Put(keys[i], table.Item{"sk": keys[i].SK}, nil)
	}
	write(t, tb, ops...)
	got, err := tb.BatchGet(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range got {
		if item["sk"] != keys[i].SK {
			t.Errorf("item %d is %v", i, item)
		}
	}
	_, err = tb.BatchGet(t.Context(), slices.Concat(keys, []table.Key{numbered(0)}))
	wantFault(t, err, table.ErrRefused)
}

func batchRefusesDuplicates(t *testing.T, tb table.Table) {
	_, err := tb.BatchGet(t.Context(), []table.Key{numbered(1), numbered(2), numbered(1)})
	wantFault(t, err, table.ErrRefused)
}
