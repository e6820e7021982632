package idp_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// at starts a clock when a stub's tokens are made.
func at(s *idptest.Stub) *clock { return &clock{now: s.Now} }

func providers(t *testing.T, now func() time.Time, list ...idp.Provider) *idp.Providers {
	t.Helper()
	p, err := idp.New(list, idp.Options{
		RedirectURL: idptest.BaseURL + "/idps/callback", Transport: http.DefaultTransport, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The example of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// request is a sign-in whose secrets are known.
func request(id string) idp.Request {
	return idp.Request{ProviderID: id, State: "state", Nonce: "nonce", Verifier: verifier, LoginHint: "ada"}
}

// answer is what comes of a callback.
func answer(t *testing.T, callback string) idp.Answer {
	t.Helper()
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	r, q := request("p"), u.Query()
	return idp.Answer{ProviderID: "p", Code: q.Get("code"), Issuer: q.Get("iss"), Nonce: r.Nonce, Verifier: r.Verifier}
}

// signIn is a whole sign-in of ada at a stub.
func signIn(t *testing.T, p *idp.Providers, s *idptest.Stub) (idp.Identity, error) {
	t.Helper()
	address, err := p.AuthURL(t.Context(), request("p"))
	if err != nil {
		t.Fatal(err)
	}
	return p.Redeem(t.Context(), answer(t, s.SignIn(t, address, "ada")))
}

func TestARealProviderSaysWhoSignedIn(t *testing.T) {
	t.Parallel()
	certified := idptest.Shared(t)
	p := providers(t, time.Now, certified.Config("p"))
	address, err := p.AuthURL(t.Context(), request("p"))
	if err != nil {
		t.Fatal(err)
	}
	redirected := idptest.NewBrowser(t).SignIn(t, address, "ada")
	got, err := p.Redeem(t.Context(), answer(t, redirected))
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Identity{ProviderID: "p", Subject: "ada", UserName: "ada", Profile: idp.Profile{
		GivenName: "ada", FamilyName: "Example", DisplayName: "ada of the provider", Language: "en", Email: "ada@idp.example", EmailVerified: true,
	}}
	if got.AccessToken == "" || got.IDToken == "" {
		t.Error("there are no tokens")
	}
	var said map[string]any
	if err := json.Unmarshal(got.Claims, &said); err != nil || said["email"] != "ada@idp.example" || said["auth_time"] == nil || said["nonce"] != nil {
		t.Errorf("claims %s, %v", got.Claims, err)
	}
	got.AccessToken, got.IDToken, got.Claims = "", "", nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if _, err := p.Redeem(t.Context(), answer(t, redirected)); !errors.Is(err, idp.ErrRefused) {
		t.Errorf("a code was taken twice: %v", err)
	}
}

func TestARealProviderHoldsTheCodeToItsVerifier(t *testing.T) {
	t.Parallel()
	p := providers(t, time.Now, idptest.Shared(t).Config("p"))
	address, err := p.AuthURL(t.Context(), request("p"))
	if err != nil {
		t.Fatal(err)
	}
	a := answer(t, idptest.NewBrowser(t).SignIn(t, address, "ada"))
	a.Verifier = strings.Repeat("w", 43)
	if _, err := p.Redeem(t.Context(), a); !errors.Is(err, idp.ErrRefused) {
		t.Errorf("got %v", err)
	}
}

func TestTheBrowserCarriesAChallengeAndNoSecret(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	config := stub.Config("p")
	config.Scopes = []string{"email", "openid", "groups"}
	address, err := providers(t, time.Now, config).AuthURL(t.Context(), request("p"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"client_id": {config.ClientID}, "redirect_uri": {idptest.BaseURL + "/idps/callback"}, "response_type": {"code"},
		"scope": {"openid email groups"}, "state": {"state"}, "nonce": {"nonce"}, "login_hint": {"ada"},
		"code_challenge_method": {"S256"}, "code_challenge": {challenge},
	}
	if diff := cmp.Diff(want, u.Query()); diff != "" {
		t.Errorf("query (-want +got):\n%s", diff)
	}
}

// TestAnswersThatProveNothingAreRefused has a row for every part of an id token, and for
// what comes beside it.
func TestAnswersThatProveNothingAreRefused(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) func(*idptest.Behaviour) {
		return func(s *idptest.Behaviour) { s.Claims = func(c map[string]any) { c[name] = value } }
	}
	for name, alter := range map[string]func(*idptest.Behaviour){
		"another nonce":             claim("nonce", "another"),
		"no nonce":                  claim("nonce", nil),
		"another audience":          claim("aud", "another"),
		"no audience":               claim("aud", nil),
		"another issuer":            claim("iss", "https://another.example"),
		"Google without the scheme": claim("iss", "accounts.google.com"),
		"no subject":                claim("sub", ""),
		"a subject that is no text": claim("sub", 1),
		"expired":                   claim("exp", 1),
		"not valid yet":             claim("nbf", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix()),
		"another authorized party":  claim("azp", "another"),
		"many audiences, no party":  claim("aud", []string{"another", "stepup"}),
		"another access token":      claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"no id token":               func(s *idptest.Behaviour) { s.Token = func(m map[string]any) { delete(m, "id_token") } },
		"an id token that is none":  func(s *idptest.Behaviour) { s.Token = func(m map[string]any) { m["id_token"] = "a.b.c" } },
		"no access token":           func(s *idptest.Behaviour) { s.Token = func(m map[string]any) { delete(m, "access_token") } },
		"algorithm none": func(s *idptest.Behaviour) {
			s.Header = func(h map[string]any) { h["alg"] = "none" }
			s.Sign = func([]byte) []byte { return nil }
		},
		"signed with the client's secret": func(s *idptest.Behaviour) {
			s.Header = func(h map[string]any) { h["alg"] = "HS256" }
			s.Sign = func(signed []byte) []byte {
				mac := hmac.New(sha256.New, []byte(idptest.ClientSecret))
				mac.Write(signed)
				return mac.Sum(nil)
			}
		},
		"a wrong signature": func(s *idptest.Behaviour) { s.Sign = func([]byte) []byte { return make([]byte, 256) } },
		"an unknown key":    func(s *idptest.Behaviour) { s.Header = func(h map[string]any) { h["kid"] = "another" } },
		"userinfo of somebody else": func(s *idptest.Behaviour) {
			s.Claims = func(c map[string]any) { delete(c, "email") }
			s.UserInfo = map[string]any{"sub": "eve", "email": "eve@idp.example"}
		},
		"an issuer that has to be named": func(s *idptest.Behaviour) {
			s.Discovery = func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = true }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub, b := idptest.NewStub(t), idptest.Behaviour{}
			alter(&b)
			stub.Behave(b)
			_, err := signIn(t, providers(t, at(stub).Now, stub.Config("p")), stub)
			if !errors.Is(err, idp.ErrAnswer) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAnAnswerOfAnotherIssuerIsNotRedeemed(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	p := providers(t, at(stub).Now, stub.Config("p"))
	address, err := p.AuthURL(t.Context(), request("p"))
	if err != nil {
		t.Fatal(err)
	}
	a := answer(t, stub.SignIn(t, address, "ada"))
	a.Issuer = "https://another.example"
	if _, err := p.Redeem(t.Context(), a); !errors.Is(err, idp.ErrAnswer) || stub.Calls("/token") != 0 {
		t.Errorf("got %v, and %d codes were sent on", err, stub.Calls("/token"))
	}
	a.Issuer = stub.Issuer
	if _, err := p.Redeem(t.Context(), a); err != nil {
		t.Error(err)
	}
}

func TestAnIDTokenIsGoodUntilItExpires(t *testing.T) {
	t.Parallel()
	for passed, want := range map[time.Duration]error{time.Hour: nil, time.Hour + time.Second: idp.ErrAnswer} {
		stub := idptest.NewStub(t)
		now := at(stub)
		now.advance(passed)
		if _, err := signIn(t, providers(t, now.Now, stub.Config("p")), stub); !errors.Is(err, want) {
			t.Errorf("after %v: %v", passed, err)
		}
	}
}

// TestR1_AProviderThatDoesNotAnswerFailsItsOwnCallsOnly breaks one thing after the other.
func TestR1_AProviderThatDoesNotAnswerFailsItsOwnCallsOnly(t *testing.T) {
	t.Parallel()
	broken := func(path string, how func(http.ResponseWriter)) func(*idptest.Behaviour) {
		return func(s *idptest.Behaviour) {
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path {
					how(w)
				}
				return r.URL.Path == path
			}
		}
	}
	status := func(code int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(code); _, _ = fmt.Fprint(w, "canary") }
	}
	hangUp := func(w http.ResponseWriter) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}
	flood := func(w http.ResponseWriter) { _, _ = w.Write(make([]byte, 1<<20)) }
	const document = "/.well-known/openid-configuration"
	for name, alter := range map[string]func(*idptest.Behaviour){
		"discovery fails":        broken(document, status(500)),
		"discovery is not there": broken(document, status(404)),
		"discovery is too large": broken(document, flood),
		"discovery hangs up":     broken(document, hangUp),
		"discovery leads away": broken(document, func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(http.StatusFound)
		}),
		"discovery of another issuer": func(s *idptest.Behaviour) {
			s.Discovery = func(d map[string]any) { d["issuer"] = "https://another.example" }
		},
		"an endpoint by plain http": func(s *idptest.Behaviour) {
			s.Discovery = func(d map[string]any) { d["token_endpoint"] = "http://idp.example/" }
		},
		"no place to send browsers to": func(s *idptest.Behaviour) {
			s.Discovery = func(d map[string]any) { delete(d, "authorization_endpoint") }
		},
		"the token endpoint fails":    broken("/token", status(503)),
		"the token endpoint is busy":  broken("/token", status(429)),
		"the token endpoint hangs up": broken("/token", hangUp),
		"the token endpoint floods":   broken("/token", flood),
		"the keys are not there":      broken("/keys", status(404)),
		"the keys hang up":            broken("/keys", hangUp),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub, sound, b := idptest.NewStub(t), idptest.NewStub(t), idptest.Behaviour{}
			alter(&b)
			stub.Behave(b)
			p := providers(t, at(stub).Now, stub.Config("p"), sound.Config("sound"))
			address, err := p.AuthURL(t.Context(), request("p"))
			if err == nil {
				_, err = p.Redeem(t.Context(), answer(t, stub.SignIn(t, address, "ada")))
			}
			if !errors.Is(err, idp.ErrUnavailable) || strings.Contains(err.Error(), idptest.ClientSecret) {
				t.Errorf("got %v", err)
			}
			if _, err := p.AuthURL(t.Context(), request("sound")); err != nil {
				t.Errorf("the other provider: %v", err)
			}
			stub.Behave(idptest.Behaviour{})
			if _, err := signIn(t, p, stub); err != nil {
				t.Errorf("after it recovered: %v", err)
			}
		})
	}
}

