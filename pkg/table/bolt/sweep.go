package bolt

import (
	"bytes"
	"context"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Sweep removes items whose expiry time lies before now, the oldest first and at
// most limit of them, and returns how many it removed. It reads nothing but what it
// removes. A caller with much to sweep repeats small sweeps, because writes wait
// while one runs.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	if err := table.Interrupted(ctx); err != nil {
		return 0, err
	}
	if s.schema.TTL == "" {
		return 0, nil
	}
	removed := 0
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, key := range expired(tx.Bucket(expiryBucket(s.schema)), now, limit) {
			if err := s.drop(tx, key); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	if err != nil {
		return 0, storeFault(err)
	}
	return removed, nil
}

// expired returns the stored keys of the oldest items, collected first because the
// bucket must not change under a cursor.
func expired(bucket *bbolt.Bucket, now time.Time, limit int) [][]byte {
	var keys [][]byte
	c := bucket.Cursor()
	end := timePrefix(now.Unix())
	for k, _ := c.First(); k != nil && len(keys) < limit; k, _ = c.Next() {
		if bytes.Compare(k[:timeSize], end) >= 0 {
			break
		}
		keys = append(keys, slices.Clone(k[timeSize:]))
	}
	return keys
}

func (s *Store) drop(tx *bbolt.Tx, stored []byte) error {
	parts, err := untuple(stored, 2)
	if err != nil {
		return err
	}
	key := table.Key{PK: parts[0], SK: parts[1]}
	old, err := load(tx.Bucket([]byte(itemBucket)), key)
	if err != nil {
		return err
	}
	return s.replace(tx, step{key: key, old: old})
}
