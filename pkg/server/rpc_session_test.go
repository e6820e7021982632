package server_test

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
)

// sessionRPCs are calls of the session service. They run in this order.
func sessionRPCs(f *fixture) []rpc {
	id := func(name string) string { return f.sessions[name].SessionID }
	token := func(name string) *string { t := f.sessions[name].Token; return &t }
	garbage := "garbage"
	return []rpc{
		{
			"a session is created with a step that passes",
			&sessionv2.CreateSessionRequest{Checks: checks("right", apptest.Password), Challenges: &sessionv2.RequestChallenges{}},
			&sessionv2.CreateSessionResponse{
				Details: sessionDetails(1), SessionId: placeholder, SessionToken: placeholder, Challenges: &sessionv2.Challenges{},
				Assurance: worth(1, "pwd"),
			},
		}, {
			"a wrong password is counted",
			&sessionv2.CreateSessionRequest{Checks: checks("wrong", "not it")},
			counted(codes.InvalidArgument, "COMMAND-3M0fs", "Password is invalid", 1, 0),
		}, {
			"a locked password says when to come back",
			&sessionv2.CreateSessionRequest{Checks: checks("locked", apptest.Password)},
			counted(codes.FailedPrecondition, "COMMAND-JLK35", "User is locked", 1, 30*time.Second),
		}, {
			"an unknown user is not found",
			&sessionv2.CreateSessionRequest{Checks: checks(unknown, "")},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		}, {
			"an external identity needs a user",
			&sessionv2.CreateSessionRequest{Checks: &sessionv2.Checks{
				IdpIntent: &sessionv2.CheckIDPIntent{IdpIntentId: "id", IdpIntentToken: "token"},
			}},
			refusal(codes.FailedPrecondition, "COMMAND-Sfw3r", "User ID missing"),
		}, {
			"a session is set with metadata and a lifetime",
			&sessionv2.SetSessionRequest{
				SessionId: id("set"), Metadata: map[string][]byte{"k": []byte("hello")}, Lifetime: durationpb.New(time.Hour),
			},
			&sessionv2.SetSessionResponse{Details: sessionDetails(2), SessionToken: placeholder, Assurance: worth(0)},
		}, {
			"a step that changes nothing keeps the token",
			&sessionv2.SetSessionRequest{SessionId: id("plain"), Checks: &sessionv2.Checks{}},
			&sessionv2.SetSessionResponse{Details: sessionDetails(1), Assurance: worth(0)},
		}, {
			"a terminated session cannot be set",
			&sessionv2.SetSessionRequest{SessionId: id("dead"), Lifetime: durationpb.New(time.Hour)},
			refusal(codes.FailedPrecondition, "COMMAND-Hewfq", "Session already terminated"),
		}, {
			"a bound session keeps its user, and the refusal has an empty id",
			&sessionv2.SetSessionRequest{SessionId: id("bound"), Checks: checks("ben", "")},
			refusal(codes.InvalidArgument, "", "user change not possible"),
		}, {
			"a field that breaks its rule has no details",
			&sessionv2.SetSessionRequest{SessionId: overLong},
			bare(codes.InvalidArgument, "invalid SetSessionRequest.SessionId: "+tooShort),
		}, {
			"a session is read with its token",
			&sessionv2.GetSessionRequest{SessionId: id("bound"), SessionToken: token("bound")},
			&sessionv2.GetSessionResponse{Session: boundSession(id("bound"))},
		}, {
			"what was set is read",
			&sessionv2.GetSessionRequest{SessionId: id("set")},
			&sessionv2.GetSessionResponse{Session: &sessionv2.Session{
				Id: id("set"), CreationDate: epoch(), ChangeDate: epoch(), Sequence: 2,
				Metadata:       map[string][]byte{"k": []byte("hello")},
				ExpirationDate: timestamppb.New(apptest.Epoch().Add(time.Hour)),
				Assurance:      worth(0),
			}},
		}, {
			"a wrong token does not read a session",
			&sessionv2.GetSessionRequest{SessionId: id("read"), SessionToken: &garbage},
			refusal(codes.PermissionDenied, "QUERY-dsfr3", "Permission denied"),
		}, {
			"an unknown session is not found",
			&sessionv2.GetSessionRequest{SessionId: unknown},
			refusal(codes.NotFound, "QUERY-SFeaa", "Session does not exist"),
		}, {
			"sessions are listed by id, unknown ones left out",
			&sessionv2.ListSessionsRequest{Queries: []*sessionv2.SearchQuery{byIDs(id("bound"), unknown)}},
			&sessionv2.ListSessionsResponse{Details: listDetails(1), Sessions: []*sessionv2.Session{boundSession(id("bound"))}},
		}, {
			"a page is bounded",
			&sessionv2.ListSessionsRequest{Query: &objectv2.ListQuery{Limit: 1001}},
			refusal(codes.InvalidArgument, "QUERY-4M0fs", "Limit exceeded"),
		}, {
			"the conditions of a search are bounded",
			&sessionv2.ListSessionsRequest{Queries: slices.Repeat([]*sessionv2.SearchQuery{byIDs(unknown)}, 51)},
			refusal(codes.InvalidArgument, "STEPUP-list-queries", "queries: must hold at most 50 conditions"),
		}, {
			"a wrong token does not delete a session",
			&sessionv2.DeleteSessionRequest{SessionId: id("deleted"), SessionToken: &garbage},
			refusal(codes.PermissionDenied, "COMMAND-sGr42", "Session Token is invalid"),
		}, {
			"a session is deleted with its token",
			&sessionv2.DeleteSessionRequest{SessionId: id("deleted"), SessionToken: token("deleted")},
			&sessionv2.DeleteSessionResponse{Details: sessionDetails(2)},
		},
	}
}

func boundSession(id string) *sessionv2.Session {
	return &sessionv2.Session{
		Id: id, CreationDate: epoch(), ChangeDate: epoch(), Sequence: 1, Assurance: worth(0),
		Factors: &sessionv2.Factors{User: &sessionv2.UserFactor{
			VerifiedAt: epoch(), Id: "ada", LoginName: "ada@stepup.test", DisplayName: "ada Test", OrganizationId: "default",
		}},
	}
}

// worth is the assurance of a session whose factors were verified when time stands still.
func worth(aal uint32, amr ...string) *sessionv2.Assurance {
	a := &sessionv2.Assurance{Aal: &aal, Amr: amr}
	if aal > 0 {
		a.Acr, a.AuthTime = fmt.Sprintf("aal%d", aal), epoch()
	}
	return a
}

func byIDs(ids ...string) *sessionv2.SearchQuery {
	return &sessionv2.SearchQuery{Query: &sessionv2.SearchQuery_IdsQuery{IdsQuery: &sessionv2.IDsQuery{Ids: ids}}}
}
