package bolt

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"github.com/stepup-auth/stepup/pkg/table"
)

// maxPage is how many bytes of keys and values one page reads, as on DynamoDB.
const maxPage = 1 << 20

// Get implements table.Table.
func (s *Store) Get(ctx context.Context, key table.Key) (table.Item, error) {
	items, err := s.BatchGet(ctx, []table.Key{key})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

// BatchGet implements table.Table. The items are from one snapshot.
func (s *Store) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	if err := table.ValidateKeys(keys); err != nil {
		return nil, err
	}
	items := make([]table.Item, len(keys))
	err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
		bucket := tx.Bucket([]byte(itemBucket))
		for i, k := range keys {
			if items[i], err = load(bucket, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Query implements table.Table. Indexes do not lag, and rows with equal sort keys
// come in the order of their table keys.
func (s *Store) Query(ctx context.Context, q table.Query) (table.Page, error) {
	if err := q.Validate(s.schema); err != nil {
		return table.Page{}, err
	}
	position, resumes, err := q.Position()
	if err != nil {
		return table.Page{}, err
	}
	index, _ := s.schema.Index(q.Index)
	r := rangeReader{q: q, index: index}
	if resumes {
		r.after = r.bucketKey(position)
	}
	var page table.Page
	err = s.view(ctx, func(tx *bbolt.Tx) (err error) {
		page, err = r.read(tx)
		return err
	})
	return page, err
}

// Dump calls f with every item in the order of their keys, for tests that search
// the whole store. It stops at f's first error and returns it.
func (s *Store) Dump(ctx context.Context, f func(table.Row) error) error {
	return s.view(ctx, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(itemBucket)).ForEach(func(k, v []byte) error {
			if err := table.Interrupted(ctx); err != nil {
				return err
			}
			key, item, err := decodeRow(k, v)
			if err != nil {
				return err
			}
			return f(table.Row{Key: key, Attrs: item})
		})
	})
}

func (s *Store) view(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := table.Interrupted(ctx); err != nil {
		return err
	}
	var failed error
	err := s.db.View(func(tx *bbolt.Tx) error {
		failed = f(tx)
		return nil
	})
	if err != nil {
		return storeFault(err)
	}
	return failed
}

// rangeReader reads one page of a query.
type rangeReader struct {
	q     table.Query
	index table.Index // zero for the table
	after []byte      // the last row of the page before; nil on the first
}

func (r rangeReader) bucketKey(p table.Position) []byte {
	if r.q.Index == "" {
		return itemKey(p.Key)
	}
	return tuple(r.q.PK, p.Sort, p.Key.PK, p.Key.SK)
}

func (r rangeReader) read(tx *bbolt.Tx) (table.Page, error) {
	bucket := tx.Bucket([]byte(itemBucket))
	if r.q.Index != "" {
		bucket = tx.Bucket(indexBucket(r.index))
	}
	c := bucket.Cursor()
	var page table.Page
	var last table.Position
	size, partition := 0, tuple(r.q.PK)
	for k, v := r.first(c); bytes.HasPrefix(k, partition); k, v = r.next(c) {
		row, p, err := r.row(k, v)
		if err != nil {
			return table.Page{}, err
		}
		if !r.q.Selects(p.Sort) {
			break
		}
		if r.q.Limit > 0 && len(page.Rows) == r.q.Limit || size >= maxPage {
			page.Next = r.q.CursorAfter(last)
			break
		}
		page.Rows, last = append(page.Rows, row), p
		size += len(k) + len(v)
	}
	return page, nil
}

// row decodes an entry of the bucket that is read.
func (r rangeReader) row(k, v []byte) (table.Row, table.Position, error) {
	if r.q.Index == "" {
		key, item, err := decodeRow(k, v)
		return table.Row{Key: key, Attrs: item}, table.Position{Sort: key.SK, Key: key}, err
	}
	parts, err := untuple(k, 4)
	if err != nil {
		return table.Row{}, table.Position{}, err
	}
	key := table.Key{PK: parts[2], SK: parts[3]}
	attrs := table.Item{r.index.PK: parts[0], r.index.SK: parts[1]}
	return table.Row{Key: key, Attrs: attrs}, table.Position{Sort: parts[1], Key: key}, nil
}

// first moves to the page's first entry, which may lie outside of the range when
// the range is empty.
func (r rangeReader) first(c *bbolt.Cursor) (k, v []byte) {
	if r.q.Descending {
		if k, _ = c.Seek(r.upper()); k == nil {
			return c.Last()
		}
		return c.Prev()
	}
	k, v = c.Seek(r.lower())
	if r.after != nil && bytes.Equal(k, r.after) {
		return c.Next()
	}
	return k, v
}

func (r rangeReader) next(c *bbolt.Cursor) (k, v []byte) {
	if r.q.Descending {
		return c.Prev()
	}
	return c.Next()
}

// lower is where an ascending read begins.
func (r rangeReader) lower() []byte {
	if r.after != nil {
		return r.after
	}
	return append(tuple(r.q.PK), escape(max(r.q.From, r.q.Prefix))...)
}

// upper is the place just behind the first entry of a descending read.
func (r rangeReader) upper() []byte {
	partition := tuple(r.q.PK)
	switch {
	case r.after != nil:
		return r.after
	case r.q.To != "":
		return append(append(partition, escape(r.q.To)...), pastEqual...)
	default:
		return append(append(partition, escape(r.q.Prefix)...), pastPrefix...)
	}
}
