package server

import (
	"cmp"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/fault"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/user"
)

// userFilter reads a search. Every query becomes a predicate; those that name a user
// exactly also become look-ups, so that only candidates are read.
func userFilter(r *pb.ListUsersRequest) (user.Filter, error) {
	var f user.Filter
	f.Offset, f.Limit = pageOf(r.GetQuery())
	if f.Limit > user.MaxPage {
		return f, errUserLimit
	}
	if err := checkQueries(r.GetQueries()); err != nil {
		return f, err
	}
	match, err := allOf(r.GetQueries())
	if err != nil {
		return f, err
	}
	f.Match = match
	for _, q := range r.GetQueries() {
		narrow(&f, q)
	}
	f.OldestFirst = r.GetQuery().GetAsc()
	f.Before, err = userOrder(r.GetSortingColumn(), f.OldestFirst)
	return f, err
}

var (
	errUserLimit   = fault.New(fault.InvalidArgument, "QUERY-4M0fs", "Limit exceeded")
	errUserQuery   = fault.New(fault.InvalidArgument, "GRPC-vR9nC", "List.Query.Invalid")
	errUserColumn  = fault.New(fault.InvalidArgument, "STEPUP-sorting", "sorting_column is unknown")
	errUserQueries = fault.New(fault.InvalidArgument, "STEPUP-list-queries", "queries: must hold at most 50 conditions, those of or_query included")
)

// maxQueries bounds the conditions of one search, because each is held against every user
// that comes into question.
const maxQueries = 50

// checkQueries refuses a search that asks for too much, before any user is read.
func checkQueries(queries []*pb.SearchQuery) error {
	switch conditions, ids := countQueries(queries); {
	case conditions > maxQueries:
		return errUserQueries
	case ids > user.MaxPage:
		return errUserLimit
	default:
		return nil
	}
}

// countQueries counts the conditions, those inside of others too, and the ids in them.
func countQueries(queries []*pb.SearchQuery) (conditions, ids int) {
	conditions = len(queries)
	for _, q := range queries {
		inner, named := countQueries(q.GetOrQuery().GetQueries())
		conditions += inner
		ids += named + len(q.GetInUserIdsQuery().GetUserIds())
	}
	return conditions, ids
}

// narrow turns an exact query into a look-up.
func narrow(f *user.Filter, q *pb.SearchQuery) {
	switch q := q.GetQuery().(type) {
	case *pb.SearchQuery_InUserIdsQuery:
		f.IDs = append([]string{}, q.InUserIdsQuery.GetUserIds()...)
	case *pb.SearchQuery_LoginNameQuery:
		if exact(q.LoginNameQuery.GetMethod()) {
			f.LoginName = q.LoginNameQuery.GetLoginName()
		}
	case *pb.SearchQuery_EmailQuery:
		if exact(q.EmailQuery.GetMethod()) {
			f.Email = q.EmailQuery.GetEmailAddress()
		}
	}
}

func exact(m objectv2.TextQueryMethod) bool {
	return m <= objectv2.TextQueryMethod_TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE
}

type predicate = func(*user.User) bool

func allOf(queries []*pb.SearchQuery) (predicate, error) {
	parts, err := predicates(queries)
	return func(u *user.User) bool {
		return !slices.ContainsFunc(parts, func(p predicate) bool { return !p(u) })
	}, err
}

func anyOf(queries []*pb.SearchQuery) (predicate, error) {
	parts, err := predicates(queries)
	return func(u *user.User) bool {
		return slices.ContainsFunc(parts, func(p predicate) bool { return p(u) })
	}, err
}

