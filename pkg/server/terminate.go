package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	"github.com/stepup-auth/stepup/pkg/session"
)

// TerminateUserSessions implements the RPC of that name, of the service that is our own.
func (s *sessionServer) TerminateUserSessions(ctx context.Context, r *pb.TerminateUserSessionsRequest) (*pb.TerminateUserSessionsResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	done, err := s.service.Terminate(ctx, caller, session.Terminate{
		UserID: r.GetUserId(), Fingerprint: r.GetFingerprintId(), KeepID: r.GetKeepSessionId(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.TerminateUserSessionsResponse{TerminationDate: timestamppb.New(done.At), EveryUserAgent: done.EveryAgent}, nil
}
