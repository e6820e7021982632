package store

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/table"
)

// Attributes of what has been sent; the rest is shared with sessions.
const (
	attrNext      = "next"
	attrHourStart = "hs"
	attrHourCount = "hn"
	attrDayStart  = "ds"
	attrDayCount  = "dn"
	attrCount     = "n"
	attrSpent     = "usd"
)

// budgetLife is how long a count stays, for the record.
const budgetLife = 7 * 24 * time.Hour

// sendOps counts one message: at its address, under what the decision assumed, in the
// counts of the day and the hour, and in that of its region.
func sendOps(s sending.Send) []table.Op {
	ops := []table.Op{usageOp(s)}
	for _, c := range s.Counts {
		ops = append(ops, countOp(c, s.Refund))
	}
	if !s.Unused.None() {
		ops = append(ops, unusedOp(s.Unused, s.Refund))
	}
	return ops
}

func usageOp(s sending.Send) table.Op {
	key, item := usageKey(s.Subject), usageItem(s.New)
	if s.Old.Revision == 0 {
		return table.Put(key, item, table.NotExists())
	}
	return evolve(key, usageItem(s.Old), item, atRevision(s.Old.Revision))
}

// countOp adds the message, and its price where that is limited, to a count that has
// room for both; or takes them back.
func countOp(c sending.Count, refund bool) table.Op {
	sign := int64(1)
	if refund {
		sign = -1
	}
	changes := []table.Change{table.Add(table.At(attrCount), sign)}
	if c.Spend > 0 {
		changes = append(changes, table.Add(table.At(attrSpent), sign*int64(c.Price)))
	}
	if refund {
		return table.Update(countKey(c), nil, changes...)
	}
	changes = append(changes, table.Set(table.At(attrTTL), c.Start.Add(budgetLife).Unix()))
	return table.Update(countKey(c), room(c), changes...)
}

// room is the condition under which one more message fits. A price that is over the
// limit alone fits into no day. A limit that was set during the day finds no sum yet.
func room(c sending.Count) table.Condition {
	messages := table.Or(table.NotExists(), table.Lt(table.At(attrCount), int64(c.Limit)))
	if c.Spend == 0 {
		return messages
	}
	spent := table.Le(table.At(attrSpent), int64(c.Spend-c.Price))
	if c.Price <= c.Spend {
		spent = table.Or(table.Not(table.Has(table.At(attrSpent))), spent)
	}
	return table.And(messages, spent)
}

func usageItem(u sending.Usage) table.Item {
	r := newRecord()
	put(r, attrRevision, int64(u.Revision))
	r.putTime(attrNext, u.NextAt)
	r.putTime(attrHourStart, u.Hour.Start)
	put(r, attrHourCount, int64(u.Hour.Count))
	r.putTime(attrDayStart, u.Day.Start)
	put(r, attrDayCount, int64(u.Day.Count))
	put(r, attrTTL, u.Expires().Unix())
	return r.item
}

// Usage implements user.Store.
func (s *Store) Usage(ctx context.Context, subjects []sending.Subject) (map[sending.Subject]sending.Usage, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	keys := make([]table.Key, len(subjects))
	for i, subject := range subjects {
		keys[i] = usageKey(subject)
	}
	items, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[sending.Subject]sending.Usage, len(subjects))
	for i, item := range items {
		r := &record{item: item}
		found[subjects[i]] = sending.Usage{
			Revision: uint64(get[int64](r, attrRevision)),
			NextAt:   r.getTime(attrNext),
			Hour:     sending.Window{Start: r.getTime(attrHourStart), Count: int(get[int64](r, attrHourCount))},
			Day:      sending.Window{Start: r.getTime(attrDayStart), Count: int(get[int64](r, attrDayCount))},
		}
		if r.err != nil {
			return nil, corrupt(keys[i], r.err)
		}
	}
	return found, nil
}

// counted returns what the counts have come to.
func (s *Store) counted(ctx context.Context, counts []sending.Count) (map[sending.Count]sending.Tally, error) {
	if len(counts) == 0 {
		return nil, nil
	}
	keys := make([]table.Key, len(counts))
	for i, c := range counts {
		keys[i] = countKey(c)
	}
	items, err := s.table.BatchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	found := make(map[sending.Count]sending.Tally, len(counts))
	for i, item := range items {
		r := &record{item: item}
		found[counts[i]] = sending.Tally{Messages: int(get[int64](r, attrCount)), Spent: price.Micros(get[int64](r, attrSpent))}
		if r.err != nil {
			return nil, corrupt(keys[i], r.err)
		}
	}
	return found, nil
}
