package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

func put(t *testing.T, s *bolt.Store, sk string, item table.Item) {
	t.Helper()
	op := table.Put(table.Key{PK: "P", SK: sk}, item, nil)
	if err := s.Write(t.Context(), table.Write{Ops: []table.Op{op}}); err != nil {
		t.Fatal(err)
	}
}

// left returns the sort keys of what the store holds.
func left(t *testing.T, s *bolt.Store) []string {
	t.Helper()
	var sorts []string
	err := s.Dump(t.Context(), func(r table.Row) error {
		sorts = append(sorts, r.Key.SK)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sorts
}

func sweep(t *testing.T, s *bolt.Store, at int64, limit int) int {
	t.Helper()
	n, err := s.Sweep(t.Context(), time.Unix(at, 0), limit)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func wantLeft(t *testing.T, s *bolt.Store, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, left(t, s)); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func TestSweepRemovesWhatIsPastItsTime(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	put(t, s, "ancient", table.Item{"ttl": int64(math.MinInt64)})
	put(t, s, "before 1970", table.Item{"ttl": int64(-5)})
	put(t, s, "past", table.Item{"ttl": int64(99)})
	put(t, s, "now", table.Item{"ttl": int64(100)})
	put(t, s, "future", table.Item{"ttl": int64(math.MaxInt64)})
	put(t, s, "text", table.Item{"ttl": "1"})
	put(t, s, "none", nil)
	if n := sweep(t, s, 100, 10); n != 3 {
		t.Errorf("removed %d", n)
	}
	wantLeft(t, s, "future", "none", "now", "text")
	if n := sweep(t, s, 101, 10); n != 1 {
		t.Errorf("removed %d a second later", n)
	}
	wantLeft(t, s, "future", "none", "text")
}

func TestSweepTakesTheOldestUpToItsLimit(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	for i := range int64(5) {
		put(t, s, fmt.Sprint(i), table.Item{"ttl": 10 - i})
	}
	if n := sweep(t, s, 100, 2); n != 2 {
		t.Errorf("removed %d", n)
	}
	wantLeft(t, s, "0", "1", "2")
	if n := sweep(t, s, 100, 0); n != 0 {
		t.Errorf("removed %d of none", n)
	}
}

func TestSweepFollowsTheItem(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	put(t, s, "prolonged", table.Item{"ttl": int64(1)})
	put(t, s, "prolonged", table.Item{"ttl": int64(1000)})
	put(t, s, "freed", table.Item{"ttl": int64(1)})
	put(t, s, "freed", nil)
	if n := sweep(t, s, 100, 10); n != 0 {
		t.Errorf("removed %d", n)
	}
	wantLeft(t, s, "freed", "prolonged")
}

func TestSweepClearsIndexes(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	put(t, s, "a", table.Item{"ttl": int64(1), "byUser": "u", "born": "1"})
	sweep(t, s, 100, 10)
	page, err := s.Query(t.Context(), table.Query{Index: "byUser", PK: "u"})
	if err != nil || len(page.Rows) != 0 {
		t.Errorf("the index still has %v, %v", page.Rows, err)
	}
}

func TestSweepWithoutTTLRemovesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, table.Schema{})
	put(t, s, "a", table.Item{"ttl": int64(1)})
	if n := sweep(t, s, 100, 10); n != 0 {
		t.Errorf("removed %d", n)
	}
}

func TestSweepStopsWithTheContext(t *testing.T) {
	t.Parallel()
	s := open(t, tabletest.Schema())
	put(t, s, "a", table.Item{"ttl": int64(1)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sweep(ctx, time.Unix(100, 0), 10); fault.From(err).Kind != fault.Canceled {
		t.Errorf("got %v", err)
	}
	wantLeft(t, s, "a")
}

func TestDumpStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	s := open(t, table.Schema{})
	put(t, s, "a", table.Item{"n": int64(1)})
	put(t, s, "b", nil)
	stop := errors.New("stop")
	var rows []table.Row
	err := s.Dump(t.Context(), func(r table.Row) error {
		rows = append(rows, r)
		return stop
	})
	want := []table.Row{{Key: table.Key{PK: "P", SK: "a"}, Attrs: table.Item{"n": int64(1)}}}
	if diff := cmp.Diff(want, rows); diff != "" || !errors.Is(err, stop) {
		t.Errorf("error %v, rows (-want +got):\n%s", err, diff)
	}
}
