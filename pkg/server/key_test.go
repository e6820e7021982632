package server_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
)

// keyClient is a REST client with an authenticator.
type keyClient struct {
	restClient
	t       *testing.T
	userID  string
	browser virtualwebauthn.RelyingParty
	device  virtualwebauthn.Authenticator
	held    virtualwebauthn.Credential
}

func newKeyClient(t *testing.T) *keyClient {
	t.Helper()
	c := newREST(t, apptest.Options{Env: map[string]string{
		"STEPUP_RELYING_PARTIES": "stepup.test;example.com=https://login.example.com",
	}})
	u := c.NewUserCheap(t, "ada@example.com")
	return &keyClient{
		restClient: c, t: t, userID: u.ID,
		browser: virtualwebauthn.RelyingParty{ID: "example.com", Origin: "https://login.example.com"},
		device:  virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: u.KeyHandle()}),
		held:    passkeytest.Credential(7),
	}
}

// reply is as much of all answers as this file looks at.
type reply struct {
	SessionID    string
	SessionToken string
	Challenges   struct {
		WebAuthN struct{ PublicKeyCredentialRequestOptions json.RawMessage }
	}
	PublicKeyCredentialCreationOptions json.RawMessage
	PasskeyID, U2fID                   string
	Session                            struct {
		Factors struct {
			User     struct{ ID string }
			WebAuthN struct {
				VerifiedAt   string
				UserVerified bool
			}
		}
	}
	Result          []map[string]any
	AuthMethodTypes []string
}

// must makes a call that has to succeed; a body that is a struct becomes JSON.
func (c *keyClient) must(verb, path string, body any) reply {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := c.do(verb, path, string(text))
	var r reply
	if err := json.Unmarshal([]byte(a.body), &r); err != nil || a.status >= http.StatusBadRequest {
		c.t.Fatalf("%s %s: %d %s", verb, path, a.status, a.body)
	}
	return r
}

// tree is a JSON object.
type tree = map[string]any

// register makes the device's credential a passkey or U2F key and returns its id.
func (c *keyClient) register(kind, domain string) string {
	c.t.Helper()
	path := "/v2/users/" + c.userID + "/" + kind
	made := c.must("POST", path, tree{"domain": domain})
	options, err := virtualwebauthn.ParseAttestationOptions(string(made.PublicKeyCredentialCreationOptions))
	if err != nil {
		c.t.Fatal(err)
	}
	id := made.PasskeyID + made.U2fID
	c.must("POST", path+"/"+id, tree{
		"passkeyName": "laptop", "tokenName": "laptop",
		"publicKeyCredential": json.RawMessage(virtualwebauthn.CreateAttestationResponse(c.browser, c.device, c.held, *options)),
	})
	return id
}

func asking(requirement string) tree {
	return tree{"webAuthN": tree{
		"domain": "example.com", "userVerificationRequirement": "USER_VERIFICATION_REQUIREMENT_" + requirement,
	}}
}

// answer turns the options of a challenge into checks.
func (c *keyClient) answer(r reply) tree {
	c.t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(string(r.Challenges.WebAuthN.PublicKeyCredentialRequestOptions))
	if err != nil {
		c.t.Fatal(err)
	}
	assertion := virtualwebauthn.CreateAssertionResponse(c.browser, c.device, c.held, *options)
	return tree{"webAuthN": tree{"credentialAssertionData": json.RawMessage(assertion)}}
}

