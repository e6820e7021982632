package user

import (
	"cmp"
	"context"
	"slices"

	"github.com/stepup-auth/stepup/pkg/access"
)

// MaxPage is the most users that one list returns.
const MaxPage = 1000

// Filter selects users. The look-ups narrow what is read; with none of them every
// user is read, which is meant for small deployments and support tools.
type Filter struct {
	// IDs, LoginName and Email, when set, are look-ups. LoginName and Email match
	// without regard to case.
	IDs       []string
	LoginName string
	Email     string
	// Match, when set, must hold for a user to be listed.
	Match func(*User) bool
	// Before, when set, is the order; otherwise the newest come first.
	Before func(a, b *User) int
	// Offset and Limit cut the page; a limit of 0 means MaxPage.
	Offset, Limit int
}

// Listing is a page of users.
type Listing struct {
	// Total counts all that match and that the caller may see.
	Total int
	Users []*User
}

// List returns the matching users that the caller may read: all with user.read,
// otherwise only themselves. The rest is left out silently.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) (Listing, error) {
	candidates, err := s.candidates(ctx, caller, f)
	if err != nil {
		return Listing{}, err
	}
	matching := slices.DeleteFunc(candidates, func(u *User) bool {
		return !reaches(caller, u, access.UserRead) || (f.Match != nil && !f.Match(u))
	})
	order := f.Before
	if order == nil {
		order = newestFirst
	}
	slices.SortFunc(matching, func(a, b *User) int {
		return cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID))
	})
	return Listing{Total: len(matching), Users: page(matching, f.Offset, f.Limit)}, nil
}

func newestFirst(a, b *User) int { return b.Created.Compare(a.Created) }

func page[T any](all []T, offset, limit int) []T {
	if limit == 0 || limit > MaxPage {
		limit = MaxPage
	}
	from := min(offset, len(all))
	return all[from:min(from+limit, len(all))]
}

// candidates reads the smallest set that holds every match.
func (s *Service) candidates(ctx context.Context, caller access.Caller, f Filter) ([]*User, error) {
	switch {
	case !caller.Holds(access.UserRead):
		return s.c.Store.Users(ctx, nonEmpty(caller.UserID))
	case f.IDs != nil:
		return s.c.Store.Users(ctx, f.IDs)
	case f.LoginName != "":
		u, err := s.c.Store.UserByLoginName(ctx, f.LoginName)
		if u == nil || err != nil {
			return nil, err
		}
		return []*User{u}, nil
	case f.Email != "":
		return s.byIDs(ctx, func(ctx context.Context) ([]string, error) {
			return s.c.Store.UserIDsByEmail(ctx, f.Email)
		})
	default:
		return s.byIDs(ctx, s.c.Store.AllUserIDs)
	}
}

func (s *Service) byIDs(ctx context.Context, find func(context.Context) ([]string, error)) ([]*User, error) {
	ids, err := find(ctx)
	if err != nil {
		return nil, err
	}
	return s.c.Store.Users(ctx, ids)
}

func nonEmpty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}
