package table

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Pages of a merge. The first is small, because most readers stop early; each one
// after it is twice as large, so that those who read on need few requests.
const (
	firstMergePage = 64
	lastMergePage  = 1024
	// mergeReads bounds how many requests a merge sends at a time.
	mergeReads = 8
)

// Merge reads queries of indexes as one list in the order of the attribute by, which
// is the sort key of all of them; rows that are equal in it come in the order of their
// table keys. A row that several of the queries find comes once. All queries have
// the direction of the first, and their Limit and Cursor are not used.
//
// It reads pages as the caller goes on, and nothing more once the caller stops. Rows
// with equal sort keys are gathered before the first of them comes. After an error,
// which has the faults of Query, it ends.
func Merge(ctx context.Context, t Table, by string, queries []Query) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		m := newMerger(t, by, queries)
		for {
			rows, err := m.next(ctx)
			if err != nil {
				yield(Row{}, err)
				return
			}
			if len(rows) == 0 {
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

// merger is a merge under way.
type merger struct {
	table      Table
	by         string
	descending bool
	parts      []*mergePart
}

// mergePart is one of the queries with what was read of it and not yet returned.
type mergePart struct {
	q    Query
	rows []Row
	more bool // there may be another page
}

func newMerger(t Table, by string, queries []Query) *merger {
	m := &merger{table: t, by: by}
	for _, q := range queries {
		m.descending = queries[0].Descending
		q.Descending, q.Limit, q.Cursor = m.descending, firstMergePage, ""
		m.parts = append(m.parts, &mergePart{q: q, more: true})
	}
	return m
}

// next returns the rows that share the next sort key, none at the end.
func (m *merger) next(ctx context.Context) ([]Row, error) {
	if err := m.fill(ctx); err != nil {
		return nil, err
	}
	front, found := m.front()
	if !found {
		return nil, nil
	}
	var rows []Row
	for {
		for _, p := range m.parts {
			rows = append(rows, p.take(m.by, front)...)
		}
		if !slices.ContainsFunc(m.parts, (*mergePart).drained) {
			break
		}
		if err := m.fill(ctx); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return m.ordered(cmp.Or(cmp.Compare(a.Key.PK, b.Key.PK), cmp.Compare(a.Key.SK, b.Key.SK)))
	})
	return slices.CompactFunc(rows, func(a, b Row) bool { return a.Key == b.Key }), nil
}

func (m *merger) ordered(order int) int {
	if m.descending {
		return -order
	}
	return order
}

// front returns the sort key that comes next.
func (m *merger) front() (sort string, found bool) {
	for _, p := range m.parts {
		if len(p.rows) == 0 {
			continue
		}
		if own := sortKey(p.rows[0], m.by); !found || m.ordered(cmp.Compare(own, sort)) < 0 {
			sort, found = own, true
		}
	}
	return sort, found
}

// fill reads until every part has a row or is at its end. Parts are read side by
// side, also those that are about to run dry: they are of a size mostly, and so one
// round trip does for all.
func (m *merger) fill(ctx context.Context) error {
	for slices.ContainsFunc(m.parts, (*mergePart).drained) {
		reads, ctx := errgroup.WithContext(ctx)
		reads.SetLimit(mergeReads)
		for _, p := range m.parts {
			if p.low() {
				reads.Go(func() error { return p.read(ctx, m.table, m.by) })
			}
		}
		if err := reads.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (p *mergePart) drained() bool { return p.more && len(p.rows) == 0 }

// low reports whether a quarter of the last page is left, or less; the next one is
// twice as large.
func (p *mergePart) low() bool { return p.more && len(p.rows) <= p.q.Limit/8 }

// read reads the next page.
func (p *mergePart) read(ctx context.Context, t Table, by string) error {
	page, err := t.Query(ctx, p.q)
	if err != nil {
		return err
	}
	for _, row := range page.Rows {
		if _, ok := row.Attrs[by].(string); !ok {
			return ErrCorrupt.Wrap(fmt.Errorf("row %s of index %s has no sort key %q", row.Key, p.q.Index, by))
		}
	}
	p.rows = append(p.rows, page.Rows...)
	p.q.Cursor, p.more = page.Next, page.Next != ""
	p.q.Limit = min(2*p.q.Limit, lastMergePage)
	return nil
}

// take removes the rows with the sort key from the front and returns them.
func (p *mergePart) take(by, sort string) []Row {
	n := 0
	for n < len(p.rows) && sortKey(p.rows[n], by) == sort {
		n++
	}
	taken := p.rows[:n]
	p.rows = p.rows[n:]
	return taken
}

// sortKey is that of a row that read has looked at.
func sortKey(r Row, by string) string {
	s, _ := r.Attrs[by].(string)
	return s
}
