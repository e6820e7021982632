package bolt_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

func open(t testing.TB, schema table.Schema) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store"), schema, bolt.Options{NoSync: true})
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

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, func(t *testing.T) table.Table { return open(t, tabletest.Schema()) })
}

// BenchmarkStore measures durable writes.
func BenchmarkStore(b *testing.B) {
	s, err := bolt.Open(filepath.Join(b.TempDir(), "store"), tabletest.Schema(), bolt.Options{})
	if err != nil {
		b.Fatal(err)
	}
	tabletest.Benchmark(b, s)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStoreWithoutSync measures what the store itself costs.
func BenchmarkStoreWithoutSync(b *testing.B) { tabletest.Benchmark(b, open(b, tabletest.Schema())) }

// BenchmarkWriteAfterASweep writes into a file before and after nine tenths of its items were
// swept, which leaves thousands of free pages.
func BenchmarkWriteAfterASweep(b *testing.B) {
	const items, portion = 100_000, 50
	s := open(b, tabletest.Schema())
	key := func(i int) table.Key { return table.Key{PK: fmt.Sprintf("%06d", i%items), SK: "S"} }
	content := strings.Repeat("x", 500)
	write := func(ops ...table.Op) {
		if err := s.Write(b.Context(), table.Write{Ops: ops}); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; i < items; i += portion {
		var ops []table.Op
		for j := i; j < i+portion; j++ {
			item := table.Item{"content": content}
			if j%10 != 0 {
				item["ttl"] = int64(1)
			}
			ops = append(ops, table.Put(key(j), item, nil))
		}
		write(ops...)
	}
	one := func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			write(table.Put(key(7919*10*i), table.Item{"content": content, "n": int64(i)}, nil))
		}
	}
	b.Run("before", one)
	for n := 1; n > 0; {
		var err error
		if n, err = s.Sweep(b.Context(), time.Unix(2, 0), 1000); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("after", one)
}
