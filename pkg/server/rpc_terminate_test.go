package server_test

import (
	"google.golang.org/grpc/codes"

	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
)

// terminationRPCs are calls of the service that is our own. They run in this order.
func terminationRPCs() []rpc {
	return []rpc{
		{
			"all sessions of a user are terminated",
			&sessionv1.TerminateUserSessionsRequest{UserId: "fay"},
			&sessionv1.TerminateUserSessionsResponse{TerminationDate: epoch(), EveryUserAgent: true},
		}, {
			"those of a user agent are",
			&sessionv1.TerminateUserSessionsRequest{UserId: "fay", FingerprintId: new("browser")},
			&sessionv1.TerminateUserSessionsResponse{TerminationDate: epoch()},
		}, {
			"a session that is not there cannot be kept",
			&sessionv1.TerminateUserSessionsRequest{UserId: "fay", KeepSessionId: new(unknown)},
			refusal(codes.FailedPrecondition, "STEPUP-keep-session", "keep_session_id: the user has no such session, or it is over"),
		}, {
			"an unknown user has none",
			&sessionv1.TerminateUserSessionsRequest{UserId: unknown},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		}, {
			"a session to keep has an id",
			&sessionv1.TerminateUserSessionsRequest{UserId: "fay", KeepSessionId: new("")},
			bare(codes.InvalidArgument, "invalid TerminateUserSessionsRequest.KeepSessionId: "+tooShort),
		},
	}
}
