package apptest

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

// WantFault fails the test unless err is a fault with the kind, id and text of want.
func WantFault(t testing.TB, err error, want *fault.Fault) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %s %q", err, want.Kind, want.Message())
	}
}

// CheapHash returns a PBKDF2 hash of one round, which may be imported: for tests that
// guess passwords hundreds of times and do not want to wait for argon2id.
func CheapHash(t testing.TB, plain string) string {
	t.Helper()
	salt := []byte("sixteen of chars") // and no digits, which passwords of tests have
	key, err := pbkdf2.Key(sha256.New, plain, salt, 1, sha256.Size)
	must(t, err)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$pbkdf2-sha256$1$%s$%s", encode(salt), encode(key))
}

// Dump returns everything that a store holds: an embedded one, or a DynamoTable.
func Dump(t testing.TB, tb table.Table) map[table.Key]table.Item {
	t.Helper()
	all := make(map[table.Key]table.Item)
	switch tb := tb.(type) {
	case *bolt.Store:
		must(t, tb.Dump(t.Context(), func(r table.Row) error {
			all[r.Key] = r.Attrs
			return nil
		}))
	case *DynamoTable:
		keys, err := tb.keys(t.Context())
		must(t, err)
		for part := range slices.Chunk(keys, table.MaxBatch) {
			items, err := tb.BatchGet(t.Context(), part)
			must(t, err)
			for i, item := range items {
				all[part[i]] = item
			}
		}
	default:
		t.Fatalf("%T cannot be dumped", tb)
	}
	return all
}
