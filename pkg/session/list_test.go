package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/paging"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

func list(t *testing.T, s *apptest.Service, caller access.Caller, q session.Search) session.Listing {
	t.Helper()
	l, err := s.Sessions.List(t.Context(), caller, q)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// shelf is a service with six sessions, a minute apart, and their ids in that order.
type shelf struct {
	*apptest.Service

	ids []string
	ada string
}

// At returns the time at which session i was created.
func (shelf) at(i int) time.Time { return apptest.Epoch().Add(time.Duration(i) * time.Minute) }

func newShelf(t *testing.T, tb table.Table) shelf {
	t.Helper()
	s := apptest.New(t, apptest.Options{Table: tb})
	sh := shelf{Service: s, ada: s.NewUserCheap(t, "ada@example.com").ID}
	for _, c := range []struct {
		creator, agent string
		step           session.Step
	}{
		0: {"app", "phone", session.Step{}},
		1: {"app", "laptop", apptest.Named(sh.ada)},
		2: {"other", "phone", apptest.Named(sh.ada)},
		3: {"other", "", lifetime(time.Hour)},
		4: {"app", "", lifetime(2 * time.Hour)},
		5: {"app", "phone", apptest.Named(sh.ada)},
	} {
		r, err := s.Sessions.Create(t.Context(), access.Caller{ID: c.creator, Role: access.IAMLoginClient},
			session.Create{Step: c.step, Agent: session.UserAgent{Fingerprint: c.agent}})
		if err != nil {
			t.Fatal(err)
		}
		sh.ids = append(sh.ids, r.SessionID)
		s.Clock.Advance(time.Minute)
	}
	return sh
}

// rows returns which of the shelf's sessions a list has, in its order.
func (sh shelf) rows(l session.Listing) []int {
	rows := []int{}
	for _, v := range l.Sessions {
		rows = append(rows, slices.Index(sh.ids, v.ID))
	}
	return rows
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		sh := newShelf(t, tb)
		created := func(c session.Comparison, at time.Time) session.Filter {
			return session.CreatedAt{Comparison: c, Time: at}
		}
		expires := func(c session.Comparison, at time.Time) session.Filter {
			return session.ExpiresAt{Comparison: c, Time: at}
		}
		third, expiry := sh.at(2), sh.at(3).Add(time.Hour)
		for name, c := range map[string]struct {
			filters []session.Filter
			want    []int
		}{
			"none":                      {nil, []int{5, 4, 3, 2, 1, 0}},
			"ids":                       {[]session.Filter{session.IDs{sh.ids[1], sh.ids[4], sh.ids[1]}}, []int{4, 1}},
			"ids, some unknown":         {[]session.Filter{session.IDs{"", "x", strings.Repeat("x", 5000), "\xff", sh.ids[0]}}, []int{0}},
			"no ids":                    {[]session.Filter{session.IDs{}}, []int{}},
			"ids twice":                 {[]session.Filter{session.IDs{sh.ids[1], sh.ids[2]}, session.IDs{sh.ids[2], sh.ids[3]}}, []int{2}},
			"user":                      {[]session.Filter{session.OfUserID(sh.ada)}, []int{5, 2, 1}},
			"unknown user":              {[]session.Filter{session.OfUserID("nobody")}, []int{}},
			"user without an id":        {[]session.Filter{session.OfUserID("")}, []int{}},
			"user with a long id":       {[]session.Filter{session.OfUserID(strings.Repeat("x", 5000))}, []int{}},
			"creator":                   {[]session.Filter{session.OfCreatorID("app")}, []int{5, 4, 1, 0}},
			"creator with a long id":    {[]session.Filter{session.OfCreatorID(strings.Repeat("x", 5000))}, []int{}},
			"agent with a long name":    {[]session.Filter{session.OfFingerprint(strings.Repeat("x", 5000))}, []int{}},
			"agent":                     {[]session.Filter{session.OfFingerprint("phone")}, []int{5, 2, 0}},
			"created at":                {[]session.Filter{created(session.Equal, third)}, []int{2}},
			"created after":             {[]session.Filter{created(session.Later, third)}, []int{5, 4, 3}},
			"created at or after":       {[]session.Filter{created(session.LaterOrEqual, third)}, []int{5, 4, 3, 2}},
			"created before":            {[]session.Filter{created(session.Earlier, third)}, []int{1, 0}},
			"created at or before":      {[]session.Filter{created(session.EarlierOrEqual, third)}, []int{2, 1, 0}},
			"created a breath later":    {[]session.Filter{created(session.Earlier, third.Add(time.Nanosecond))}, []int{2, 1, 0}},
			"created between":           {[]session.Filter{created(session.Later, sh.at(0)), created(session.Earlier, sh.at(3))}, []int{2, 1}},
			"created between, narrowed": {[]session.Filter{created(session.Later, sh.at(0)), created(session.Later, sh.at(1)), created(session.Earlier, sh.at(4)), created(session.Earlier, sh.at(3))}, []int{2}},
			"created never":             {[]session.Filter{created(session.Later, sh.at(3)), created(session.Earlier, sh.at(1))}, []int{}},
			"created before 2300":       {[]session.Filter{created(session.Earlier, time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC))}, []int{5, 4, 3, 2, 1, 0}},
			"created before 9999":       {[]session.Filter{created(session.Earlier, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))}, []int{5, 4, 3, 2, 1, 0}},
			"created after 2300":        {[]session.Filter{created(session.Later, time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC))}, []int{}},
			"created after 1900":        {[]session.Filter{created(session.Later, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))}, []int{5, 4, 3, 2, 1, 0}},
			"created before 1900":       {[]session.Filter{created(session.Earlier, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))}, []int{}},
			"expires at":                {[]session.Filter{expires(session.Equal, expiry)}, []int{3}},
			"expires after":             {[]session.Filter{expires(session.Later, expiry)}, []int{5, 4, 2, 1, 0}},
			"expires at or after":       {[]session.Filter{expires(session.LaterOrEqual, expiry)}, []int{5, 4, 3, 2, 1, 0}},
			"expires before":            {[]session.Filter{expires(session.Earlier, expiry)}, []int{}},
			"expires at or before":      {[]session.Filter{expires(session.EarlierOrEqual, expiry)}, []int{3}},
			"creator and agent":         {[]session.Filter{session.OfCreatorID("app"), session.OfFingerprint("phone")}, []int{5, 0}},
			"agent and creator":         {[]session.Filter{session.OfFingerprint("phone"), session.OfCreatorID("app")}, []int{5, 0}},
			"user and creator and time": {[]session.Filter{session.OfCreatorID("app"), created(session.Later, third), session.OfUserID(sh.ada)}, []int{5}},
			"ids and user":              {[]session.Filter{session.OfUserID(sh.ada), session.IDs{sh.ids[0], sh.ids[1]}}, []int{1}},
			"two users":                 {[]session.Filter{session.OfUserID(sh.ada), session.OfUserID("nobody")}, []int{}},
		} {
			l := list(t, sh.Service, apptest.Admin(), session.Search{Filters: c.filters})
			if diff := cmp.Diff(c.want, sh.rows(l)); diff != "" || l.Total != len(c.want) {
				t.Errorf("%s: total %d, rows (-want +got):\n%s", name, l.Total, diff)
			}
			asc := list(t, sh.Service, apptest.Admin(), session.Search{Filters: c.filters, Ascending: true})
			slices.Reverse(c.want)
			if diff := cmp.Diff(c.want, sh.rows(asc)); diff != "" {
				t.Errorf("%s, oldest first (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestListOfATokenHolderIsTheirOwnByUserAndDevice(t *testing.T) {
	t.Parallel()
	sh := newShelf(t, apptest.Bolt(t))
	ada := access.Caller{ID: sh.ada, UserID: sh.ada, AgentID: "phone"}
	for name, c := range map[string]struct {
		filters []session.Filter
		want    []int
	}{
		"all":       {nil, []int{5, 2, 1, 0}},
		"of others": {[]session.Filter{session.OfCreatorID("app")}, []int{5, 1, 0}},
		"by time":   {[]session.Filter{session.CreatedAt{Comparison: session.Later, Time: sh.at(1)}}, []int{5, 2}},
	} {
		l := list(t, sh.Service, ada, session.Search{Filters: c.filters})
		if diff := cmp.Diff(c.want, sh.rows(l)); diff != "" || l.Total != len(c.want) {
			t.Errorf("%s: total %d (-want +got):\n%s", name, l.Total, diff)
		}
	}
}

func TestPagesAreCutFromTheWholeAndTheTotalIsExact(t *testing.T) {
	t.Parallel()
	sh := newShelf(t, apptest.Bolt(t))
	for _, c := range []struct {
		offset, limit int
		want          []int
	}{
		{0, 0, []int{5, 4, 3, 2, 1, 0}},
		{0, 2, []int{5, 4}},
		{2, 2, []int{3, 2}},
		{5, 2, []int{0}},
		{6, 2, []int{}},
		{1 << 31, 2, []int{}},
		{0, 1000, []int{5, 4, 3, 2, 1, 0}},
	} {
		l := list(t, sh.Service, apptest.Admin(), session.Search{Offset: c.offset, Limit: c.limit})
		if diff := cmp.Diff(c.want, sh.rows(l)); diff != "" || l.Total != 6 {
			t.Errorf("offset %d, limit %d: total %d (-want +got):\n%s", c.offset, c.limit, l.Total, diff)
		}
	}
	_, err := sh.Sessions.List(t.Context(), apptest.Admin(), session.Search{Limit: 1001})
	apptest.WantFault(t, err, wire(fault.InvalidArgument, "QUERY-4M0fs", "Limit exceeded"))
}

func TestListHasMoreThanOneBatchAndCutsAtAThousand(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const n = 1003
	for i := range n {
		s.NewSession(t, session.Create{Step: metadata("n", fmt.Sprint(i))})
		if i%2 == 0 { // half of them share their time with another
			s.Clock.Advance(time.Microsecond)
		}
	}
	seen := make(map[string]bool)
	for offset := 0; offset < n; offset += 250 {
		l := list(t, s, apptest.Admin(), session.Search{Offset: offset, Limit: 250})
		if want := min(offset+251, n); l.Total != want || l.AtLeast != (want < n) {
			t.Fatalf("offset %d: total %d (at least: %t), want %d", offset, l.Total, l.AtLeast, want)
		}
		for i, v := range l.Sessions {
			if i > 0 && v.Created.After(l.Sessions[i-1].Created) {
				t.Errorf("row %d is newer than the one before", offset+i)
			}
			seen[v.ID] = true
		}
	}
	if len(seen) != n {
		t.Errorf("pages hold %d different sessions, want %d", len(seen), n)
	}
	if l := list(t, s, apptest.Admin(), session.Search{}); len(l.Sessions) != session.MaxPage || l.Total != session.MaxPage+1 || !l.AtLeast {
		t.Errorf("%d rows of %d, at least: %t", len(l.Sessions), l.Total, l.AtLeast)
	}
}

// A list without a narrow filter reads as much of a small store as of a large one, and
// its total is exact as long as it is small.
func TestListsReadByThePageAndNotByTheTable(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		m := tabletest.NewMeter(tb, 0)
		s := apptest.New(t, apptest.Options{Table: m})
		n := 0
		grow := func(to int) {
			for ; n < to; n++ {
				s.NewSession(t, session.Create{})
				s.Clock.Advance(time.Second)
			}
		}
		read := func(q session.Search) (session.Listing, tabletest.Calls) {
			m.Reset()
			l := list(t, s, apptest.Admin(), q)
			return l, m.Calls()
		}
		grow(paging.Counted)
		if l, _ := read(session.Search{Limit: 20}); l.Total != paging.Counted || l.AtLeast {
			t.Errorf("%d sessions: total %d, at least: %t", n, l.Total, l.AtLeast)
		}
		var small tabletest.Calls
		for _, size := range []int{300, 900} {
			grow(size)
			for _, ascending := range []bool{false, true} {
				l, calls := read(session.Search{Limit: 20, Ascending: ascending})
				if len(l.Sessions) != 20 || l.Total != paging.Counted || !l.AtLeast {
					t.Errorf("%d sessions: %d rows, total %d, at least: %t", n, len(l.Sessions), l.Total, l.AtLeast)
				}
				if small == (tabletest.Calls{}) {
					small = calls
				}
				if calls != small {
					t.Errorf("%d sessions take %+v, few took %+v", n, calls, small)
				}
			}
			since := session.CreatedAt{Comparison: session.Later, Time: s.Clock.Now().Add(-11 * time.Second)}
			if l, calls := read(session.Search{Filters: []session.Filter{since}}); l.Total != 10 || l.AtLeast || calls.BatchGet != 1 {
				t.Errorf("the last ten of %d: total %d, %+v", n, l.Total, calls)
			}
		}
	})
}

