package dynamo_test

import (
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

func open(t testing.TB, opts dynamo.Options) *dynamo.Store {
	t.Helper()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	return dynamo.New(client, name, dynoxide.Schema(t), opts)
}

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	tabletest.Run(t, func(t *testing.T) table.Table { return open(t, dynamo.Options{}) })
}

func BenchmarkStore(b *testing.B) { tabletest.Benchmark(b, open(b, dynamo.Options{})) }