func predicates(queries []*pb.SearchQuery) ([]predicate, error) {
	parts := make([]predicate, len(queries))
	for i, q := range queries {
		var err error
		if parts[i], err = predicateOf(q); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func predicateOf(q *pb.SearchQuery) (predicate, error) {
	switch q := q.GetQuery().(type) {
	case *pb.SearchQuery_UserNameQuery:
		return text(q.UserNameQuery.GetUserName(), q.UserNameQuery.GetMethod(), func(u *user.User) string { return u.Username }), nil
	case *pb.SearchQuery_LoginNameQuery:
		return text(q.LoginNameQuery.GetLoginName(), q.LoginNameQuery.GetMethod(), (*user.User).LoginName), nil
	case *pb.SearchQuery_EmailQuery:
		return text(q.EmailQuery.GetEmailAddress(), q.EmailQuery.GetMethod(), func(u *user.User) string { return u.Email.Address }), nil
	case *pb.SearchQuery_PhoneQuery:
		return text(q.PhoneQuery.GetNumber(), q.PhoneQuery.GetMethod(), func(u *user.User) string { return u.Phone.Address }), nil
	case *pb.SearchQuery_StateQuery:
		return func(u *user.User) bool { return pb.UserState(u.Guard.State) == q.StateQuery.GetState() }, nil
	case *pb.SearchQuery_OrganizationIdQuery:
		return func(u *user.User) bool { return u.Organization == q.OrganizationIdQuery.GetOrganizationId() }, nil
	case *pb.SearchQuery_InUserIdsQuery:
		return func(u *user.User) bool { return slices.Contains(q.InUserIdsQuery.GetUserIds(), u.ID) }, nil
	case *pb.SearchQuery_OrQuery:
		return anyOf(q.OrQuery.GetQueries())
	default:
		return nil, errUserQuery
	}
}

// textMethods are the comparisons of zitadel.object.v2.TextQueryMethod: every odd
// number is the one before it without regard to case.
var textMethods = []func(s, operand string) bool{
	func(s, operand string) bool { return s == operand },
	strings.HasPrefix,
	strings.Contains,
	strings.HasSuffix,
}

// text compares a field; a user who does not have it is not found by it, whatever the operand.
func text(operand string, method objectv2.TextQueryMethod, field func(*user.User) string) predicate {
	compare := textMethods[int(method)/2%len(textMethods)]
	fold := func(s string) string { return s }
	if method%2 == 1 {
		fold = strings.ToLower
	}
	return func(u *user.User) bool {
		value := field(u)
		return value != "" && compare(fold(value), fold(operand))
	}
}

// userColumns are the fields that a list can be sorted by; nil is the creation time, in
// whose order users can be read.
var userColumns = map[pb.UserFieldName]func(a, b *user.User) int{
	pb.UserFieldName_USER_FIELD_NAME_UNSPECIFIED:   nil,
	pb.UserFieldName_USER_FIELD_NAME_CREATION_DATE: nil,
	pb.UserFieldName_USER_FIELD_NAME_TYPE:          nil, // all are human
	pb.UserFieldName_USER_FIELD_NAME_USER_NAME:     by(func(u *user.User) string { return u.Username }),
	pb.UserFieldName_USER_FIELD_NAME_FIRST_NAME:    by(func(u *user.User) string { return u.Profile.GivenName }),
	pb.UserFieldName_USER_FIELD_NAME_LAST_NAME:     by(func(u *user.User) string { return u.Profile.FamilyName }),
	pb.UserFieldName_USER_FIELD_NAME_NICK_NAME:     by(func(u *user.User) string { return u.Profile.NickName }),
	pb.UserFieldName_USER_FIELD_NAME_DISPLAY_NAME:  by((*user.User).DisplayName),
	pb.UserFieldName_USER_FIELD_NAME_EMAIL:         by(func(u *user.User) string { return u.Email.Address }),
	pb.UserFieldName_USER_FIELD_NAME_STATE:         by(func(u *user.User) user.State { return u.Guard.State }),
}

func by[K cmp.Ordered](field func(*user.User) K) func(a, b *user.User) int {
	return func(a, b *user.User) int { return cmp.Compare(field(a), field(b)) }
}

func userOrder(column pb.UserFieldName, ascending bool) (func(a, b *user.User) int, error) {
	order, known := userColumns[column]
	if !known {
		return nil, errUserColumn
	}
	if ascending || order == nil {
		return order, nil
	}
	return func(a, b *user.User) int { return order(b, a) }, nil
}
