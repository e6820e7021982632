package table

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// Validate reports whether the query keeps to the rules of the port: a well-formed
// partition, an index of the schema, a range that is a prefix or bounds, and a limit
// that is not negative. The error is ErrRefused. The cursor is Position's to check.
func (q Query) Validate(s Schema) error {
	if _, ok := s.Index(q.Index); !ok && q.Index != "" {
		return refused("there is no index %q", q.Index)
	}
	if err := checkKeyPart("the partition", q.PK, MaxPartitionKey); err != nil {
		return refused("%w", err)
	}
	if q.Prefix != "" && (q.From != "" || q.To != "") {
		return refused("a query has a prefix or bounds, not both")
	}
	for _, bound := range []string{q.Prefix, q.From, q.To} {
		if bound == "" {
			continue
		}
		if err := checkKeyPart("a bound", bound, MaxSortKey); err != nil {
			return refused("%w", err)
		}
	}
	if q.Limit < 0 {
		return refused("the limit is negative: %d", q.Limit)
	}
	return nil
}

// Index returns the index with the name.
func (s Schema) Index(name string) (Index, bool) {
	for _, index := range s.Indexes {
		if index.Name == name {
			return index, true
		}
	}
	return Index{}, false
}

// Empty reports whether no sort key can lie in the query's bounds. DynamoDB refuses
// such bounds; the port answers them with an empty page.
func (q Query) Empty() bool { return q.From != "" && q.To != "" && q.From > q.To }

// Selects reports whether the sort key lies in the query's range.
func (q Query) Selects(sort string) bool {
	return strings.HasPrefix(sort, q.Prefix) && sort >= q.From && (q.To == "" || sort <= q.To)
}

// Position is a place in the answer of a query: the last row that was returned.
type Position struct {
	// Sort is the row's sort key in what was queried: the table or the index.
	Sort string
	// Key is the row's key in the table.
	Key Key
}

// cursorVersion is the first byte of every cursor.
const cursorVersion = 1

// CursorAfter returns the cursor with which the query continues behind p. It is the
// base64url form of p and of what was queried. It is not secret and not signed: who
// hands it to clients must not put secrets into keys.
func (q Query) CursorAfter(p Position) string {
	b := []byte{cursorVersion}
	for _, part := range []string{q.Index, q.PK, p.Sort, p.Key.PK, p.Key.SK} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Position returns the place that the query's cursor stands for, and false when
// there is no cursor. A cursor that the same query cannot have returned, garbage
// included, gives ErrCursor: a store would refuse it or answer from elsewhere.
func (q Query) Position() (Position, bool, error) {
	if q.Cursor == "" {
		return Position{}, false, nil
	}
	parts, ok := cursorParts(q.Cursor)
	if !ok {
		return Position{}, false, ErrCursor
	}
	p := Position{Sort: parts[2], Key: Key{PK: parts[3], SK: parts[4]}}
	if q.CursorAfter(p) != q.Cursor || !q.possible(p) {
		return Position{}, false, ErrCursor
	}
	return p, true, nil
}

// possible reports whether the query can have a row at p.
func (q Query) possible(p Position) bool {
	if p.Key.validate() != nil || checkKeyPart("", p.Sort, MaxSortKey) != nil {
		return false
	}
	if q.Index == "" && p.Key != (Key{PK: q.PK, SK: p.Sort}) {
		return false
	}
	return q.Selects(p.Sort)
}

// cursorParts splits a cursor into its five parts. Whether they belong to the query
// is seen by building the cursor again.
func cursorParts(cursor string) (parts [5]string, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) == 0 || b[0] != cursorVersion {
		return parts, false
	}
	b = b[1:]
	for i := range parts {
		n, used := binary.Uvarint(b)
		if used <= 0 || n > uint64(len(b)-used) {
			return parts, false
		}
		end := used + int(n)
		parts[i], b = string(b[used:end]), b[end:]
	}
	return parts, len(b) == 0
}
