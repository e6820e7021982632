// Package bolt owns the item port on an embedded database: one file, one process,
// nothing to install. It is the store of a laptop, of a single container and of fast
// tests, and it answers as DynamoDB does, limits included, so that what works here
// works there.
//
// The file holds one bucket of items, one bucket for each index, one for the expiry
// times and two for the tokens of recent writes. All of them change in one
// transaction of the database, which admits a single writer: conditions are
// evaluated where nothing can move.
package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Names of the buckets. An index or expiry bucket carries the attributes that it is
// built from, so that a changed schema finds no bucket and builds a new one.
const (
	itemBucket   = "items"
	tokenBucket  = "tokens"
	tokenOrder   = "token-order"
	indexPrefix  = "index"
	expiryPrefix = "ttl"
)

// Options tune a store. The zero value is right for production.
type Options struct {
	// NoSync leaves out the flush to disk after each write, which makes writes
	// fast and lets a power cut lose or damage the file. For tests only.
	NoSync bool
	// Timeout is how long Open waits for another process to let go of the file.
	// Zero means DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout is how long Open waits for the lock of the file.
const DefaultTimeout = time.Second

// Store is the item port on one file. Its methods are safe for concurrent use.
type Store struct {
	db      *bbolt.DB
	schema  table.Schema
	derived []derivation
	queue   queue
}

var _ table.Table = (*Store)(nil)

// Open opens the file, creating it when there is none (not its folder), and builds
// the indexes of the schema that the file does not have yet. One process at a time
// can have the file open. It returns table.ErrUnavailable when another process has
// it or it cannot be read and written, and table.ErrCorrupt when it is something
// else than a store.
func Open(path string, schema table.Schema, opts Options) (*Store, error) {
	if opts.Timeout == 0 {
		opts.Timeout = DefaultTimeout
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout:      opts.Timeout,
		NoSync:       opts.NoSync,
		FreelistType: bbolt.FreelistMapType,
		// The list of free pages would be sorted and written whole with each commit, and
		// a sweep makes it long (BenchmarkWriteAfterASweep). It is found again when the
		// file is opened, by reading all of it.
		NoFreelistSync: true,
	})
	if err != nil {
		return nil, openFault(path, err)
	}
	s := &Store{db: db, schema: schema, derived: derivations(schema)}
	if err := db.Update(s.prepare); err != nil {
		return nil, errors.Join(storeFault(err), db.Close())
	}
	return s, nil
}

// Path returns where the file is.
func (s *Store) Path() string { return s.db.Path() }

// Close waits for running calls and closes the file. Calls after it fail with
// table.ErrUnavailable.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return storeFault(err)
	}
	return nil
}

func openFault(path string, err error) error {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return table.ErrUnavailable.Wrap(fmt.Errorf("open %s: another process has the file open: %w", path, err))
	case errors.As(err, &pathErr):
		return table.ErrUnavailable.Wrap(err)
	default:
		return table.ErrCorrupt.Wrap(fmt.Errorf("open %s: %w", path, err))
	}
}

// storeFault classifies an error of the database: a fault stays what it is, anything
// else is trouble with the file.
func storeFault(err error) error {
	if err == nil || isOurs(err) {
		return err
	}
	return table.ErrUnavailable.Wrap(err)
}

// prepare creates the buckets that are missing, fills the derived ones among them
// from the items, and drops the derived ones that the schema no longer has.
func (s *Store) prepare(tx *bbolt.Tx) error {
	for _, name := range []string{itemBucket, tokenBucket, tokenOrder} {
		if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
			return err
		}
	}
	for _, d := range s.derived {
		if tx.Bucket(d.bucket) != nil {
			continue
		}
		if err := build(tx, d); err != nil {
			return err
		}
	}
	return s.dropUnknown(tx)
}

func build(tx *bbolt.Tx, d derivation) error {
	bucket, err := tx.CreateBucket(d.bucket)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(itemBucket)).ForEach(func(k, v []byte) error {
		key, item, err := decodeRow(k, v)
		if err != nil {
			return err
		}
		if entry := d.entry(key, item); entry != nil {
			return bucket.Put(entry, nil)
		}
		return nil
	})
}

func (s *Store) dropUnknown(tx *bbolt.Tx) error {
	known := map[string]bool{}
	for _, d := range s.derived {
		known[string(d.bucket)] = true
	}
	var unknown [][]byte
	err := tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
		kind, _, derived := strings.Cut(string(name), "/")
		if derived && (kind == indexPrefix || kind == expiryPrefix) && !known[string(name)] {
			unknown = append(unknown, slices.Clone(name))
		}
		return nil
	})
	for _, name := range unknown {
		err = errors.Join(err, tx.DeleteBucket(name))
	}
	return err
}

// queue lets the writes that wait while the file is being flushed share the next
// flush.
type queue struct {
	mu      sync.Mutex // guards pending
	pending []*job
	running sync.Mutex // held by the one goroutine that writes
}
