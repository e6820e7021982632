package idptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/idp"
)

// Stub is a provider that a test can make lie and break, and that counts. It has no
// pages: SignIn answers for the person. It is safe for concurrent use.
type Stub struct {
	Issuer string
	// Now is when tokens are made.
	Now time.Time

	mu        sync.Mutex
	behaviour Behaviour
	codes     map[string]grant
	calls     map[string]int
}

// Behaviour is how a stub differs from a good provider.
type Behaviour struct {
	// Discovery, Header and Claims change what is about to be sent, Token the answer of
	// the token endpoint.
	Discovery, Header, Claims, Token func(map[string]any)
	// UserInfo are the claims of the userinfo endpoint; nil leaves it out.
	UserInfo map[string]any
	// Sign replaces the signature.
	Sign func(signed []byte) []byte
	// Answer takes over a path before the stub does, and reports whether it did.
	Answer func(w http.ResponseWriter, r *http.Request) bool
}

// Behave changes how the stub behaves from now on; the zero value is good again.
func (s *Stub) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behaviour = b
}

// grant is a sign-in whose code was not redeemed yet.
type grant struct{ login, nonce, challenge string }

// signingKey is made once: it takes a moment.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return key
})

// NewStub starts one on loopback until the test ends.
func NewStub(t testing.TB) *Stub {
	t.Helper()
	s := &Stub{codes: map[string]grant{}, calls: map[string]int{}, Now: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.Issuer = server.URL
	return s
}

// Config describes the stub to the service, under an id of the test's choice.
func (s *Stub) Config(id string) idp.Provider {
	return idp.Provider{ID: id, Name: "Stub", Issuer: s.Issuer, ClientID: clientID, ClientSecret: ClientSecret}
}

// Calls returns how often a path was asked for.
func (s *Stub) Calls(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

// SignIn is what a person does at the address, who has the login; it returns path and
// query of the callback.
func (s *Stub) SignIn(t testing.TB, address, login string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	asked := u.Query()
	if asked.Get("code_challenge_method") != "S256" || asked.Get("redirect_uri") != callbackURL || asked.Get("client_id") != clientID {
		t.Fatalf("the provider would refuse %s", address)
	}
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = grant{login, asked.Get("nonce"), asked.Get("code_challenge")}
	s.mu.Unlock()
	return "/idps/callback?" + url.Values{"code": {code}, "state": {asked.Get("state")}}.Encode()
}

// ServeHTTP implements http.Handler.
func (s *Stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.calls[r.URL.Path]++
	b := s.behaviour
	s.mu.Unlock()
	if b.Answer != nil && b.Answer(w, r) {
		return
	}
	userInfoURL := ""
	if b.UserInfo != nil {
		userInfoURL = s.Issuer + "/userinfo"
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		send(w, b.Discovery, map[string]any{
			"issuer": s.Issuer, "authorization_endpoint": s.Issuer + "/auth", "token_endpoint": s.Issuer + "/token",
			"jwks_uri": s.Issuer + "/keys", "userinfo_endpoint": userInfoURL,
		})
	case "/keys":
		key := signingKey().PublicKey
		send(w, nil, map[string]any{"keys": []map[string]any{{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "stub", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}})
	case "/token":
		s.token(w, r, b)
	case "/userinfo":
		send(w, nil, b.UserInfo)
	default:
		http.NotFound(w, r)
	}
}

func (s *Stub) token(w http.ResponseWriter, r *http.Request, b Behaviour) {
	s.mu.Lock()
	known, ok := s.codes[r.FormValue("code")]
	delete(s.codes, r.FormValue("code"))
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret) // as RFC 6749 has it, section 2.3.1
	w.Header().Set("Content-Type", "application/json")
	if !ok || encode(sum[:]) != known.challenge || id != clientID || secret != ClientSecret {
		w.WriteHeader(http.StatusBadRequest)
		send(w, nil, map[string]any{"error": "invalid_grant", "error_description": "code " + r.FormValue("code")})
		return
	}
	send(w, b.Token, map[string]any{
		"access_token": "access token of " + known.login, "token_type": "Bearer", "id_token": s.idToken(known, b),
	})
}

func (s *Stub) idToken(g grant, b Behaviour) string {
	header := map[string]any{"alg": "RS256", "kid": "stub"}
	claims := map[string]any{
		"iss": s.Issuer, "aud": clientID, "sub": g.login, "nonce": g.nonce, "iat": s.Now.Unix(), "exp": s.Now.Add(time.Hour).Unix(),
		"email": g.login + "@idp.example", "given_name": g.login, "family_name": "Example", "acr": "upstream", "amr": []string{"mfa"},
	}
	if b.Header != nil {
		b.Header(header)
	}
	if b.Claims != nil {
		b.Claims(claims)
	}
	signed := encode(text(header)) + "." + encode(text(claims))
	sign := b.Sign
	if sign == nil {
		sign = rs256
	}
	return signed + "." + encode(sign([]byte(signed)))
}

func rs256(signed []byte) []byte {
	sum := sha256.Sum256(signed)
	signature, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key is a good one
	}
	return signature
}

func send(w http.ResponseWriter, alter func(map[string]any), body map[string]any) {
	if alter != nil {
		alter(body)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text(body)) // the client may be gone
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what tests put in can be marshaled
	}
	return b
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
