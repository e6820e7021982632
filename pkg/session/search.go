package session

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/paging"
	"github.com/stepup-auth/stepup/pkg/user"
)

// MaxPage is the most sessions that one list returns.
const MaxPage = 1000

// Search selects sessions. Filters hold together; without any, all sessions match.
type Search struct {
	Filters []Filter
	// Offset rows are skipped. Limit is the page; 0 means MaxPage.
	Offset, Limit int
	// Ascending lists the oldest first.
	Ascending bool
}

// Listing is a page of sessions.
type Listing struct {
	// Total counts all that match and that the caller may see. With AtLeast there
	// may be more of them.
	Total    int
	AtLeast  bool
	Sessions []View
	// At is when the list was true.
	At time.Time
}

// List returns the matching sessions that the caller may see by the rules of Get;
// the rest, and unknown ids, are left out silently. Expired sessions are listed,
// terminated ones are not. Lists of ids, of a user and of a user agent are counted
// exactly, others as package paging says. It returns a fault of kind InvalidArgument
// for a limit above MaxPage, and for more filters, or more ids in them, than one search
// can ask for.
func (s *Service) List(ctx context.Context, caller access.Caller, q Search) (Listing, error) {
	if q.Limit > MaxPage {
		return Listing{}, errListLimit
	}
	if err := checkFilters(q.Filters); err != nil {
		return Listing{}, err
	}
	at := s.now()
	found, err := s.search(ctx, caller, q)
	if err != nil {
		return Listing{}, err
	}
	listing := Listing{Total: found.Total, AtLeast: found.AtLeast, At: at}
	for _, row := range found.Rows {
		listing.Sessions = append(listing.Sessions, viewOf(row.session, row.user, at))
	}
	return listing, nil
}

// search reads the narrowest sources that hold every match, in the order of the list.
func (s *Service) search(ctx context.Context, caller access.Caller, q Search) (paging.Part[*row], error) {
	matching := func(ids []string) ([]*row, error) { return s.matching(ctx, caller, q.Filters, ids) }
	page := paging.Page{Offset: q.Offset, Limit: cmp.Or(q.Limit, MaxPage)}
	if ids, given := idsOf(q.Filters); given && caller.Holds(access.SessionRead) {
		rows, err := matching(ids)
		slices.SortFunc(rows, order(q.Ascending))
		return paging.Cut(rows, page), err
	}
	r := Range{Sources: sources(caller, q.Filters), Descending: !q.Ascending}
	r.From, r.To = createdRange(q.Filters)
	page.Exact = !slices.ContainsFunc(r.Sources, Source.wide)
	return paging.Read(s.c.Store.SessionIDs(ctx, r), page, matching)
}

// row is a session with its user, who is nil when there is none.
type row struct {
	session *Session
	user    *user.User
}

// matching reads sessions and returns those that belong into the list, in the order of
// the ids.
func (s *Service) matching(ctx context.Context, caller access.Caller, filters []Filter, ids []string) ([]*row, error) {
	unwanted := func(r *row) bool {
		return !r.session.TerminatedAt.IsZero() || !visible(caller, r.session) || !matches(r.session, filters)
	}
	found, err := s.c.Store.Sessions(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]*row, len(found))
	for i, one := range found {
		rows[i] = &row{session: one}
	}
	rows = slices.DeleteFunc(rows, unwanted)
	if err := s.join(ctx, rows); err != nil {
		return nil, err
	}
	if err := s.lookAgain(ctx, rows); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(r *row) bool { return r.over() || unwanted(r) }), nil
}

// looks bounds how often a session is read again that is written meanwhile.
const looks = 3

// lookAgain reads sessions again that seem to be over by their user's guard. They were read
// before it, and in between the guard may have ended the others of its user and kept one.
func (s *Service) lookAgain(ctx context.Context, rows []*row) error {
	doubtful := seemingOver(rows)
	for range looks {
		if len(doubtful) == 0 {
			break
		}
		changed, err := s.reread(ctx, doubtful)
		if err != nil {
			return err
		}
		if err := s.join(ctx, changed); err != nil {
			return err
		}
		doubtful = seemingOver(changed)
	}
	return nil
}