func TestAPasskeyStepsASessionUpOverREST(t *testing.T) {
	t.Parallel()
	c := newKeyClient(t)
	id := c.register("passkeys", "example.com")
	listed := c.must("POST", "/v2/users/"+c.userID+"/passkeys/_search", tree{})
	want := []map[string]any{{"id": id, "state": "AUTH_FACTOR_STATE_READY", "name": "laptop"}}
	if diff := cmp.Diff(want, listed.Result); diff != "" {
		t.Errorf("passkeys (-want +got):\n%s", diff)
	}

	made := c.must("POST", "/v2/sessions", tree{"checks": tree{"user": tree{"userId": c.userID}}})
	path := "/v2/sessions/" + made.SessionID
	opened := c.must("PATCH", path, tree{"challenges": asking("REQUIRED")})
	set := c.must("PATCH", path, tree{"checks": c.answer(opened)})
	if set.SessionToken == "" {
		t.Error("no new token")
	}
	got := c.must("GET", path, nil).Session.Factors.WebAuthN
	if got.VerifiedAt == "" || !got.UserVerified {
		t.Errorf("factor %+v", got)
	}

	c.must("DELETE", "/v2/users/"+c.userID+"/passkeys/"+id, nil)
	if a := c.do("PATCH", path, `{"challenges": {"webAuthN": {"domain": "example.com", "userVerificationRequirement": 1}}}`); a.status != http.StatusBadRequest {
		t.Errorf("a challenge without a passkey: %d %s", a.status, a.body)
	}
}

func TestASessionWithoutUserIsSignedInByAPasskeyOverREST(t *testing.T) {
	t.Parallel()
	c := newKeyClient(t)
	c.register("passkeys", "example.com")
	opened := c.must("POST", "/v2/sessions", tree{"challenges": asking("REQUIRED")})
	path := "/v2/sessions/" + opened.SessionID
	c.must("PATCH", path, tree{"checks": c.answer(opened)})
	if got := c.must("GET", path, nil).Session.Factors.User.ID; got != c.userID {
		t.Errorf("user %q, want %q", got, c.userID)
	}
}

func TestListsOfFactorsTellTheTruth(t *testing.T) {
	t.Parallel()
	c := newKeyClient(t)
	id := c.register("u2f", "example.com")
	begun := c.must("POST", "/v2/users/"+c.userID+"/u2f", tree{}) // of the request's host
	factors := "/v2/users/" + c.userID + "/authentication_factors/_search"
	ready := map[string]any{"state": "AUTH_FACTOR_STATE_READY", "u2f": map[string]any{"id": id, "name": "laptop"}}
	waiting := map[string]any{"state": "AUTH_FACTOR_STATE_NOT_READY", "u2f": map[string]any{"id": begun.U2fID}}
	for query, want := range map[string][]map[string]any{
		"":                                     {ready},
		"?states=AUTH_FACTOR_STATE_NOT_READY":  {waiting},
		"?states=1&states=2&authFactors=U2F":   {ready, waiting},
		"?authFactors=OTP&authFactors=OTP_SMS": nil,
	} {
		got := c.must("POST", factors+query, nil).Result
		slices.SortFunc(got, func(a, b map[string]any) int { // ready first
			return strings.Compare(b["state"].(string), a["state"].(string))
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("factors%s (-want +got):\n%s", query, diff)
		}
	}
	const password, u2f = "AUTHENTICATION_METHOD_TYPE_PASSWORD", "AUTHENTICATION_METHOD_TYPE_U2F"
	for query, want := range map[string][]string{
		"":                                {password, u2f},
		"?domainQuery.domain=example.com": {password, u2f},
		"?domainQuery.domain=stepup.test": {password},
	} {
		got := c.must("GET", "/v2/users/"+c.userID+"/authentication_methods"+query, nil).AuthMethodTypes
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("methods%s (-want +got):\n%s", query, diff)
		}
	}
}

func TestRelatedOriginsAreServedAtTheirHost(t *testing.T) {
	t.Parallel()
	c := newKeyClient(t)
	for host, want := range map[string]answer{
		"example.com":     {status: 200, body: `{"origins":["https://example.com","https://login.example.com"]}`},
		"example.com:443": {status: 200, body: `{"origins":["https://example.com","https://login.example.com"]}`},
		"evil.example":    {status: 404},
	} {
		r := request("GET", "/.well-known/webauthn", "")
		r.Host = host
		got := send(c.Handler, r)
		if got.status != want.status || want.body != "" && got.body != want.body {
			t.Errorf("%s: %d %s", host, got.status, got.body)
		}
		if got.status == http.StatusOK && got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: content type %q", host, got.header.Get("Content-Type"))
		}
	}
}
