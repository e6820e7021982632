package server

import (
	"math"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

func searchOf(r *pb.ListSessionsRequest, caller access.Caller) (session.Search, error) {
	search := session.Search{Ascending: r.GetQuery().GetAsc()}
	search.Offset, search.Limit = pageOf(r.GetQuery())
	for _, q := range r.GetQueries() {
		f, err := filterOf(q, caller)
		if err != nil {
			return session.Search{}, err
		}
		search.Filters = append(search.Filters, f)
	}
	return search, nil
}

// pageOf turns an offset beyond any list into the end of the list.
func pageOf(q *objectv2.ListQuery) (offset, limit int) {
	return int(min(q.GetOffset(), math.MaxInt32)), int(q.GetLimit())
}

var errNoArm = fault.New(fault.InvalidArgument, "GRPC-Sfefs", "List.Query.Invalid")

func filterOf(q *pb.SearchQuery, caller access.Caller) (session.Filter, error) {
	switch q := q.GetQuery().(type) {
	case *pb.SearchQuery_IdsQuery:
		return session.IDs(q.IdsQuery.GetIds()), nil
	case *pb.SearchQuery_UserIdQuery:
		return session.OfUserID(q.UserIdQuery.GetId()), nil
	case *pb.SearchQuery_CreatorQuery:
		return session.CreatorFilter(q.CreatorQuery.Id, caller)
	case *pb.SearchQuery_UserAgentQuery:
		return session.AgentFilter(q.UserAgentQuery.FingerprintId, caller)
	case *pb.SearchQuery_CreationDateQuery:
		c := session.Comparison(q.CreationDateQuery.GetMethod())
		return session.CreatedAt{Comparison: c, Time: q.CreationDateQuery.GetCreationDate().AsTime()}, c.Valid()
	case *pb.SearchQuery_ExpirationDateQuery:
		c := session.Comparison(q.ExpirationDateQuery.GetMethod())
		return session.ExpiresAt{Comparison: c, Time: q.ExpirationDateQuery.GetExpirationDate().AsTime()}, c.Valid()
	default:
		return nil, errNoArm
	}
}
