// Package idp owns external identity providers: which there are, how a browser is sent to
// one, and how what it brings back is verified (OpenID Connect Core 1.0, the
// authorization code flow with PKCE).
//
// A provider is discovered when it is first needed. One that does not answer fails the
// sign-ins that go through it and nothing else.
package idp

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/weblink"
)

// Provider is one external identity provider, as it is configured.
type Provider struct {
	// ID names the provider in requests and links: 1 to 64 letters, digits, dots, hyphens
	// and underscores. It stands for the issuer for good, because links are kept under it.
	ID string
	// Name is for people.
	Name string
	// Issuer is compared byte for byte with what the provider says of itself.
	Issuer string
	// ClientID and ClientSecret are what the service is registered with.
	ClientID, ClientSecret string
	// Scopes are asked for besides openid; empty means profile and email.
	Scopes []string
}

// String describes the provider without its secret.
func (p Provider) String() string { return fmt.Sprintf("provider %s (%s)", p.ID, p.Issuer) }

// Format makes every verb of package fmt print String.
func (p Provider) Format(state fmt.State, _ rune) { _, _ = fmt.Fprint(state, p.String()) }

// LogValue keeps the secret out of log/slog, whatever its handler does with structs.
func (p Provider) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalText is for what does not ask for LogValue: a provider in a list or in JSON.
func (p Provider) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Faults of a sign-in.
var (
	// ErrUnknown is for a provider that is not configured.
	ErrUnknown = fault.New(fault.NotFound, "STEPUP-idp", "Identity provider could not be found")
	// ErrUnavailable is for a provider that does not answer, or not in a way that can be
	// used. The same call may succeed later.
	ErrUnavailable = fault.New(fault.Unavailable, "STEPUP-idp-unavailable", "Identity provider does not answer")
	// ErrRefused is for a code that the provider does not take, used ones included.
	ErrRefused = fault.New(fault.FailedPrecondition, "STEPUP-idp-refused", "Identity provider refused the sign-in")
	// ErrAnswer is for an answer that does not prove what it says.
	ErrAnswer = fault.New(fault.FailedPrecondition, "STEPUP-idp-answer", "Answer of the identity provider could not be verified")
)

// Options are what providers need; all fields are required unless there are no providers.
type Options struct {
	// RedirectURL is where providers send browsers back to.
	RedirectURL string
	// Transport carries requests to providers.
	Transport http.RoundTripper
	Now       func() time.Time
}

// Providers are those of a deployment by id. They may be used from many goroutines at
// once.
type Providers struct{ byID map[string]*provider }

// provider is one of them and what is known of it.
type provider struct {
	Provider

	redirectURL string
	client      *http.Client
	now         func() time.Time
	known       atomic.Pointer[document] // nil until it was discovered
	discovery   singleflight.Group
}

// New returns the providers of a configuration. The error names the provider and the
// field that is at fault, and contains no secret.
func New(list []Provider, o Options) (*Providers, error) {
	all := &Providers{byID: make(map[string]*provider, len(list))}
	for i, p := range list {
		if err := p.validate(); err != nil {
			return nil, fmt.Errorf("provider %d: %w", i+1, err)
		}
		if _, twice := all.byID[p.ID]; twice {
			return nil, fmt.Errorf("provider %d: id is that of an earlier one", i+1)
		}
		all.byID[p.ID] = &provider{Provider: p, redirectURL: o.RedirectURL, client: newClient(o.Transport), now: o.Now}
	}
	return all, nil
}

// Knows reports whether the provider is configured.
func (p *Providers) Knows(id string) bool { return p.byID[id] != nil }

func (p *Providers) find(id string) (*provider, error) {
	found, known := p.byID[id]
	if !known {
		return nil, ErrUnknown.Wrap(fmt.Errorf("idp: provider %.200q is not configured", id))
	}
	return found, nil
}

const (
	maxID   = 64
	maxText = 200
)

func (p Provider) validate() error {
	switch {
	case !each(p.ID, maxID, nameChar):
		return errors.New("id is not 1 to 64 letters, digits, dots, hyphens and underscores")
	case !each(p.Name, maxText*4, printable):
		return errors.New("name is empty, too long, or has control characters")
	case !each(p.ClientID, maxText*4, printable):
		return errors.New("clientId is empty, too long, or has control characters")
	case !each(p.ClientSecret, maxText*4, printable):
		return errors.New("clientSecret is empty, too long, or has control characters")
	case slices.ContainsFunc(p.Scopes, func(s string) bool { return !each(s, maxText, scopeChar) }):
		return errors.New("scopes has one that is empty, too long, or has characters that scopes cannot have")
	}
	return checkIssuer(p.Issuer)
}

// checkIssuer takes what OpenID Connect Discovery takes (section 2), and on the machine
// itself http.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !weblink.Private(u) {
		return errors.New("issuer is not an https URL without user, query and fragment")
	}
	return nil
}

// each reports whether the text is not empty, has at most that many bytes, and only
// characters that fit.
func each(text string, most int, fits func(rune) bool) bool {
	if text == "" || len(text) > most {
		return false
	}
	for _, r := range text {
		if !fits(r) {
			return false
		}
	}
	return true
}

func nameChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_'
}

func printable(r rune) bool { return r == ' ' || !weblink.Invisible(r) }

// scopeChar is what RFC 6749, 3.3, lets stand in a scope.
func scopeChar(r rune) bool { return r > ' ' && r < 0x7f && r != '"' && r != '\\' }
