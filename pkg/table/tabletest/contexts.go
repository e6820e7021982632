package tabletest

import (
	"context"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
)

var contextCases = []contractCase{
	{"that were canceled stop every call", func(t *testing.T, tb table.Table) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		overContext(ctx, t, tb, fault.Canceled)
		wantItem(t, tb, key, nil)
	}},
	{"that expired stop every call", func(t *testing.T, tb table.Table) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		overContext(ctx, t, tb, fault.DeadlineExceeded)
		wantItem(t, tb, key, nil)
	}},
}

// overContext makes every call with a context that is over.
func overContext(ctx context.Context, t *testing.T, tb table.Table, want fault.Kind) {
	_, getErr := tb.Get(ctx, key)
	_, batchErr := tb.BatchGet(ctx, []table.Key{key})
	_, queryErr := tb.Query(ctx, table.Query{PK: key.PK})
	writeErr := tb.Write(ctx, table.Write{Ops: []table.Op{table.Put(key, nil, nil)}})
	for call, err := range map[string]error{"Get": getErr, "BatchGet": batchErr, "Query": queryErr, "Write": writeErr} {
		if err == nil || fault.From(err).Kind != want {
			t.Errorf("%s: got %v, want %v", call, err, want)
		}
	}
}
