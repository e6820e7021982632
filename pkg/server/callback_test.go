package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/server"
)

func TestOnlyABrowserThatComesBackUsesTheCodeUp(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Providers: providers(stub)})
	callback := stub.SignIn(t, c.StartAt(t, providerID), "ada")
	for verb, want := range map[string]int{http.MethodHead: 405, http.MethodPost: 404, http.MethodPut: 404} {
		if a := send(c.Handler, request(verb, callback, "")); a.status != want || a.header.Get("Location") != "" {
			t.Errorf("%s: got %d to %q", verb, a.status, a.header.Get("Location"))
		}
	}
	if n := stub.Calls("/token"); n != 0 {
		t.Errorf("%d codes were redeemed", n)
	}
	a := send(c.Handler, request(http.MethodGet, callback, ""))
	if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "https://login.example.com/ok?") || a.body != "" {
		t.Errorf("got %d to %q: %q", a.status, a.header.Get("Location"), a.body)
	}
}

// Whatever comes to the callback, the answer repeats nothing of it and leads nowhere.
func TestABadCallbackIsRefusedInPlainWords(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Providers: providers(stub)})
	callback, err := url.Parse(stub.SignIn(t, c.StartAt(t, providerID), "ada"))
	check(t, err)
	used := callback.RequestURI()
	if a := send(c.Handler, request(http.MethodGet, used, "")); a.status != http.StatusSeeOther {
		t.Fatalf("the first use: %d %s", a.status, a.body)
	}
	for name, target := range map[string]string{
		"nothing": "/idps/callback", "no state": "/idps/callback?code=x", "made up state": "/idps/callback?state=%3Cscript%3E&code=x",
		"a second time": used, "broken query": "/idps/callback?state=%zz", "error without state": "/idps/callback?error=access_denied",
	} {
		a := send(c.Handler, request(http.MethodGet, target, ""))
		if a.status < 400 || a.status >= 500 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, a.status, a.header.Get("Location"))
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%s: headers %v", name, a.header)
		}
		if q, _ := url.ParseQuery(callback.RawQuery); len(a.body) > 500 || contains(a.body, "<script>", q.Get("state"), q.Get("code")) {
			t.Errorf("%s: the answer repeats the request: %s", name, a.body)
		}
	}
	if _, err := c.Intents.Callback(context.Background(), intent.Answer{}); err == nil {
		t.Error("an empty answer passes")
	}
}

func TestACallbackThatFailsIsLoggedWithItsCauseAndWithoutItsQuery(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Providers: providers(stub)})
	callback := stub.SignIn(t, c.StartAt(t, providerID), "ada")
	stub.Behave(idptest.Behaviour{Claims: func(m map[string]any) { m["nonce"] = "another" }})
	a := send(c.Handler, request(http.MethodGet, callback, ""))
	q, err := url.ParseQuery(callback[strings.Index(callback, "?")+1:])
	check(t, err)
	log := c.Logs.String()
	if a.status != http.StatusSeeOther || !strings.Contains(log, "STEPUP-idp-answer") || !strings.Contains(log, "another nonce") {
		t.Errorf("got %d, logged %s", a.status, log)
	}
	if contains(log, q.Get("code"), q.Get("state"), idptest.ClientSecret) {
		t.Errorf("logged %s", log)
	}
}

// FuzzCallback brings back any query: what does not have the one good state leads nowhere,
// and nothing is a failure of ours.
func FuzzCallback(f *testing.F) {
	stub := idptest.NewStub(f)
	c := newREST(f, apptest.Options{Providers: providers(stub)})
	good := stub.SignIn(f, c.StartAt(f, providerID), "ada")
	_, query, _ := strings.Cut(good, "?")
	for _, seed := range []string{
		"", "state=", "code=x&state=AAAA", "state=%00", "state=%zz", "error=<script>&state=x", ";;;", "state=a&state=b",
		strings.Replace(query, "code=", "code=x", 1), query + "x", query + "&iss=https://evil.example", strings.Repeat("state=x&", 500),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := request(http.MethodGet, server.CallbackPath, "")
		r.URL.RawQuery = query
		a := send(c.Handler, r)
		to := a.header.Get("Location")
		switch {
		case a.status == http.StatusSeeOther && strings.HasPrefix(to, "https://login.example.com/"):
		case a.status >= 400 && a.status < 500 && to == "" && a.header.Get("Content-Type") == "text/plain; charset=utf-8":
		default:
			t.Errorf("%q: %d to %q: %s", query, a.status, to, a.body)
		}
	})
}