func seemingOver(rows []*row) []*row {
	return slices.DeleteFunc(slices.Clone(rows), func(r *row) bool { return !r.over() })
}

// reread reads the sessions of the rows once more and returns the rows whose session has
// changed. A session that has not belongs together with the user that was read in between.
func (s *Service) reread(ctx context.Context, rows []*row) ([]*row, error) {
	ids, byID := make([]string, len(rows)), make(map[string]*row, len(rows))
	for i, r := range rows {
		ids[i], byID[r.session.ID] = r.session.ID, r
	}
	found, err := s.c.Store.Sessions(ctx, ids)
	if err != nil {
		return nil, err
	}
	var changed []*row
	for _, now := range found {
		if r := byID[now.ID]; now.Revision != r.session.Revision {
			r.session = now
			changed = append(changed, r)
		}
	}
	return changed, nil
}

func matches(s *Session, filters []Filter) bool {
	for _, f := range filters {
		if !f.Match(s) {
			return false
		}
	}
	return true
}

func (r *row) guard() *user.Guard {
	if r.user == nil {
		return nil
	}
	return &r.user.Guard
}

func (r *row) over() bool { return r.session.Ended(r.guard()) }

// order sorts by creation time; the id makes it total, so that pages never overlap.
// It is the order of Store.SessionIDs.
func order(ascending bool) func(a, b *row) int {
	return func(a, b *row) int {
		if !ascending {
			a, b = b, a
		}
		return cmp.Or(a.session.Created.Compare(b.session.Created), cmp.Compare(a.session.ID, b.session.ID))
	}
}

// join reads the users of the sessions.
func (s *Service) join(ctx context.Context, rows []*row) error {
	var ids []string
	for _, r := range rows {
		if r.session.Bound() {
			ids = append(ids, r.session.Factors.User.ID)
		}
	}
	users, err := s.c.Store.Users(ctx, ids)
	if err != nil {
		return err
	}
	byID := make(map[string]*user.User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	for _, r := range rows {
		r.user = byID[r.session.Factors.User.ID]
	}
	return nil
}

// idsOf returns the ids that every ids filter names.
func idsOf(filters []Filter) (ids []string, given bool) {
	for _, f := range filters {
		named, ok := f.(IDs)
		switch {
		case !ok:
			continue
		case !given:
			ids, given = slices.Clone(named), true
		default:
			ids = slices.DeleteFunc(ids, func(id string) bool { return !slices.Contains(named, id) })
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), given
}

// sources returns where to look: the narrowest that a filter names, otherwise
// everything; for those without session.read only what is their own.
func sources(caller access.Caller, filters []Filter) []Source {
	if !caller.Holds(access.SessionRead) {
		return ownSources(caller)
	}
	best := Source{Kind: EverySession}
	for _, f := range filters {
		switch f := f.(type) {
		case OfUserID:
			return []Source{{OfUser, string(f)}}
		case OfFingerprint:
			best = Source{OfAgent, string(f)}
		case OfCreatorID:
			if best.Kind == EverySession {
				best = Source{OfCreator, string(f)}
			}
		}
	}
	return []Source{best}
}

// wide reports whether the source may hold a large part of all sessions: a login
// service creates every one of them.
func (s Source) wide() bool { return s.Kind == EverySession || s.Kind == OfCreator }

// ownSources is where the sessions of somebody without session.read are, whatever they
// search for: a search must not make them read, or feel, the sessions of others.
func ownSources(caller access.Caller) []Source {
	var own []Source
	if caller.UserID != "" {
		own = append(own, Source{Kind: OfUser, Value: caller.UserID})
	} else if caller.ID != "" {
		own = append(own, Source{Kind: OfCreator, Value: caller.ID})
	}
	if caller.AgentID != "" {
		own = append(own, Source{Kind: OfAgent, Value: caller.AgentID})
	}
	return own
}
