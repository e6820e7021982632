package user

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/paging"
)

// MaxPage is the most users that one list returns.
const MaxPage = 1000

// Filter selects users.
type Filter struct {
	// IDs, LoginName and Email, when set, are look-ups, of which the first is made.
	// LoginName and Email match without regard to case. Without any, all users are
	// looked at, as far as the page needs.
	IDs       []string
	LoginName string
	Email     string
	// Match, when set, must hold for a user to be listed. Without a look-up users are
	// read until enough of them match.
	Match func(*User) bool
	// Before, when set, is the order, for which every user is read; otherwise the
	// newest come first, or with OldestFirst the oldest.
	Before      func(a, b *User) int
	OldestFirst bool
	// Offset and Limit cut the page; a limit of 0 means MaxPage.
	Offset, Limit int
}

// Listing is a page of users.
type Listing struct {
	// Total counts all that match and that the caller may see. With AtLeast there
	// may be more of them.
	Total   int
	AtLeast bool
	Users   []*User
}

// List returns the matching users that the caller may read: all with user.read,
// otherwise only themselves. The rest is left out silently. Look-ups and lists with an
// order of their own are counted exactly, others as package paging says.
func (s *Service) List(ctx context.Context, caller access.Caller, f Filter) (Listing, error) {
	page := pageOf(f.Offset, f.Limit)
	matching := func(ids []string) ([]*User, error) {
		users, err := s.c.Store.Users(ctx, ids)
		return matchingOf(caller, f, users), err
	}
	found, given, err := s.lookUp(ctx, caller, f)
	switch {
	case err != nil:
		return Listing{}, err
	case given:
		return listing(paging.Cut(sorted(matchingOf(caller, f, found), f), page)), nil
	case f.Before == nil:
		part, err := paging.Read(s.c.Store.UserIDs(ctx, !f.OldestFirst), page, matching)
		return listing(part), err
	}
	all, err := paging.Read(s.c.Store.UserIDs(ctx, true), paging.Page{Limit: math.MaxInt, Exact: true}, matching)
	return listing(paging.Cut(sorted(all.Rows, f), page)), err
}

func pageOf(offset, limit int) paging.Page {
	return paging.Page{Offset: offset, Limit: min(cmp.Or(limit, MaxPage), MaxPage)}
}

func listing(p paging.Part[*User]) Listing {
	return Listing{Total: p.Total, AtLeast: p.AtLeast, Users: p.Rows}
}

func matchingOf(caller access.Caller, f Filter, users []*User) []*User {
	return slices.DeleteFunc(users, func(u *User) bool {
		return !reaches(caller, u, access.UserRead) || (f.Match != nil && !f.Match(u))
	})
}

// sorted puts users into the order of the list; the id makes it total.
func sorted(users []*User, f Filter) []*User {
	slices.SortFunc(users, func(a, b *User) int {
		switch {
		case f.Before != nil:
			return cmp.Or(f.Before(a, b), cmp.Compare(a.ID, b.ID))
		case f.OldestFirst:
			return byCreation(a, b)
		default:
			return byCreation(b, a)
		}
	})
	return users
}

// byCreation is the order of Store.UserIDs.
func byCreation(a, b *User) int {
	return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
}

// lookUp reads the users that the filter names, if it does. Who may read only
// themselves is looked up, whatever the filter says.
func (s *Service) lookUp(ctx context.Context, caller access.Caller, f Filter) (found []*User, given bool, err error) {
	switch {
	case !caller.Holds(access.UserRead):
		found, err = s.c.Store.Users(ctx, nonEmpty(caller.UserID))
	case f.IDs != nil:
		found, err = s.c.Store.Users(ctx, f.IDs)
	case f.LoginName != "":
		var u *User
		if u, err = s.c.Store.UserByLoginName(ctx, f.LoginName); u != nil {
			found = []*User{u}
		}
	case f.Email != "":
		var ids []string
		if ids, err = s.c.Store.UserIDsByEmail(ctx, f.Email); err == nil {
			found, err = s.c.Store.Users(ctx, ids)
		}
	default:
		return nil, false, nil
	}
	return found, true, err
}

func nonEmpty(id string) []string {
	if id == "" {
		return nil
	}
	return []string{id}
}
