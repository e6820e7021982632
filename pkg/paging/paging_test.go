package paging_test

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/paging"
)

// numbers are the candidates from 0 to n-1; taken counts how many the reader asked for.
func numbers(n int, taken *int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range n {
			*taken++
			if !yield(strconv.Itoa(i), nil) {
				return
			}
		}
	}
}

// multiples loads the candidates that m divides, and counts those it was given.
func multiples(m int, loaded *int) func([]string) ([]int, error) {
	return func(ids []string) ([]int, error) {
		*loaded += len(ids)
		var rows []int
		for _, id := range ids {
			n, err := strconv.Atoi(id)
			if err != nil {
				return nil, err
			}
			if n%m == 0 {
				rows = append(rows, n)
			}
		}
		return rows, nil
	}
}

func TestTotalsAreExactUpToTheBoundAndAtLeastThePageBeyond(t *testing.T) {
	t.Parallel()
	const c = paging.Counted
	for name, w := range map[string]struct {
		candidates, every int
		page              paging.Page
		first, rows       int
		total, loaded     int
		atLeast           bool
	}{
		"nothing":                       {0, 1, paging.Page{Limit: 20}, 0, 0, 0, 0, false},
		"a few":                         {5, 1, paging.Page{Limit: 20}, 0, 5, 5, 5, false},
		"as many as are counted":        {c, 1, paging.Page{Limit: 20}, 0, 20, c, c, false},
		"one more":                      {c + 1, 1, paging.Page{Limit: 20}, 0, 20, c, c, true},
		"many":                          {100 * c, 1, paging.Page{Limit: 20}, 0, 20, c, c, true},
		"many, all to be counted":       {100 * c, 1, paging.Page{Limit: 20, Exact: true}, 0, 20, 100 * c, 100 * c, false},
		"many of which half match":      {100 * c, 2, paging.Page{Limit: 20}, 0, 20, c / 2, c, true},
		"many of which few match":       {7 * c, c, paging.Page{Limit: 3}, 0, 3, 7, 7 * c, false},
		"many of which some match":      {50 * c, c, paging.Page{Limit: 6}, 0, 6, 7, 7 * c, true},
		"a page behind what is counted": {100 * c, 1, paging.Page{Offset: 2 * c, Limit: 20}, 2 * c, 20, 2*c + 21, 2*c + 21, true},
		"the page before the last row":  {c + 21, 1, paging.Page{Offset: c, Limit: 20}, c, 20, c + 21, c + 21, false},
		"the last page":                 {c + 20, 1, paging.Page{Offset: c, Limit: 20}, c, 20, c + 20, c + 20, false},
		"a page behind the end":         {c + 20, 1, paging.Page{Offset: 2 * c, Limit: 20}, 0, 0, c + 20, c + 20, false},
		"a page far behind the end":     {30 * c, 1, paging.Page{Offset: 1 << 30, Limit: 20}, 0, 0, 30 * c, 30 * c, false},
		"the largest page":              {100 * c, 1, paging.Page{Limit: 1000}, 0, 1000, 1001, 1001, true},
		"the largest page, far":         {100 * c, 1, paging.Page{Offset: 1500, Limit: 1000}, 1500, 1000, 3003, 3003, true},
	} {
		var taken, loaded int
		got, err := paging.Read(numbers(w.candidates, &taken), w.page, multiples(w.every, &loaded))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		want := paging.Part[int]{Total: w.total, AtLeast: w.atLeast}
		for i := range w.rows {
			want.Rows = append(want.Rows, w.first+i*w.every)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if loaded != w.loaded || taken > loaded+1 {
			t.Errorf("%s: %d candidates were taken and %d loaded, want %d loaded and one more taken at the most", name, taken, loaded, w.loaded)
		}
		if got.AtLeast && got.Total <= w.page.Offset+w.page.Limit {
			t.Errorf("%s: a total of at least %d hides the next page", name, got.Total)
		}
	}
}

func TestPagesOfAWholeList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		page paging.Page
		want []int
	}{
		{paging.Page{Limit: 2}, []int{0, 1}},
		{paging.Page{Offset: 3, Limit: 2}, []int{3, 4}},
		{paging.Page{Offset: 4, Limit: 2}, []int{4}},
		{paging.Page{Offset: 5, Limit: 2}, nil},
		{paging.Page{Offset: 6, Limit: 2}, nil},
	} {
		got := paging.Cut([]int{0, 1, 2, 3, 4}, c.page)
		if diff := cmp.Diff(paging.Part[int]{Rows: c.want, Total: 5}, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.page, diff)
		}
	}
}

func TestFailuresEndTheListWithoutRows(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, at := range []int{0, 1, paging.Counted, paging.Counted + 1, 5 * paging.Counted} {
		var taken, loaded int
		ids := func(yield func(string, error) bool) {
			for id, err := range numbers(at, &taken) {
				if !yield(id, err) {
					return
				}
			}
			yield("", broken)
		}
		got, err := paging.Read(ids, paging.Page{Limit: 20, Exact: true}, multiples(1, &loaded))
		if !errors.Is(err, broken) || got.Rows != nil || got.Total != 0 {
			t.Errorf("candidate %d fails: %+v, %v", at, got, err)
		}
		calls := 0
		_, err = paging.Read(numbers(5*paging.Counted, &taken), paging.Page{Limit: 20, Exact: true}, func(ids []string) ([]int, error) {
			if calls++; calls*paging.Counted > at {
				return nil, fmt.Errorf("load %d: %w", calls, broken)
			}
			return make([]int, len(ids)), nil
		})
		if calls*paging.Counted > at && !errors.Is(err, broken) {
			t.Errorf("load %d fails: %v", calls, err)
		}
	}
}
