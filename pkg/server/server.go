// Package server owns the transport: one http.Handler that speaks REST/JSON,
// Connect, gRPC-Web and gRPC, translates messages to commands of the domain and
// faults to the error shape of each protocol.
//
// A request passes from the outside in: recover, request id, log, CORS, deadline,
// then the protocol, and in each method admit, which authenticates the caller and
// validates the fields. Nothing of the domain happens before admit, because every
// operation of the domain asks for the caller.
package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/gen/openapi"
	"github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1/sessionv1connect"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2/userv2connect"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// MaxBody is the largest request body in bytes, on every protocol.
const MaxBody = 1 << 20

// Config holds what the handler needs; all fields but SignedBy, Principals, Origins,
// Failed and Reflection are required.
type Config struct {
	Sessions *session.Service
	Users    *user.Service
	Intents  *intent.Service
	Keys     *access.Keys
	// SignedBy returns the ARN of whoever signed the request with AWS credentials. Only
	// the gateway that verified the signature can say so: nothing that a client sends may
	// reach the answer. Nil where nothing in front verifies signatures; then nobody calls
	// by one.
	SignedBy func(*http.Request) (arn string, ok bool)
	// Principals are the callers who may.
	Principals access.Principals
	// RelyingParties are described to browsers at their own hosts.
	RelyingParties *passkey.RelyingParties
	// Instance is the id that answers name as the owner of sessions.
	Instance string
	// Origins are the browser origins that may call; empty allows any. Callers prove
	// themselves with a bearer token or a signature and never with a cookie, so an origin
	// gives no rights.
	Origins []string
	// Timeout bounds one request.
	Timeout time.Duration
	// Reflection adds routes that describe the services; nil where streams cannot be
	// carried.
	Reflection func(mux *http.ServeMux, services []string)
	Logger     *slog.Logger
	Now        func() time.Time
	// Random feeds request ids.
	Random io.Reader
	// Failed, unless nil, hears of the fault that a request was answered with.
	Failed func(ctx context.Context, f *fault.Fault)
}

// New returns the handler.
func New(c Config) (http.Handler, error) {
	d := &door{keys: c.Keys, principals: c.Principals, sessions: c.Sessions, users: c.Users}
	sessions := &sessionServer{door: d, service: c.Sessions, instance: c.Instance}
	users := &userServer{door: d, service: c.Users, intents: c.Intents, instance: c.Instance, now: c.Now}
	rest, err := newGateway(sessions, users)
	if err != nil {
		return nil, err
	}
	options := HandlerOptions()
	names := []string{sessionv2connect.SessionServiceName, userv2connect.UserServiceName, sessionv1connect.SessionServiceName}
	mux := http.NewServeMux()
	mux.Handle("/", http.HandlerFunc(notFound))
	mux.HandleFunc("GET /debug/healthz", healthy)
	mux.HandleFunc("GET /openapi.json", describe)
	mux.HandleFunc("GET /.well-known/webauthn", relatedOrigins(c.RelyingParties))
	mux.HandleFunc("GET "+CallbackPath, callback(c.Intents))
	mux.Handle(onDemand(names[0], func() (string, http.Handler) { return sessionv2connect.NewSessionServiceHandler(sessions, options...) }))
	mux.Handle(onDemand(names[1], func() (string, http.Handler) { return userv2connect.NewUserServiceHandler(users, options...) }))
	mux.Handle(onDemand(names[2], func() (string, http.Handler) { return sessionv1connect.NewSessionServiceHandler(sessions, options...) }))
	mux.Handle(grpchealth.NewHandler(grpchealth.NewStaticChecker(names...)))
	if c.Reflection != nil {
		c.Reflection(mux, append(names, grpchealth.HealthV1ServiceName))
	}
	return c.wrap(route(unicodePath(limitBody(rest)), mux)), nil
}

// HandlerOptions are what every RPC of the service is handled with: how faults are
// rendered, panics survived and messages bounded.
func HandlerOptions() []connect.HandlerOption {
	return append(codecs(),
		connect.WithInterceptors(faultInterceptor()),
		connect.WithRecover(func(_ context.Context, _ connect.Spec, _ http.Header, thrown any) error { return panicked(thrown) }),
		connect.WithReadMaxBytes(MaxBody),
	)
}

// onDemand makes the handler of an RPC service when it is first asked for. It consists of
// one for each method, which a function that only sees the REST API starts without.
func onDemand(service string, build func() (path string, h http.Handler)) (path string, h http.Handler) {
	built := sync.OnceValue(func() http.Handler {
		_, h := build()
		return h
	})
	return "/" + service + "/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { built().ServeHTTP(w, r) })
}

// route sends REST around the mux, which would redirect a path with two slashes in a
// row, and with it a token in the query.
func route(rest, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") || strings.HasPrefix(r.URL.Path, "/stepup/") {
			rest.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}

// healthy answers while the process lives; it says nothing about the store.
func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "ok\n") // the client may be gone
}

// describe answers with the OpenAPI document of the REST routes, which is no secret.
func describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(openapi.Document) // the client may be gone
}
