package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/pkg/fault"
	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
)

// newGateway returns the REST routes, which call the services in process. JSON is
// read leniently and written sparsely, as the wire contract has it in section 3.
func newGateway(sessions *sessionServer, users userv2.UserServiceServer) (http.Handler, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
			UnmarshalOptions: protojson.UnmarshalOptions{DiscardUnknown: true},
		}),
		runtime.WithErrorHandler(gatewayError),
		runtime.WithRoutingErrorHandler(routingError),
		runtime.WithForwardResponseOption(unlessNew),
		runtime.WithForwardResponseOption(created),
		// Methods read the request's own headers. What the gateway copies nobody
		// reads, and it complains in lines of its own about what it cannot copy.
		runtime.WithIncomingHeaderMatcher(func(string) (string, bool) { return "", false }),
		// A form must not become another verb by a header.
		runtime.WithDisablePathLengthFallback(),
	)
	err := errors.Join(
		sessionv2.RegisterSessionServiceHandlerServer(context.Background(), mux, sessions),
		userv2.RegisterUserServiceHandlerServer(context.Background(), mux, users),
		sessionv1.RegisterSessionServiceHandlerServer(context.Background(), mux, sessions),
	)
	if err != nil {
		return nil, fmt.Errorf("register REST routes: %w", err)
	}
	return mux, nil
}

// created gives CreateSession its status, alone among all routes.
func created(_ context.Context, w http.ResponseWriter, m proto.Message) error {
	if _, ok := m.(*sessionv2.CreateSessionResponse); ok {
		w.WriteHeader(http.StatusCreated)
	}
	return nil
}

// gatewayError renders what a method returned, or what the gateway itself says of a message
// that it cannot read, which comes as a gRPC status. A Get of what the client has already is
// answered without a body.
func gatewayError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
	if errors.Is(err, errNotModified) {
		notModified(w)
		return
	}
	renderREST(ctx, w, faultOf(err))
}

var (
	errNoRoute   = fault.NewBare(fault.NotFound, "Not Found")
	errBadMethod = fault.NewBare(fault.MethodNotAllowed, "Method Not Allowed")
	errBadPath   = fault.NewBare(fault.InvalidArgument, "Bad Request")
)

func routingError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, httpStatus int) {
	switch httpStatus {
	case http.StatusNotFound:
		renderREST(ctx, w, errNoRoute)
	case http.StatusMethodNotAllowed:
		renderREST(ctx, w, errBadMethod)
	default:
		renderREST(ctx, w, errBadPath)
	}
}

// unicodePath refuses a path that is not UTF-8: what it names becomes a string of a
// message, and those are UTF-8. Bodies are checked by their parsers.
func unicodePath(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !utf8.ValidString(r.URL.Path) {
			renderREST(r.Context(), w, errBadPath)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// notFound answers a call of a service that is not here as connect answers one of a method
// that is not: all RPC clients know what the bare status means (unimplemented), and would
// take the JSON of REST for a broken message of their own protocol.
func notFound(w http.ResponseWriter, r *http.Request) {
	if !isRPC(r.Header) {
		renderREST(r.Context(), w, errNoRoute)
		return
	}
	exchangeOf(r.Context()).fault = errNoRoute
	http.NotFound(w, r)
}

// isRPC reports what only clients of Connect, gRPC-Web and gRPC send. One of Connect that
// leaves out the version of the protocol, which it may, looks like one of REST.
func isRPC(header http.Header) bool {
	if header.Get("Connect-Protocol-Version") != "" {
		return true
	}
	contentType := strings.ToLower(header.Get("Content-Type"))
	return slices.ContainsFunc([]string{"application/connect+", "application/grpc", "application/proto"}, func(prefix string) bool {
		return strings.HasPrefix(contentType, prefix)
	})
}
