package app_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/table"
)

// federated is a service with an identity provider, called over HTTP.
type federated struct {
	client

	service  *apptest.Service
	provider *idptest.Provider
	browser  *idptest.Browser
}

func newFederated(t *testing.T, o apptest.Options) federated {
	t.Helper()
	p := idptest.Shared(t)
	o.Providers = []idp.Provider{p.Config("test")}
	s := apptest.New(t, o)
	return federated{client{t, s.Serve(t), s.NewKey(t, access.IAMLoginClient, "")}, s, p, idptest.NewBrowser(t)}
}

const startBody = `{"idpId":"test","urls":{"successUrl":"https://login.example.com/ok?app=1","failureUrl":"https://login.example.com/failed"}}`

// start begins a sign-in and returns where the browser goes.
func (f federated) start() string {
	f.t.Helper()
	return f.must("POST", "/v2/idp_intents", startBody)["authUrl"].(string)
}

// back carries the browser to the callback and returns where it is sent from there.
func (f federated) back(path string) (int, *url.URL) {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.url+path, http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("Referrer-Policy") != "no-referrer" {
		f.t.Errorf("headers of the callback: %v", response.Header)
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		f.t.Fatal(err)
	}
	return response.StatusCode, location
}

// signIn is a whole sign-in; it returns the parameters of the success URL.
func (f federated) signIn(login string) url.Values {
	f.t.Helper()
	status, location := f.back(f.browser.SignIn(f.t, f.start(), login))
	if status != http.StatusSeeOther || !strings.HasPrefix(location.String(), "https://login.example.com/ok?") {
		f.t.Fatalf("the browser is sent to %s with %d\n%s", location, status, f.service.Logs)
	}
	return location.Query()
}

// TestAPersonSignsInAtAProvider goes the whole way with a real provider: a first sign-in of
// somebody unknown, who becomes a user by the proposal, a session stepped up with it, and
// the next sign-in, which knows the user.
func TestAPersonSignsInAtAProvider(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := newFederated(t, apptest.Options{Table: tb})
		first := f.signIn("ada")
		if first.Get("user") != "" || first.Get("app") != "1" {
			t.Errorf("the first sign-in comes back with %v", first)
		}
		said := f.must("POST", "/v2/idp_intents/"+first.Get("id"), `{"idpIntentToken":"`+first.Get("token")+`"}`)
		about := said["idpInformation"].(map[string]any)
		if about["idpId"] != "test" || about["userId"] == "" || about["oauth"].(map[string]any)["accessToken"] == "" || about["rawInformation"] == nil {
			t.Errorf("the provider said %v", about)
		}
		account := about["userId"].(string)
		f.must("POST", "/v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"Ada","familyName":"Lovelace"},
			"email":{"email":"ada@example.com","isVerified":true},"idpLinks":[{"idpId":"test","userId":"`+account+`","userName":"ada"}]}`)
		methods := f.must("GET", "/v2/users/ada/authentication_methods", "")["authMethodTypes"]
		if diff := cmp.Diff([]any{"AUTHENTICATION_METHOD_TYPE_IDP"}, methods); diff != "" {
			t.Errorf("methods:\n%s", diff)
		}
		path := "/v2/sessions/" + f.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}}}`)["sessionId"].(string)
		check := `{"checks":{"idpIntent":{"idpIntentId":"` + first.Get("id") + `","idpIntentToken":"` + first.Get("token") + `"}}}`
		f.must("PATCH", path, check)
		factors := f.must("GET", path, "")["session"].(map[string]any)["factors"].(map[string]any)
		if factors["intent"] == nil {
			t.Errorf("factors %v", factors)
		}
		if status, answer := f.call("PATCH", path, f.key, check); status != http.StatusBadRequest || !strings.Contains(answer["message"].(string), "COMMAND-Df4bw") {
			t.Errorf("the second use: %d %v", status, answer)
		}
		if next := f.signIn("ada"); next.Get("user") != "ada" {
			t.Errorf("the next sign-in comes back with %v", next)
		}
	})
}

