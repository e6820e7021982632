package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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

func TestAPersonSignsInAtAProvider(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		f := newFederated(t, apptest.Options{Table: tb})
		got := f.signIn("ada")
		t.Log(got)
		said := f.must("POST", "/v2/idp_intents/"+got.Get("id"), `{"idpIntentToken":"`+got.Get("token")+`"}`)
		t.Log(said)
	})
}
