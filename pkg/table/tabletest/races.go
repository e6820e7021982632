package tabletest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

// racers is how many goroutines take part in a race.
const racers = 50

var raceCases = []contractCase{
	{"on a version have one winner per round", raceOnVersion},
	{"on a creation have one winner", raceOnCreation},
	{"of additions lose none", raceOfAdditions},
	{"of transactions keep the sum of two items", raceOfTransfers},
	{"of transactions on a limit never pass it", raceOnLimit},
	{"never show a transaction in part", raceOfReaders},
}

// race runs f on all racers at once and returns how many won. f's error is nil for a
// winner and a conflict for a loser; any other error fails the test.
func race(t *testing.T, f func(racer int) error) int {
	t.Helper()
	var wg sync.WaitGroup
	var winners atomic.Int64
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			err := f(i)
			var conflict *table.Conflict
			switch {
			case err == nil:
				winners.Add(1)
			case !errors.As(err, &conflict):
				t.Errorf("racer %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return int(winners.Load())
}

// persist repeats f while another write is in its way, as every caller of the port
// must.
func persist(f func() error) error {
	for {
		err := f()
		var conflict *table.Conflict
		if !errors.As(err, &conflict) || len(conflict.Failures) > 0 {
			return err
		}
	}
}

func raceOnVersion(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, table.Item{"v": int64(0)}, nil))
	for round := range int64(3) {
		won := race(t, func(int) error {
			return persist(func() error {
				return tb.Write(t.Context(), table.Write{Ops: []table.Op{
					table.Update(key, table.Eq(table.At("v"), round), table.Add(table.At("v"), 1)),
				}})
			})
		})
		if won != 1 {
			t.Errorf("round %d has %d winners", round, won)
		}
	}
	wantItem(t, tb, key, table.Item{"v": int64(3)})
}

func raceOnCreation(t *testing.T, tb table.Table) {
	won := race(t, func(racer int) error {
		return persist(func() error {
			return tb.Write(t.Context(), table.Write{Ops: []table.Op{
				table.Put(key, table.Item{"by": int64(racer)}, table.NotExists()),
				table.Put(numbered(racer), table.Item{"by": int64(racer)}, nil),
			}})
		})
	})
	if won != 1 {
		t.Fatalf("%d winners", won)
	}
	page, err := tb.Query(t.Context(), table.Query{PK: key.PK})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Rows) != 2 || !cmp.Equal(page.Rows[0].Attrs, page.Rows[1].Attrs) {
		t.Errorf("the losers left something behind: %v", page.Rows)
	}
}

func raceOfAdditions(t *testing.T, tb table.Table) {
	won := race(t, func(int) error {
		return persist(func() error {
			return tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Update(key, nil, table.Add(table.At("n"), 3))}})
		})
	})
	if won != racers {
		t.Errorf("%d of %d additions succeeded", won, racers)
	}
	wantItem(t, tb, key, table.Item{"n": int64(3 * racers)})
}

func raceOfTransfers(t *testing.T, tb table.Table) {
	const stock = 20
	write(t, tb, table.Put(numbered(0), table.Item{"n": int64(stock)}, nil), table.Put(numbered(1), table.Item{"n": int64(0)}, nil))
	won := race(t, func(int) error {
		return persist(func() error {
			return tb.Write(t.Context(), table.Write{Ops: []table.Op{
				table.Update(numbered(0), table.Gt(table.At("n"), int64(0)), table.Add(table.At("n"), -1)),
				table.Update(numbered(1), nil, table.Add(table.At("n"), 1)),
			}})
		})
	})
	if won != stock {
		t.Errorf("%d transfers of a stock of %d", won, stock)
	}
	wantItem(t, tb, numbered(0), table.Item{"n": int64(0)})
	wantItem(t, tb, numbered(1), table.Item{"n": int64(stock)})
}

func raceOnLimit(t *testing.T, tb table.Table) {
	const limit = 5
	below := table.Or(table.Not(table.Has(table.At("n"))), table.Lt(table.At("n"), int64(limit)))
	won := race(t, func(racer int) error {
		return persist(func() error {
			return tb.Write(t.Context(), table.Write{Ops: []table.Op{
				table.Update(key, below, table.Add(table.At("n"), 1)),
				table.Put(numbered(racer), nil, table.NotExists()),
			}})
		})
	})
	if won != limit {
		t.Errorf("%d winners under a limit of %d", won, limit)
	}
	wantItem(t, tb, key, table.Item{"n": int64(limit)})
}

func raceOfReaders(t *testing.T, tb table.Table) {
	both := func(n int64) []table.Op {
		return []table.Op{
			table.Put(numbered(0), table.Item{"n": n}, nil),
			table.Put(numbered(1), table.Item{"n": n}, nil),
		}
	}
	write(t, tb, both(0)...)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range int64(racers) {
			if err := persist(func() error {
				return tb.Write(t.Context(), table.Write{Ops: both(n)})
			}); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		// The second item is read after the first, so it is never older.
		for range racers {
			first, err := tb.Get(t.Context(), numbered(0))
			if err != nil {
				t.Error(err)
				return
			}
			second, err := tb.Get(t.Context(), numbered(1))
			if err != nil {
				t.Error(err)
				return
			}
			if second["n"].(int64) < first["n"].(int64) {
				t.Errorf("read %v and then %v", first["n"], second["n"])
			}
		}
	})
	wg.Wait()
}