var providersExample = regexp.MustCompile("(?s)## Identity providers.*?```json\n(.*?)```")

func TestTheDocumentedProvidersCanBeConfigured(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	example := providersExample.FindSubmatch(text)
	if example == nil {
		t.Fatal("the document has no example")
	}
	list, err := idp.Parse(example[1])
	if err != nil {
		t.Fatal(err)
	}
	list[0].ClientID, list[0].ClientSecret = "id", "secret" // which the document leaves to the reader
	apptest.New(t, apptest.Options{Providers: list})
}

func TestAPersonWhoCancelsIsSentToTheFailureURL(t *testing.T) {
	t.Parallel()
	f := newFederated(t, apptest.Options{})
	status, location := f.back(f.browser.Cancel(t, f.start()))
	q := location.Query()
	if status != http.StatusSeeOther || !strings.HasPrefix(location.String(), "https://login.example.com/failed?") ||
		q.Get("error") != "access_denied" || q.Get("id") == "" || q.Get("token") != "" {
		t.Errorf("%d to %s", status, location)
	}
}

func TestACallbackIsOfOneUse(t *testing.T) {
	t.Parallel()
	f := newFederated(t, apptest.Options{})
	callback := f.browser.SignIn(t, f.start(), "ada")
	if status, _ := f.back(callback); status != http.StatusSeeOther {
		t.Errorf("the first use: %d", status)
	}
	if status, location := f.back(callback); status < 400 || status >= 500 || location.String() != "" {
		t.Errorf("the second use: %d to %q", status, location)
	}
}

// TestG2_NothingThatAProviderSaidIsStoredInTheClearOrLogged searches for the tokens of both
// sides, the state and the code.
func TestG2_NothingThatAProviderSaidIsStoredInTheClearOrLogged(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	f := newFederated(t, apptest.Options{Table: tb})
	address := f.start()
	begun := stored(t, tb)
	callback, err := url.Parse(f.browser.SignIn(t, address, "ada"))
	if err != nil {
		t.Fatal(err)
	}
	_, location := f.back(callback.RequestURI())
	got := location.Query()
	said := f.must("POST", "/v2/idp_intents/"+got.Get("id"), `{"idpIntentToken":"`+got.Get("token")+`"}`)
	f.call("POST", "/v2/idp_intents/"+got.Get("id"), f.key, `{"idpIntentToken":"`+got.Get("token")+`x"}`)
	tokens := said["idpInformation"].(map[string]any)["oauth"].(map[string]any)
	secrets := map[string][]byte{
		"access token": []byte(tokens["accessToken"].(string)), "id token": []byte(tokens["idToken"].(string)),
		"intent token": []byte(got.Get("token")), "code": []byte(callback.Query().Get("code")), "state": []byte(callback.Query().Get("state")),
	}
	if found := leaks(append(begun, stored(t, tb)...), secrets); len(found) > 0 {
		t.Errorf("stored: %v", found)
	}
	if found := leaks([]byte(f.service.Logs.String()), secrets); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, f.service.Logs)
	}
	if !strings.Contains(string(begun), "INTENT#") {
		t.Error("the search does not see the intent")
	}
}

// TestR1_AProviderThatIsDownFailsItsOwnSignInsOnly stops the provider before discovery.
func TestR1_AProviderThatIsDownFailsItsOwnSignInsOnly(t *testing.T) {
	t.Parallel()
	down := idptest.New(t)
	f := newFederated(t, apptest.Options{})
	config := down.Config("down")
	down.Stop()
	s := apptest.New(t, apptest.Options{Providers: []idp.Provider{f.provider.Config("test"), config}})
	f.client = client{t, s.Serve(t), s.NewKey(t, access.IAMLoginClient, "")}
	status, answer := f.call("POST", "/v2/idp_intents", f.key, strings.Replace(startBody, `"test"`, `"down"`, 1))
	if status != http.StatusServiceUnavailable {
		t.Errorf("the provider that is down: %d %v", status, answer)
	}
	f.must("POST", "/v2/idp_intents", startBody)
}
