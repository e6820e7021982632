// Package paging owns how a list is cut into pages, and how far its matches are
// counted.
//
// To count them all costs by the size of the table: whether a candidate matches is known
// once it was read. So a list that is read in its order counts as search engines do:
// exactly as long as there are few, and beyond that no further than the page needs.
package paging

import "iter"

// Counted is the most candidates whose matches are always counted, whatever the page.
// People who look at a list of that size care for its exact total, and two requests
// of DynamoDB read as many.
const Counted = 200

// mostRead is the most candidates that are read at a time: a page of 1000 and one
// more, which says whether another page follows.
const mostRead = 1001

// Page is the part of a list that is asked for.
type Page struct {
	// Offset rows are skipped, which costs as much as reading them. At most Limit
	// rows follow.
	Offset, Limit int
	// Exact counts all matches, however many there are.
	Exact bool
}

// Part is the part of a list that was found.
type Part[T any] struct {
	Rows []T
	// Total is how many match. With AtLeast more may match, and Total is larger
	// than where the page ends.
	Total   int
	AtLeast bool
}

// Cut returns the page of a list that was read as a whole.
func Cut[T any](all []T, p Page) Part[T] {
	var part Part[T]
	part.add(all, p)
	return part
}

// Read returns the page of a list whose candidates come in its order. It gives them to
// load, many at a time, which returns those that match, in their order. It stops
// when it has seen Counted candidates and more matches than the page takes. The
// error is that of ids or of load.
func Read[T any](ids iter.Seq2[string, error], p Page, load func(ids []string) ([]T, error)) (Part[T], error) {
	var part Part[T]
	var batch []string
	size := max(min(p.end(), mostRead-1)+1, Counted)
	read := func() error {
		rows, err := load(batch)
		part.add(rows, p)
		batch = batch[:0]
		return err
	}
	for id, err := range ids {
		if err != nil {
			return Part[T]{}, err
		}
		if len(batch) == size { // and there is one more
			if err := read(); err != nil {
				return Part[T]{}, err
			}
			if part.AtLeast = part.Total > p.end() && !p.Exact; part.AtLeast {
				return part, nil
			}
			size = min(2*size, mostRead)
		}
		batch = append(batch, id)
	}
	if err := read(); err != nil {
		return Part[T]{}, err
	}
	return part, nil
}

func (p Page) end() int { return p.Offset + p.Limit }

// add counts the rows and keeps those that are on the page.
func (part *Part[T]) add(rows []T, p Page) {
	from := min(max(p.Offset-part.Total, 0), len(rows))
	to := min(max(p.end()-part.Total, 0), len(rows))
	part.Rows = append(part.Rows, rows[from:to]...)
	part.Total += len(rows)
}