// Whoever walks by creation time, each page beginning where the last one ended, meets
// every session, also where many were created at the same time.
func TestWalkByCreationTimeMeetsEverySession(t *testing.T) {
	t.Parallel()
	s := newService(t)
	const n = 400
	for i := range n {
		s.NewSession(t, session.Create{})
		if i%7 == 0 {
			s.Clock.Advance(time.Microsecond)
		}
	}
	seen := map[string]bool{}
	var from time.Time
	for {
		l := list(t, s, apptest.Admin(), session.Search{Limit: 20, Ascending: true, Filters: []session.Filter{
			session.CreatedAt{Comparison: session.LaterOrEqual, Time: from},
		}})
		before := len(seen)
		for _, v := range l.Sessions {
			seen[v.ID], from = true, v.Created
		}
		if len(seen) == before {
			break
		}
	}
	if len(seen) != n {
		t.Errorf("the walk met %d of %d sessions", len(seen), n)
	}
}

func TestFiltersThatNameTheCallerTakeItFromTheCaller(t *testing.T) {
	t.Parallel()
	caller := access.Caller{ID: "app", AgentID: "phone"}
	empty, given := "", "given"
	invalid := func(id string) *fault.Fault { return wire(fault.InvalidArgument, id, "List.Query.Invalid") }
	for name, c := range map[string]struct {
		filter func(*string, access.Caller) (session.Filter, error)
		id     *string
		caller access.Caller
		want   session.Filter
		fault  *fault.Fault
	}{
		"creator absent":            {session.CreatorFilter, nil, caller, session.OfCreatorID("app"), nil},
		"creator given":             {session.CreatorFilter, &given, caller, session.OfCreatorID("given"), nil},
		"creator empty":             {session.CreatorFilter, &empty, caller, nil, invalid("GRPC-x8n24uh")},
		"creator absent, no caller": {session.CreatorFilter, nil, access.Caller{}, nil, invalid("GRPC-x8n24uh")},
		"agent absent":              {session.AgentFilter, nil, caller, session.OfFingerprint("phone"), nil},
		"agent given":               {session.AgentFilter, &given, caller, session.OfFingerprint("given"), nil},
		"agent empty":               {session.AgentFilter, &empty, caller, nil, invalid("GRPC-x8n23uh")},
		"agent absent, caller none": {session.AgentFilter, nil, access.Caller{ID: "app"}, nil, invalid("GRPC-x8n23uh")},
	} {
		got, err := c.filter(c.id, c.caller)
		if c.fault != nil {
			apptest.WantFault(t, err, c.fault)
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	apptest.WantFault(t, session.Comparison(5).Valid(), wire(fault.InvalidArgument, "GRPC-Dwigt", "List.Query.InvalidComparisonMethod"))
}
