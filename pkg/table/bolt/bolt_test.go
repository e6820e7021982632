package bolt_test

import (
	"path/filepath"
	"testing"

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
