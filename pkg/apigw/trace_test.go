package apigw_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/trace"
)

// inTrace is a context as the Lambda runtime makes it.
func inTrace(t *testing.T, header string) context.Context {
	t.Helper()
	return context.WithValue(t.Context(), "x-amzn-trace-id", header) //nolint:staticcheck // the runtime's own key
}

// The header of an event may be the client's; the invocation has Lambda's word.
func TestTraceIsThatOfTheInvocation(t *testing.T) {
	t.Parallel()
	const lambdas, clients = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "Root=1-00000000-000000000000000000000000"
	for name, tc := range map[string]struct {
		trace func() context.Context
		want  string
	}{
		"told":     {func() context.Context { return inTrace(t, lambdas) }, lambdas},
		"not told": {t.Context, clients},
		"empty":    {func() context.Context { return inTrace(t, "") }, clients},
	} {
		var got []string
		h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = r.Header.Values(trace.Header)
		}), apigw.Options{})
		invokeContext(tc.trace(), t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.Headers["x-amzn-trace-id"] = clients }))
		if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRefusalIsToldWithItsTrace(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var told []fault.Kind
	h := apigw.New(unreached(t), apigw.Options{
		Log:     slog.New(slog.NewJSONHandler(&log, nil)),
		Refused: func(_ context.Context, f *fault.Fault) { told = append(told, f.Kind) },
	})
	ctx := inTrace(t, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
	invokeContext(ctx, t, h, []byte(`{}`))
	invokeContext(ctx, t, h, fixture(t, "grpc-native"))
	if diff := cmp.Diff([]fault.Kind{fault.InvalidArgument, fault.Unimplemented}, told); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(log.String(), `"trace_id":"1-5759e988-bd862e3fe1be46a994272793"`); n != 2 {
		t.Errorf("%d lines name the trace:\n%s", n, &log)
	}
}
