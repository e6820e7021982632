package server

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/rs/cors"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/trace"
)

// RequestIDHeader carries an id through client, service and log.
const RequestIDHeader = "X-Request-Id"

// wrap puts everything around the routes that is the same for all of them.
func (c Config) wrap(h http.Handler) http.Handler {
	return c.observe(c.cors().Handler(c.deadline(h)))
}

// exchange collects what the log line of one request says. It travels in the
// context and belongs to the one goroutine that serves the request.
type exchange struct {
	header http.Header // of the request
	answer http.Header // of the response, as long as nothing is written
	host   string      // that the request was sent to, without port
	signer string      // the ARN behind the signature, as verified in front
	signed bool        // whether there is one
	caller string
	fault  *fault.Fault
}

type exchangeKey struct{}

// exchangeOf returns the request's exchange; without one, as in a test that calls a
// method directly, it returns an empty one.
func exchangeOf(ctx context.Context) *exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{header: http.Header{}, answer: http.Header{}}
}

// observe gives a request its id, survives its panics and writes its log line. The
// line names the route but not the query, which may hold a session token.
func (c Config) observe(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := c.Now()
		x := &exchange{header: r.Header, answer: w.Header(), host: hostname(r)}
		if c.SignedBy != nil {
			x.signer, x.signed = c.SignedBy(r)
		}
		id := c.requestID(r.Header.Get(RequestIDHeader))
		w.Header().Set(RequestIDHeader, id)
		w.Header().Set("Cache-Control", "no-store")
		answer := &statusWriter{ResponseWriter: w}
		defer func() {
			if thrown := recover(); thrown != nil {
				x.fault = panicked(thrown)
				if answer.status == 0 {
					writeREST(answer, x.fault)
				}
			}
			c.tell(r, x)
			took := float64(c.Now().Sub(start).Microseconds()) / 1000
			c.log(r, x, slog.String("request_id", id), slog.Int("status", answer.final()), slog.Float64("took_ms", took))
		}()
		h.ServeHTTP(answer, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
	})
}

// panicked is the fault of a panic, called while it is recovered, so that the cause
// has the stack. REST has it from observe; the RPC protocols recover further inside,
// where it can still be told in their own form.
func panicked(thrown any) *fault.Fault {
	return fault.From(fmt.Errorf("panic: %v\n%s", thrown, debug.Stack()))
}

// tell passes the fault of a request on to whoever counts them.
func (c Config) tell(r *http.Request, x *exchange) {
	if x.fault != nil && c.Failed != nil {
		c.Failed(r.Context(), x.fault)
	}
}

func (c Config) log(r *http.Request, x *exchange, attrs ...slog.Attr) {
	level := slog.LevelInfo
	attrs = append(attrs, trace.Attrs(r.Header.Get(trace.Header))...)
	attrs = append(attrs, slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("caller", x.caller))
	if f := x.fault; f != nil {
		level = f.Kind.Level()
		attrs = append(attrs, slog.String("fault", f.Kind.String()), slog.String("fault_id", f.ID))
		if cause := errors.Unwrap(f); cause != nil {
			attrs = append(attrs, slog.String("cause", cause.Error()))
		}
	}
	c.Logger.LogAttrs(r.Context(), level, "request", attrs...)
}

// cleanID is what a request id from outside may look like, so that it can stand in
// a log line and a header as it is.
var cleanID = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)

const maxRequestID = 128

func (c Config) requestID(given string) string {
	if len(given) <= maxRequestID && cleanID.MatchString(given) {
		return given
	}
	var b [12]byte
	if _, err := io.ReadFull(c.Random, b[:]); err != nil {
		return "unknown"
	}
	return hex.EncodeToString(b[:])
}

// statusWriter remembers the status. It passes Flush and the like through Unwrap.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// final is the status that the client saw: a handler that writes nothing answers 200.
func (w *statusWriter) final() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// Flush is needed by connect for gRPC, which looks for it by type.
func (w *statusWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// deadline bounds a request, so that an answer is written while somebody listens.
func (c Config) deadline(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), c.Timeout)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// cors implements the wire contract, section 3.3. The gRPC headers are exposed
// because gRPC-Web carries errors in them.
func (c Config) cors() *cors.Cors {
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool {
			return len(c.Origins) == 0 || slices.Contains(c.Origins, origin)
		},
		AllowCredentials: true,
		AllowedMethods:   []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"},
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "X-Zitadel-Orgid", "X-Grpc-Web", "X-User-Agent", "Grpc-Timeout",
			"Connect-Protocol-Version", "Connect-Timeout-Ms", RequestIDHeader, IdempotencyHeader, "If-Match", "If-None-Match",
		},
		ExposedHeaders: []string{
			"Location", "Content-Length", "Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin",
			"Retry-After", "ETag", "Www-Authenticate", RequestIDHeader,
		},
		MaxAge: 600,
	})
}

var errTooLarge = fault.NewBare(fault.TooLarge, "request body is larger than 1 MiB")

// limitBody reads a REST body whole before anything parses it, and refuses one over
// MaxBody. The gateway would report it as a broken message.
func limitBody(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			renderREST(r.Context(), w, errTooLarge)
			return
		}
		if err != nil {
			renderREST(r.Context(), w, fault.NewBare(fault.InvalidArgument, "request body could not be read").Wrap(err))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
}

// awsSignature is an Authorization header with the signature of the request in it and
// nothing else (AWS Signature Version 4, "Authorization header").
var awsSignature = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^AWS4-[A-Z0-9-]+(?:[ ,]+(?:Credential|SignedHeaders|Signature)=[^ ,]+){3}$`)
})

// bearer splits an Authorization header; the scheme may be in any case (RFC 7235).
func bearer(header string) (token string, ok bool) {
	scheme, token, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return "", false
	}
	return token, true
}
