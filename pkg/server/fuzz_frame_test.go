package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
)

// FuzzFrame sends bodies of Connect and gRPC-Web as they come through API Gateway: what
// is no message is refused, and no failure of ours.
func FuzzFrame(f *testing.F) {
	types := []string{"application/json", "application/proto", "application/grpc-web+proto", "application/grpc-web-text+proto", "application/grpc-web+json"}
	c := newREST(f, apptest.Options{})
	gateway := &lambdatest.Gateway{Invoke: apigw.New(c.Handler, apigw.Options{}).Invoke}
	for i := range types {
		for _, seed := range []string{
			"", "{}", "\x0a\x01a", "\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x03\x0a\x01a", "\x00\x00\x00\x00\x02{}", // one message
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",                      // two
			"\x00\xff\xff\xff\xff", "\x00\x00\x00", "\x00\x00\x00\x00\x09a", // lengths that are not kept
			"\x01\x00\x00\x00\x01a", "\x80\x00\x00\x00\x00", "\x0a\xff\xff\xff\xff\x0f", "AAAAAAA=", "\xff",
		} {
			f.Add(uint8(i), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"https://login.example.com"+sessionv2connect.SessionServiceGetSessionProcedure, strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", types[int(kind)%len(types)])
		r.Header.Set("Authorization", "Bearer "+c.key)
		a, err := gateway.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		said, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		if a.StatusCode >= http.StatusInternalServerError || strings.Contains(string(said), "grpc-status: 13") {
			t.Errorf("%d %q", a.StatusCode, said)
		}
	})
}
