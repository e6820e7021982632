package main_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/sdk"
)

// patch sets a metadatum of the fixture's session to a value that it has not.
const patch = `{"version":"2.0","rawPath":"/v2/sessions/` + apitest.SessionID + `","headers":{"authorization":"Bearer ` + apitest.APIKey + `",
"content-type":"application/json","host":"api.example.com"},"requestContext":{"http":{"method":"PATCH","path":"/","sourceIp":"192.0.2.1"}},
"body":"{\"metadata\":{\"client\":\"Zm9v\"}}"}`

// BenchmarkPatch is a change of metadata from event to answer, in the handler of the
// function. The store costs nothing: it repeats what DynamoDB's stand-in answered once, in the
// place of the SDK's HTTP client, or on loopback, where its own work counts as well.
func BenchmarkPatch(b *testing.B) {
	env := apitest.Deploy(b)
	recorded := &recorder{answers: answers{}}
	recording := handler(b, env, recorded)
	call(b, recording, strings.Replace(patch, "Zm9v", "YmFy", 1))
	call(b, recording, patch) // now it is known whose session it is, and both are asked for at once
	b.Run("without a network", func(b *testing.B) { repeat(b, handler(b, env, recorded.answers)) })
	b.Run("on loopback", func(b *testing.B) {
		server := httptest.NewServer(recorded.answers)
		defer server.Close()
		repeat(b, handler(b, append(env, "AWS_ENDPOINT_URL_DYNAMODB="+server.URL), nil))
	})
}

func repeat(b *testing.B, h *apigw.Handler) {
	b.Helper()
	call(b, h, patch)
	b.ReportAllocs()
	for b.Loop() {
		call(b, h, patch)
	}
}

func call(b *testing.B, h *apigw.Handler, event string) {
	b.Helper()
	got, err := h.Invoke(b.Context(), []byte(event))
	if err != nil || !bytes.Contains(got, []byte(`"statusCode":200`)) {
		b.Fatalf("the call failed: %v, %s", err, got)
	}
}

// handler puts the function together as main does, but for the client if there is one.
func handler(b *testing.B, env []string, client aws.HTTPClient) *apigw.Handler {
	b.Helper()
	variables := map[string]string{}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		variables[name] = value
	}
	lookup := func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
	c, err := config.Load(lookup)
	if err != nil {
		b.Fatal(err)
	}
	credentials := sdk.Config(cmp.Or(c.Region, "eu-central-1"), lookup)
	if client != nil {
		credentials.HTTPClient = client
	}
	logger := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // writing the line is part of a call
	a, err := app.OnAWS(b.Context(), c, credentials, app.Ambient{
		Logger: logger, Metrics: io.Discard, Now: time.Now, Random: rand.Reader, SignedBy: apigw.SignedBy,
	})
	if err != nil {
		b.Fatal(err)
	}
	return apigw.New(a.Handler, apigw.Options{Log: logger, Refused: a.Refused})
}

// answer is what the store answers to a request.
type answer struct {
	header http.Header
	body   []byte
}

// answers are those to reads by what was asked, and to writes, of which no two are
// alike, by their kind.
type answers map[string]answer

func key(r *http.Request, body []byte) string {
	name := r.Header.Get("X-Amz-Target")
	if strings.Contains(name, "Get") {
		slices.Sort(body) // keys of JSON come in any order
		name += string(body)
	}
	return name
}

// Do implements aws.HTTPClient.
func (a answers) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	known, ok := a[key(r, body)]
	if !ok {
		return nil, errors.New("the store was not asked this before")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: known.header, ContentLength: int64(len(known.body)),
		Body: io.NopCloser(bytes.NewReader(known.body)),
	}, nil
}

// ServeHTTP implements http.Handler.
func (a answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	response, err := a.Do(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	maps.Copy(w.Header(), response.Header)
	_, _ = io.Copy(w, response.Body)
}

// recorder asks the store and keeps what it answered.
type recorder struct {
	mu      sync.Mutex
	answers answers
}

// Do implements aws.HTTPClient.
func (r *recorder) Do(request *http.Request) (*http.Response, error) {
	asked, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(asked))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers[key(request, asked)] = answer{response.Header, body}
	return response, nil
}
