// Package table owns the item port: the small, typed view of a key-value table that
// the repositories are written against. DynamoDB (package dynamo) and an embedded
// database (package bolt) implement it; package tabletest holds the contract that
// both must pass.
//
// The port is shaped after what DynamoDB can do in one request, so that nothing
// written against it needs a feature that the other store lacks. Conditions and
// changes are Go values, not expression strings.
package table

import (
	"context"
	"fmt"
	"strings"
)

// Item holds the attributes of one stored item, without its key. Values are string,
// int64, bool, []byte, []any and map[string]any, nested as needed; anything else is
// refused on write. Stores never share memory with the caller: what goes in and what
// comes out are copies.
type Item map[string]any

// Key names one item: the partition key and the sort key, neither of them empty.
type Key struct {
	PK, SK string
}

// String returns the key for logs and errors.
func (k Key) String() string { return k.PK + "/" + k.SK }

// Row is an item with its key, as a query returns it. A row from an index carries
// only the index's own key attributes, because the indexes project keys only.
type Row struct {
	Key   Key
	Attrs Item
}

// Index describes a secondary index: the attributes that are its partition and sort
// key, both strings. An item that lacks either of them is not in the index.
type Index struct {
	Name   string
	PK, SK string
}

// Schema is the part of a table's definition that the adapters must know.
type Schema struct {
	// Indexes are the secondary indexes, all of them projecting keys only.
	Indexes []Index
	// TTL names the attribute with the time, in epoch seconds, after which the
	// store may drop the item whenever it likes. It is a broom, not a judge: an
	// item past its time may still be returned, and readers must look at their
	// own expiry.
	TTL string
}

// Names of the key attributes in the stored table.
const (
	PartitionKey = "PK"
	SortKey      = "SK"
)

// Limits that every adapter enforces, taken from DynamoDB.
const (
	// MaxBatch is how many keys one BatchGet takes.
	MaxBatch = 100
	// MaxTransact is how many operations one Write takes.
	MaxTransact = 100
	// MaxToken is the length of a Write's token, in bytes.
	MaxToken = 36
	// MaxPartitionKey and MaxSortKey are the lengths of the two parts of a key, in
	// the table and in an index, in UTF-8 bytes.
	MaxPartitionKey = 2048
	MaxSortKey      = 1024
	// MaxItem is the size of an item with its key, in bytes as CheckSize counts.
	MaxItem = 400 << 10
	// maxDepth is how deep values nest.
	maxDepth = 32
)

// Table is the port. All methods return a *fault.Fault of kind Unavailable,
// DeadlineExceeded, Canceled or Internal when the store fails, and are safe for
// concurrent use.
type Table interface {
	// Get returns the item, or nil when there is none. The read is strongly
	// consistent.
	Get(ctx context.Context, key Key) (Item, error)
	// BatchGet returns the items in the order of keys, nil where there is none.
	// At most MaxBatch keys, none twice; none at all returns no items. The reads
	// are strongly consistent one by one, not a snapshot.
	BatchGet(ctx context.Context, keys []Key) ([]Item, error)
	// Query returns one page of a partition in the order of the sort key. On the
	// table it is strongly consistent; on an index it may lag behind writes.
	Query(ctx context.Context, q Query) (Page, error)
	// Write applies all operations or none. When a condition is false the error
	// is a *Conflict. One operation costs a plain write; several cost a
	// transaction. No two operations may name one key.
	Write(ctx context.Context, w Write) error
}

// Query selects a range of one partition.
type Query struct {
	// Index is the index to read; empty is the table itself.
	Index string
	// PK is the partition.
	PK string
	// Prefix limits to sort keys that begin with it. From and To, both inclusive,
	// limit to a range; either may be empty. Prefix excludes From and To.
	Prefix, From, To string
	// Descending reverses the order.
	Descending bool
	// Limit is the most rows to return; 0 leaves it to the store.
	Limit int
	// Cursor continues after an earlier page.
	Cursor string
}

// Page is a part of a query's answer.
type Page struct {
	Rows []Row
	// Next is the cursor of the following page; empty on the last one. A page
	// may be empty and still not be the last.
	Next string
}

// Write is a set of operations that happen together.
type Write struct {
	// Token makes the write idempotent against a lost answer: a store that has
	// already applied a write of several operations with this token answers as
	// it did then. Empty means none. At most 36 bytes. A repeat must carry the
	// same operations. A write of one operation does not use it: when its answer
	// is lost, a repeat may find its own effect in the way, as the old item of a
	// Conflict.
	Token string
	Ops   []Op
}

// Conflict says which conditions of a Write were false; nothing was written.
type Conflict struct {
	// Failures has an entry for each false condition, in the order of the
	// operations. It is empty when the store refused because another write on
	// one of the items was under way; reload and try again.
	Failures []Failure
}

// Failure is one false condition.
type Failure struct {
	// Op is the index of the operation in the Write.
	Op int
	// Old is the item as the store found it, nil when there was none.
	Old Item
}

// Error lists the operations that failed.
func (c *Conflict) Error() string {
	if len(c.Failures) == 0 {
		return "another write was under way"
	}
	parts := make([]string, len(c.Failures))
	for i, f := range c.Failures {
		parts[i] = fmt.Sprint(f.Op)
	}
	return "condition failed on operation " + strings.Join(parts, ", ")
}
