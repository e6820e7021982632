package session

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
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
	// Total counts all that match and that the caller may see.
	Total    int
	Sessions []View
	// At is when the list was true.
	At time.Time
}

// List returns the matching sessions that the caller may see by the rules of Get;
// the rest, and unknown ids, are left out silently. Expired sessions are listed,
// terminated ones are not. It returns a fault of kind InvalidArgument for a limit
// above MaxPage.
func (s *Service) List(ctx context.Context, caller access.Caller, q Search) (Listing, error) {
	if q.Limit > MaxPage {
		return Listing{}, errListLimit
	}
	candidates, err := s.candidates(ctx, caller, q.Filters)
	if err != nil {
		return Listing{}, err
	}
	candidates = slices.DeleteFunc(candidates, func(found *Session) bool {
		return !found.TerminatedAt.IsZero() || !visible(caller, found) || !matches(found, q.Filters)
	})
	users, err := s.usersOf(ctx, candidates)
	if err != nil {
		return Listing{}, err
	}
	alive := slices.DeleteFunc(candidates, func(found *Session) bool {
		return found.Ended(guardOf(users, found))
	})
	slices.SortFunc(alive, order(q.Ascending))
	listing := Listing{Total: len(alive), At: s.now()}
	for _, found := range q.page(alive) {
		listing.Sessions = append(listing.Sessions, viewOf(found, users[found.Factors.User.ID], listing.At))
	}
	return listing, nil
}

func matches(s *Session, filters []Filter) bool {
	for _, f := range filters {
		if !f.Match(s) {
			return false
		}
	}
	return true
}

func guardOf(users map[string]*user.User, s *Session) *user.Guard {
	if u := users[s.Factors.User.ID]; u != nil {
		return &u.Guard
	}
	return nil
}

// order sorts by creation time; the id makes it total, so that pages never overlap.
func order(ascending bool) func(a, b *Session) int {
	return func(a, b *Session) int {
		if !ascending {
			a, b = b, a
		}
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	}
}

func (q Search) page(all []*Session) []*Session {
	limit := q.Limit
	if limit == 0 {
		limit = MaxPage
	}
	from := min(q.Offset, len(all))
	return all[from:min(from+limit, len(all))]
}

func (s *Service) usersOf(ctx context.Context, sessions []*Session) (map[string]*user.User, error) {
	var ids []string
	for _, found := range sessions {
		if found.Bound() {
			ids = append(ids, found.Factors.User.ID)
		}
	}
	slices.Sort(ids)
	users, err := s.c.Store.Users(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*user.User, len(users))
	for _, u := range users {
		byID[u.ID] = u
	}
	return byID, nil
}

// candidates reads the sessions of the narrowest source that holds every match.
func (s *Service) candidates(ctx context.Context, caller access.Caller, filters []Filter) ([]*Session, error) {
	if ids, given := idsOf(filters); given && caller.Holds(access.SessionRead) {
		if len(ids) > MaxPage {
			return nil, errListLimit
		}
		return s.c.Store.Sessions(ctx, ids)
	}
	var ids []string
	for _, source := range sources(caller, filters) {
		found, err := s.c.Store.SessionIDs(ctx, source)
		if err != nil {
			return nil, err
		}
		ids = append(ids, found...)
	}
	slices.Sort(ids)
	return s.c.Store.Sessions(ctx, slices.Compact(ids))
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
	from, to := createdRange(filters)
	bounded := func(kind SourceKind, value string) Source {
		return Source{Kind: kind, Value: value, From: from, To: to}
	}
	best := Source{Kind: EverySession, From: from, To: to}
	for _, f := range filters {
		switch f := f.(type) {
		case OfUserID:
			return []Source{bounded(OfUser, string(f))}
		case OfFingerprint:
			best = bounded(OfAgent, string(f))
		case OfCreatorID:
			if best.Kind == EverySession {
				best = bounded(OfCreator, string(f))
			}
		}
	}
	return []Source{best}
}

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
