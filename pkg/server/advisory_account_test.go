package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
)

// Links in mails led to the host that a header of the request named, with the code in them.
func TestCVE_2023_49097_CVE_2025_64101_NoHeaderOfARequestReachesAMail(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	enrol(t, c.Service, "ada")
	bob := c.NewUserCheap(t, "bob@stepup.test")
	forged := []string{
		"Host", "evil.example", "Forwarded", "host=evil.example;proto=http", "X-Forwarded-Host", "evil.example",
		"X-Forwarded-Proto", "http", "X-Original-Host", "evil.example", "Origin", "https://evil.example", "Referer", "https://evil.example/",
	}
	const link = `{"sendCode": {"urlTemplate": "https://login.example.com/?code={{.Code}}"}}`
	for _, body := range []struct{ path, body string }{
		{"/v2/sessions", `{"checks": {"user": {"userId": "ada"}}, "challenges": {"otpEmail": ` + link + `}}`},
		{"/v2/sessions", `{"checks": {"user": {"userId": "ada"}}, "challenges": {"otpSms": {}}}`},
		{"/v2/users/" + bob.ID + "/passkeys/registration_link", strings.Replace(link, "sendCode", "sendLink", 1)},
		{"/v2/users/" + bob.ID + "/email", `{"email": "bob@other.test", ` + link[1:]},
	} {
		r := request("POST", body.path, body.body, append(forged, "Authorization", "Bearer "+c.key)...)
		r.Host = "evil.example"
		if a := send(c.Handler, r); a.status >= http.StatusBadRequest {
			t.Errorf("%s: %d %s", body.path, a.status, a.body)
		}
	}
	messages := c.Inbox.Messages()
	if len(messages) != 4 {
		t.Fatalf("%d messages, want 4", len(messages))
	}
	for _, m := range messages {
		if text := fmt.Sprintf("%+v", m); strings.Contains(text, "evil") || strings.Contains(text, "http://") {
			t.Errorf("a header reached a message: %s", text)
		}
	}
}

// A token that had lost its end was good all the same.
func TestS1_CVE_2026_27840_APartOfATokenIsNone(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	ada := c.NewUserCheap(t, "ada@stepup.test")
	r := c.create(t, login(ada.ID, apptest.Password))
	read := func(bearer string) int {
		return send(c.Handler, request("GET", "/v2/users/"+ada.ID, "", "Authorization", "Bearer "+bearer)).status
	}
	for name, whole := range map[string]string{"a session token": r.Token, "a key": c.key} {
		if read(whole) != http.StatusOK {
			t.Fatalf("%s is refused", name)
		}
		for n := range len(whole) {
			for _, part := range []string{whole[:n], whole[len(whole)-n:]} {
				exceptDecoded(c, part)
				if got := read(part); got != http.StatusUnauthorized {
					t.Errorf("%d characters of %s are answered %d", n, name, got)
				}
			}
		}
	}
	for n := 1; n < len(r.Token); n++ { // without one, the key's rights decide
		if a := c.do("GET", "/v2/sessions/"+r.SessionID+"?sessionToken="+r.Token[:n], ""); a.status != http.StatusForbidden {
			t.Errorf("%d characters read the session: %d", n, a.status)
		}
	}
}

// exceptDecoded says that the part of a token is no secret when it is decoded: the id of a
// token is a part of it, and stored.
func exceptDecoded(c restClient, part string) {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(part, "stepup_"))
	if err == nil {
		c.Secrets.Except(string(raw))
	}
}

// Accounts that were locked or deactivated went on getting tokens.
func TestS6_CVE_2023_22492_CVE_2024_47000_NobodyComesInWhoIsKeptOut(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"lock", "deactivate"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
				ada := c.NewUserCheap(t, "ada@stepup.test")
				user := "/v2/users/" + ada.ID
				signedIn, begun := c.create(t, login(ada.ID, apptest.Password)), c.create(t, login(ada.ID, ""))
				if a := c.do("POST", user+"/"+verb, `{}`); a.status != http.StatusOK {
					t.Fatalf("%d %s", a.status, a.body)
				}
				password := `"password": {"password": "` + apptest.Password + `"}`
				for name, a := range map[string]answer{
					"their token as a credential": send(c.Handler, request("GET", user, "", "Authorization", "Bearer "+signedIn.Token)),
					"their session":               c.do("GET", "/v2/sessions/"+signedIn.SessionID+"?sessionToken="+signedIn.Token, ""),
					"a step of it":                c.do("PATCH", "/v2/sessions/"+signedIn.SessionID, `{"lifetime": "60s"}`),
					"a session that was begun":    c.do("PATCH", "/v2/sessions/"+begun.SessionID, `{"checks": {`+password+`}}`),
					"a new session":               c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "`+ada.ID+`"}, `+password+`}}`),
				} {
					if a.status < http.StatusBadRequest || a.status >= http.StatusInternalServerError {
						t.Errorf("%s: %d %s", name, a.status, a.body)
					}
				}
			})
		})
	}
}

// Accounts elsewhere became those of users here by themselves, where nobody had allowed it.
func TestS13_CVE_2025_64717_NoAccountElsewhereBecomesAUsersByItself(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Providers: []idp.Provider{stub.Config("one"), stub.Config("two")}})
	ada := c.NewUserCheap(t, "ada@example.com") // the stub says that this is its ada's address
	c.Link(t, ada.ID, "one", "ada")
	for provider, want := range map[string]string{"one": "ok", "two": "400 COMMAND-O8xk3w"} {
		shown := c.SignInAt(t, stub, provider, "ada")
		a := c.do("POST", "/v2/sessions", fmt.Sprintf(
			`{"checks": {"user": {"userId": %q}, "idpIntent": {"idpIntentId": %q, "idpIntentToken": %q}}}`, ada.ID, shown.ID, shown.Token))
		if o := a.outcome(t); o != want {
			t.Errorf("the account at %s is answered %s, want %s", provider, o, want)
		}
	}
}

// A user with the id of one who had been deleted came up in the organization of that one.
func TestS15_CVE_2026_55670_AnIDThatIsUsedAgainBringsNothingBack(t *testing.T) {
	t.Parallel()
	overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
		add := func(organization string) answer {
			return c.do("POST", "/v2/users/human", fmt.Sprintf(`{
				"userId": "ada", "organization": {"orgId": %q}, "profile": {"givenName": "Ada", "familyName": "Lovelace"},
				"email": {"email": "ada@stepup.test", "isVerified": true}, "hashedPassword": {"hash": %q}}`,
				organization, apptest.CheapHash(t, apptest.Password)))
		}
		if a := add("red"); a.status != http.StatusOK && a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.body)
		}
		old := c.create(t, login("ada", apptest.Password))
		c.Clock.Advance(time.Microsecond) // the end of a user's sessions is a time
		if a := c.do("DELETE", "/v2/users/ada", ""); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if a := add("blue"); a.status != http.StatusOK && a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if got := c.do("GET", "/v2/users/ada", ""); !strings.Contains(got.body, `"resourceOwner":"blue"`) || strings.Contains(got.body, `"red"`) {
			t.Errorf("the new ada: %d %s", got.status, got.body)
		}
		if a := c.do("GET", "/v2/sessions/"+old.SessionID, ""); a.status != http.StatusNotFound {
			t.Errorf("a session of the old ada: %d %s", a.status, a.body)
		}
	})
}