func TestACallerWhoLeavesIsNotToldOfTheProvider(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := providers(t, at(stub).Now, stub.Config("p")).AuthURL(ctx, request("p"))
	if got := fault.From(err); got.Kind != fault.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestAProviderIsDiscoveredOnceAnHour(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	now := at(stub)
	p := providers(t, now.Now, stub.Config("p"))
	if n := stub.Calls("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("discovered %d times before it was needed", n)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := p.AuthURL(t.Context(), request("p")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	first := stub.Calls("/.well-known/openid-configuration")
	now.advance(time.Hour - time.Second)
	if _, err := p.AuthURL(t.Context(), request("p")); err != nil {
		t.Error(err)
	}
	if n := stub.Calls("/.well-known/openid-configuration"); n != first || n > 20 {
		t.Errorf("%d and then %d discoveries", first, n)
	}
	now.advance(time.Second)
	if _, err := p.AuthURL(t.Context(), request("p")); err != nil || stub.Calls("/.well-known/openid-configuration") != first+1 {
		t.Errorf("after an hour: %d discoveries, %v", stub.Calls("/.well-known/openid-configuration"), err)
	}
}

func TestWhatIsKnownOfAProviderServesWhileItDoesNotAnswer(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	now := at(stub)
	p := providers(t, now.Now, stub.Config("p"))
	if _, err := p.AuthURL(t.Context(), request("p")); err != nil {
		t.Fatal(err)
	}
	stub.Behave(idptest.Behaviour{Answer: func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	}})
	now.advance(2 * time.Hour)
	for range 3 {
		if _, err := p.AuthURL(t.Context(), request("p")); err != nil {
			t.Error(err)
		}
	}
	if n := stub.Calls("/.well-known/openid-configuration"); n != 2 {
		t.Errorf("asked %d times, want once more within a minute", n)
	}
	stub.Behave(idptest.Behaviour{})
	now.advance(time.Minute)
	if _, err := p.AuthURL(t.Context(), request("p")); err != nil || stub.Calls("/.well-known/openid-configuration") != 3 {
		t.Errorf("asked %d times after a minute, %v", stub.Calls("/.well-known/openid-configuration"), err)
	}
}

func TestTheSecretIsSentAsTheProviderWantsIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		methods []string
		inBody  bool
	}{
		{nil, false}, {[]string{"client_secret_post", "client_secret_basic"}, false}, {[]string{"client_secret_post"}, true},
	} {
		stub := idptest.NewStub(t)
		inBody := make(chan bool, 1)
		stub.Behave(idptest.Behaviour{
			Discovery: func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = tc.methods },
			Answer: func(_ http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/token" {
					inBody <- r.FormValue("client_secret") == idptest.ClientSecret
				}
				return false
			},
		})
		_, _ = signIn(t, providers(t, at(stub).Now, stub.Config("p")), stub) // the stub knows Basic only
		if got := <-inBody; got != tc.inBody || stub.Calls("/token") != 1 {
			t.Errorf("%v: in the body %v, in %d calls", tc.methods, got, stub.Calls("/token"))
		}
	}
}
