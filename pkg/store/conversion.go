package store

import (
	"context"
	"errors"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/table"
)

// attrMax is the limit of a region's count. It and the end stand beside the number, so that
// who reads a change of the item needs no configuration to know what it means.
const attrMax = "max"

// unusedLife is how long a count outlives its window, for the record.
const unusedLife = 24 * time.Hour

// unusedOp adds a message to a count that has room for it, or takes it back.
func unusedOp(u sending.Unused, refund bool) table.Op {
	number := table.At(attrCount)
	if refund {
		return table.Update(unusedKey(u), nil, table.Add(number, -1))
	}
	return table.Update(unusedKey(u), table.Or(table.NotExists(), table.Lt(number, int64(u.Limit))),
		table.Add(number, 1),
		table.Set(table.At(attrMax), int64(u.Limit)),
		table.Set(table.At(attrExpires), u.End.UnixMicro()),
		table.Set(table.At(attrTTL), u.End.Add(unusedLife).Unix()),
	)
}

// CodeUsed takes what a used code pays for off the count of its region, unless nothing is
// left to pay for. It returns fault.Conflict when the count is in another write. A write
// whose answer is lost may be repeated on the way, and then the code has paid twice.
func (s *Store) CodeUsed(ctx context.Context, u sending.Unused) error {
	number := table.At(attrCount)
	pay := table.Update(unusedKey(u), table.Gt(number, int64(0)), table.Add(number, -int64(u.PerCode)))
	err := s.table.Write(ctx, table.Write{Ops: []table.Op{pay}})
	var lost *table.Conflict
	switch {
	case !errors.As(err, &lost):
		return err
	case len(lost.Failures) > 0:
		return nil
	default:
		return fault.Conflict.Wrap(lost)
	}
}

// standings reads counts of regions.
func (s *Store) standings(ctx context.Context, counts []sending.Unused) (map[sending.Unused]sending.Standing, error) {
	keys := make([]table.Key, len(counts))
	for i, u := range counts {
		keys[i] = unusedKey(u)
	}
	items, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[sending.Unused]sending.Standing, len(counts))
	for i, item := range items {
		at, err := decodeStanding(keys[i], item)
		if err != nil {
			return nil, err
		}
		if at != nil {
			found[counts[i]] = *at
		}
	}
	return found, nil
}

// decodeStanding returns nil for an absent item.
func decodeStanding(k table.Key, item table.Item) (*sending.Standing, error) {
	if item == nil {
		return nil, nil
	}
	r := &record{item: item}
	s := &sending.Standing{
		Messages: int(get[int64](r, attrCount)),
		Limit:    int(get[int64](r, attrMax)),
		End:      r.getTime(attrExpires),
	}
	if r.err != nil {
		return nil, corrupt(k, r.err)
	}
	return s, nil
}
