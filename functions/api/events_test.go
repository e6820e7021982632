package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

var update = flag.Bool("update", false, "write the files in events/ anew")

const folder = "../../events"

func TestEveryEventIsAnsweredAsItShould(t *testing.T) {
	t.Parallel()
	for _, r := range requests() {
		t.Run(r.file, func(t *testing.T) {
			t.Parallel()
			deployed := function(t, lambdatest.Options{Env: apitest.Deploy(t), Remaining: r.remaining})
			resp, err := apitest.Send(t.Context(), deployed, eventOf(t, r))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := httputil.DumpResponse(resp, true)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != r.status || !bytes.Contains(answer, []byte(r.want)) {
				t.Errorf("want status %d and %q in\n%s", r.status, r.want, answer)
			}
		})
	}
}

// start runs the function in the environment until the test ends.
func start(t *testing.T, env ...string) *lambdatest.Process {
	t.Helper()
	return function(t, lambdatest.Options{Env: env})
}

func function(t *testing.T, o lambdatest.Options) *lambdatest.Process {
	t.Helper()
	o.Binary = builds.Binary(t, apitest.Package)
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// eventOf returns the content of the request's file, and checks that it is what the
// request makes it.
func eventOf(t *testing.T, r request) []byte {
	t.Helper()
	path := filepath.Join(folder, r.file+".json")
	want := write(t, r)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	event, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(event)); diff != "" {
		t.Errorf("%s is out of date: run go test ./functions/api -update\n%s", path, diff)
	}
	return event
}

var errWritten = errors.New("the event is written")

// write returns the event that the gateway makes of a request.
func write(t *testing.T, r request) []byte {
	t.Helper()
	var event events.APIGatewayV2HTTPRequest
	gateway := &lambdatest.Gateway{Invoke: func(_ context.Context, written []byte) ([]byte, error) {
		return nil, errors.Join(errWritten, json.Unmarshal(written, &event))
	}}
	if _, err := gateway.RoundTrip(httpRequest(t, r)); !errors.Is(err, errWritten) {
		t.Fatal(err)
	}
	event.RequestContext.Time = "23/Nov/2026:12:00:00 +0000"
	event.RequestContext.TimeEpoch = 1795435200000
	if r.edit != nil {
		r.edit(&event)
	}
	return text(t, event)
}

// text returns the event as JSON for people. Go's type has a certificate also where
// the client showed none; the service leaves it out.
func text(t *testing.T, event events.APIGatewayV2HTTPRequest) []byte {
	t.Helper()
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(b, &tree); err != nil {
		t.Fatal(err)
	}
	delete(tree["requestContext"].(map[string]any), "authentication")
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(tree); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func httpRequest(t *testing.T, r request) *http.Request {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), r.method, "https://api.example.com"+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	out.Header = http.Header{
		"Authorization":     {"Bearer " + apitest.APIKey},
		"User-Agent":        {"curl/8.5.0"},
		"X-Forwarded-For":   {"192.0.2.1"},
		"X-Forwarded-Port":  {"443"},
		"X-Forwarded-Proto": {"https"},
	}
	if r.body != "" {
		out.Header.Set("Content-Type", "application/json")
		out.Header.Set("Content-Length", fmt.Sprint(len(r.body)))
	}
	for name, value := range r.header {
		if out.Header.Set(name, value); value == "" {
			out.Header.Del(name)
		}
	}
	return out
}

func TestEveryFileHasAnExpectation(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".json")
	}
	var expected []string
	for _, r := range requests() {
		expected = append(expected, r.file)
	}
	slices.Sort(files)
	slices.Sort(expected)
	if diff := cmp.Diff(expected, files); diff != "" {
		t.Errorf("requests() and events/ differ:\n%s", diff)
	}
}

func TestReadmeNamesEveryEventThatIsNoPlainCall(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests() {
		name, format, _ := strings.Cut(r.file, ".")
		if format != "rest" && !strings.Contains(string(readme), "`"+name) {
			t.Errorf("events/README.md does not name %s", r.file)
		}
	}
}

func TestEveryRouteHasAnEvent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../proto/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var service struct {
		HTTP struct {
			Rules []map[string]string `yaml:"rules"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal(text, &service); err != nil {
		t.Fatal(err)
	}
	if len(service.HTTP.Rules) == 0 {
		t.Fatal("proto/http.yaml has no rules")
	}
	for _, rule := range service.HTTP.Rules {
		if !slices.ContainsFunc(requests(), func(r request) bool { return served(rule, r) }) {
			t.Errorf("no event is a good call of %s", rule["selector"])
		}
	}
}

var parameter = regexp.MustCompile(`\\\{[^}]*\\\}`)

// belated are the methods whose request answers something that is over in minutes, or
// needs an identity provider, so that no file can hold a good one.
func belated(method string) bool {
	return slices.Contains([]string{
		"VerifyTOTPRegistration", "VerifyPasskeyRegistration", "VerifyU2FRegistration", "VerifyEmail", "VerifyPhone",
		"StartIdentityProviderIntent", "RetrieveIdentityProviderIntent", "AddIDPLink", "RemoveIDPLink",
	}, method)
}

// served reports whether the request is a REST call of the rule's method that
// succeeds, or comes too late where any would, and is named after it.
func served(rule map[string]string, r request) bool {
	_, method, _ := strings.Cut(rule["selector"], "Service.")
	pattern, ok := rule[strings.ToLower(r.method)]
	if !ok || r.status >= 300 && !belated(method) {
		return false
	}
	route := "^" + parameter.ReplaceAllString(regexp.QuoteMeta(pattern), "[^/]+") + "$"
	path, _, _ := strings.Cut(r.path, "?")
	named := strings.ReplaceAll(strings.TrimSuffix(r.file, ".rest"), "-", "")
	return regexp.MustCompile(route).MatchString(path) && strings.EqualFold(named, method)
}
