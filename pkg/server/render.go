package server

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	rpcdetails "google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stepup-auth/stepup/pkg/fault"
	zitadelv1 "github.com/stepup-auth/stepup/pkg/gen/zitadel"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

// errNoCall is the answer to a call of the contract that this version does not carry
// out.
var errNoCall = fault.New(fault.Unimplemented, "STEPUP-call", "this call is not supported by this version")

// faultOf reads an error of a method, or of generated code, which speaks in gRPC
// statuses: of a message that cannot be read, or a call that nobody carries out.
func faultOf(err error) *fault.Fault {
	var f *fault.Fault
	s, generated := status.FromError(err)
	switch {
	case errors.As(err, &f):
		return f
	case generated && s.Code() == codes.InvalidArgument:
		return fault.NewBare(fault.InvalidArgument, withoutValue(s.Message()))
	case generated && s.Code() == codes.Unimplemented:
		return errNoCall
	default:
		return fault.From(err)
	}
}

// details returns what a fault carries beside code and message (wire contract,
// section 4.1).
func details(f *fault.Fault) []proto.Message {
	var all []proto.Message
	switch {
	case f.Bare:
	case f.Counted:
		all = append(all, &zitadelv1.CredentialsCheckError{
			Id: f.ID, Message: f.Text, FailedAttempts: int32(min(f.FailedAttempts, math.MaxInt32)),
		})
	default:
		all = append(all, &zitadelv1.ErrorDetail{Id: f.ID, Message: f.Text})
	}
	if u := unmetOf(f); u != nil {
		all = append(all, unmetMessage(u))
	}
	if a, limited := errors.AsType[*session.Alternatives](f); limited {
		all = append(all, &pb.Alternatives{NextSteps: stepMessages(a.Steps)})
	}
	if f.RetryAfter > 0 {
		all = append(all, &rpcdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	return all
}

// retrySeconds rounds up, so that whoever waits that long is not early.
func retrySeconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

// faultInterceptor renders the faults of the RPC protocols.
func faultInterceptor() connect.UnaryInterceptorFunc {
	return func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			response, err := next(ctx, request)
			var rendered *connect.Error
			if err == nil || errors.As(err, &rendered) {
				return response, err
			}
			return nil, connectError(ctx, faultOf(err))
		}
	}
}

func connectError(ctx context.Context, f *fault.Fault) *connect.Error {
	exchangeOf(ctx).fault = f
	e := connect.NewError(connect.Code(f.Kind.GRPCCode()), errors.New(f.Message()))
	for _, m := range details(f) {
		if detail, err := connect.NewErrorDetail(m); err == nil {
			e.AddDetail(detail)
		}
	}
	if f.RetryAfter > 0 {
		e.Meta().Set("Retry-After", retrySeconds(f.RetryAfter))
	}
	return e
}

// renderREST notes the fault for the log and writes it.
func renderREST(ctx context.Context, w http.ResponseWriter, f *fault.Fault) {
	exchangeOf(ctx).fault = f
	writeREST(w, f)
}

// writeREST writes a fault as google.rpc.Status in JSON.
func writeREST(w http.ResponseWriter, f *fault.Fault) {
	status := &rpcstatus.Status{Code: int32(f.Kind.GRPCCode()), Message: f.Message()}
	for _, m := range details(f) {
		if detail, err := anypb.New(m); err == nil {
			status.Details = append(status.Details, detail)
		}
	}
	body, err := protojson.Marshal(status)
	if err != nil {
		body = []byte(`{"code":13,"message":"An internal error occurred"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if f.Kind == fault.Unauthenticated {
		h.Set("Www-Authenticate", f.Message())
	}
	if u := unmetOf(f); u != nil {
		h.Set("Www-Authenticate", stepUpChallenge(unmetMessage(u)))
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", retrySeconds(f.RetryAfter))
	}
	w.WriteHeader(f.Kind.HTTPStatus())
	_, _ = w.Write(body) // the client may be gone
}
