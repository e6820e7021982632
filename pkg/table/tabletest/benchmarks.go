package tabletest

import (
	"fmt"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Benchmark measures a table with items of about the size of a session: alone, and
// with several callers at once.
func Benchmark(b *testing.B, tb table.Table) {
	b.Helper()
	for _, c := range []struct {
		name string
		call func(b *testing.B, i int) error
	}{
		{"Put", func(b *testing.B, i int) error {
			return tb.Write(b.Context(), table.Write{Ops: []table.Op{table.Put(spread(i), sessionSized(), nil)}})
		}},
		{"Get", func(b *testing.B, i int) error {
			_, err := tb.Get(b.Context(), spread(i))
			return err
		}},
		{"Transact", func(b *testing.B, i int) error {
			return tb.Write(b.Context(), table.Write{Ops: []table.Op{
				table.Put(spread(i), sessionSized(), nil),
				table.Update(table.Key{PK: spread(i).PK, SK: "count"}, nil, table.Add(table.At("n"), 1)),
			}})
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := c.call(b, i); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"Parallel", func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for i := 0; p.Next(); i++ {
					if err := persist(func() error { return c.call(b, i) }); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// spread is one of a thousand keys in as many partitions.
func spread(i int) table.Key { return table.Key{PK: fmt.Sprintf("SES#%03d", i%1000), SK: "A"} }

func sessionSized() table.Item {
	factor := map[string]any{"at": int64(1789000000), "user": "287123456789012345"}
	return table.Item{
		"v": int64(7), "expiresAt": int64(1789000000), "token": make([]byte, 32), "byUser": "287123456789012345", "born": "2026-11-23",
		"factors":  map[string]any{"password": factor, "totp": factor, "passkey": factor},
		"metadata": map[string]any{"ip": []byte("192.0.2.1"), "agent": []byte("Mozilla/5.0 (X11; Linux x86_64)")},
	}
}
