package tabletest_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

var key = table.Key{PK: "P", SK: "S"}

func open(t *testing.T) table.Table {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store"), tabletest.Schema(), bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func put(n int64) table.Write {
	return table.Write{Ops: []table.Op{table.Put(key, table.Item{"n": n}, nil)}}
}

// each calls every method once and returns the errors in the order of the methods.
func each(ctx context.Context, tb table.Table) []error {
	_, get := tb.Get(ctx, key)
	_, batch := tb.BatchGet(ctx, []table.Key{key})
	_, query := tb.Query(ctx, table.Query{PK: "P"})
	return []error{get, batch, query, tb.Write(ctx, put(1))}
}

func TestWrappersKeepTheContract(t *testing.T) {
	t.Parallel()
	t.Run("meter", func(t *testing.T) {
		t.Parallel()
		tabletest.Run(t, func(t *testing.T) table.Table { return tabletest.NewMeter(open(t), 0) })
	})
	t.Run("faulty", func(t *testing.T) {
		t.Parallel()
		pass := func(int, string) tabletest.Action { return tabletest.Pass }
		tabletest.Run(t, func(t *testing.T) table.Table { return tabletest.NewFaulty(open(t), pass) })
	})
}

func TestMeterCountsCalls(t *testing.T) {
	t.Parallel()
	m := tabletest.NewMeter(open(t), 0)
	for range 2 {
		if err := errors.Join(each(t.Context(), m)...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Get(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	want := tabletest.Calls{Get: 3, BatchGet: 2, Query: 2, Write: 2}
	if got := m.Calls(); got != want || got.Total() != 9 {
		t.Errorf("got %+v (%d), want %+v", got, got.Total(), want)
	}
	m.Reset()
	if got := m.Calls(); got != (tabletest.Calls{}) {
		t.Errorf("after the reset: %+v", got)
	}
}

func TestMeterTimesSequentialRoundTrips(t *testing.T) {
	t.Parallel()
	inner := open(t)
	synctest.Test(t, func(t *testing.T) {
		m := tabletest.NewMeter(inner, time.Second)
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := m.Get(t.Context(), key); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := m.Write(t.Context(), put(1)); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != 2*time.Second {
			t.Errorf("three reads at once and a write took %v, want two round trips", got)
		}
	})
}

func TestMeterDelayEndsWithTheContext(t *testing.T) {
	t.Parallel()
	inner := open(t)
	synctest.Test(t, func(t *testing.T) {
		m := tabletest.NewMeter(inner, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for i, err := range each(ctx, m) {
			if err == nil || fault.From(err).Kind != fault.DeadlineExceeded {
				t.Errorf("call %d: %v", i, err)
			}
		}
	})
	if item, err := inner.Get(t.Context(), key); item != nil || err != nil {
		t.Errorf("the write went through: %v, %v", item, err)
	}
}

func TestFaultyAsksTheHookForEachCall(t *testing.T) {
	t.Parallel()
	type asked struct {
		N    int
		Call string
	}
	var got []asked
	f := tabletest.NewFaulty(open(t), func(n int, call string) tabletest.Action {
		got = append(got, asked{n, call})
		return tabletest.Pass
	})
	if err := errors.Join(each(t.Context(), f)...); err != nil {
		t.Fatal(err)
	}
	want := []asked{
		{1, tabletest.CallGet}, {2, tabletest.CallBatchGet}, {3, tabletest.CallQuery}, {4, tabletest.CallWrite},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func TestFaultyActions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		action  tabletest.Action
		written table.Item
	}{
		"fail":        {tabletest.Fail, nil},
		"lose answer": {tabletest.LoseAnswer, table.Item{"n": int64(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inner := open(t)
			f := tabletest.NewFaulty(inner, func(int, string) tabletest.Action { return c.action })
			for i, err := range each(t.Context(), f) {
				if !errors.Is(err, table.ErrUnavailable) {
					t.Errorf("call %d: %v", i, err)
				}
			}
			got, err := inner.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.written, got); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFaultyWaitsAsLongAsTheCaller: within the deadline nothing is answered, and a call
// without one is told so.
func TestFaultyWaitsAsLongAsTheCaller(t *testing.T) {
	t.Parallel()
	for action, written := range map[tabletest.Action]table.Item{tabletest.Hang: nil, tabletest.AnswerLate: {"n": int64(1)}} {
		inner := open(t)
		synctest.Test(t, func(t *testing.T) {
			f := tabletest.NewFaulty(inner, func(int, string) tabletest.Action { return action })
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			start := time.Now()
			if err := f.Write(ctx, put(1)); fault.From(err).Kind != fault.DeadlineExceeded || time.Since(start) != time.Hour {
				t.Errorf("action %d: %v after %v", action, err, time.Since(start))
			}
			if _, err := f.Get(t.Context(), key); !errors.Is(err, table.ErrRefused) {
				t.Errorf("without a deadline: %v", err)
			}
		})
		got, err := inner.Get(t.Context(), key)
		if diff := cmp.Diff(written, got); diff != "" || err != nil {
			t.Errorf("action %d: %v, stored (-want +got):\n%s", action, err, diff)
		}
	}
}

func TestFaultyContentionIsAConflictWithoutFailures(t *testing.T) {
	t.Parallel()
	inner := open(t)
	f := tabletest.NewFaulty(inner, func(int, string) tabletest.Action { return tabletest.Contend })
	errs := each(t.Context(), f)
	for i, err := range errs[:3] {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("read %d: %v", i, err)
		}
	}
	var conflict *table.Conflict
	if !errors.As(errs[3], &conflict) || len(conflict.Failures) > 0 {
		t.Errorf("write: %v", errs[3])
	}
	if item, err := inner.Get(t.Context(), key); item != nil || err != nil {
		t.Errorf("the write went through: %v, %v", item, err)
	}
}

func TestFaultyLostAnswerIsCuredByTheToken(t *testing.T) {
	t.Parallel()
	f := tabletest.NewFaulty(open(t), func(n int, _ string) tabletest.Action {
		if n == 1 {
			return tabletest.LoseAnswer
		}
		return tabletest.Pass
	})
	w := table.Write{Token: "token", Ops: []table.Op{
		table.Put(key, table.Item{"n": int64(1)}, table.NotExists()),
		table.Put(table.Key{PK: "P", SK: "T"}, nil, table.NotExists()),
	}}
	if err := f.Write(t.Context(), w); !errors.Is(err, table.ErrUnavailable) {
		t.Fatalf("first attempt: %v", err)
	}
	if err := f.Write(t.Context(), w); err != nil {
		t.Errorf("second attempt: %v", err)
	}
}
