package idp

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stepup-auth/stepup/pkg/weblink"
)

// How long a discovery is good for, and how soon one that failed is tried again while
// the one before still serves.
const (
	documentLife  = time.Hour
	documentRetry = time.Minute
)

// document is what a provider said of itself (OpenID Connect Discovery 1.0, section 3).
type document struct {
	oauth    oauth2.Config
	keys     oidc.KeySet
	provider *oidc.Provider
	// namesIssuer is set where every answer names its issuer (RFC 9207).
	namesIssuer bool
	// staleAt is when to ask again.
	staleAt time.Time
}

// discover returns the provider's document, from memory while it is fresh. Callers who
// need it at the same time ask once.
func (p *provider) discover(ctx context.Context) (*document, error) {
	known := p.known.Load()
	if known != nil && p.now().Before(known.staleAt) {
		return known, nil
	}
	asked := p.discovery.DoChan("", func() (any, error) {
		return p.ask(context.WithoutCancel(ctx)) // the client's timeout bounds it
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case answer := <-asked:
		if answer.Err == nil {
			return answer.Val.(*document), nil
		}
		if known == nil {
			return nil, ErrUnavailable.Wrap(fmt.Errorf("discover provider %s: %w", p.ID, brief(answer.Err)))
		}
		again := *known
		again.staleAt = p.now().Add(documentRetry)
		p.known.Store(&again)
		return known, nil
	}
}

// ask reads the document and keeps it.
func (p *provider) ask(ctx context.Context) (*document, error) {
	ctx = oidc.ClientContext(ctx, p.client)
	found, err := oidc.NewProvider(ctx, p.Issuer)
	if err != nil {
		return nil, err
	}
	var more struct {
		Keys        string   `json:"jwks_uri"`
		AuthMethods []string `json:"token_endpoint_auth_methods_supported"`
		NamesIssuer bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, err
	}
	endpoint := found.Endpoint()
	for name, address := range map[string]string{
		"authorization_endpoint": endpoint.AuthURL, "token_endpoint": endpoint.TokenURL, "jwks_uri": more.Keys,
	} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || !weblink.Private(u) {
			return nil, fmt.Errorf("%s is not an https URL", name)
		}
	}
	endpoint.AuthStyle = authStyle(more.AuthMethods)
	d := &document{
		oauth: oauth2.Config{
			ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint,
			RedirectURL: p.redirectURL, Scopes: p.scopes(),
		},
		keys:        oidc.NewRemoteKeySet(ctx, more.Keys),
		provider:    found,
		namesIssuer: more.NamesIssuer,
		staleAt:     p.now().Add(documentLife),
	}
	p.known.Store(d)
	return d, nil
}

// authStyle is how the client's secret is sent: by HTTP Basic unless the provider takes
// it in the body only. Trying both would use up the code.
func authStyle(methods []string) oauth2.AuthStyle {
	if slices.Contains(methods, "client_secret_post") && !slices.Contains(methods, "client_secret_basic") {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

func (p *provider) scopes() []string {
	further := p.Scopes
	if len(further) == 0 {
		further = []string{oidc.ScopeProfile, oidc.ScopeEmail}
	}
	all := []string{oidc.ScopeOpenID}
	for _, scope := range further {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

// verification is one use of a provider's keys. It tells keys that could not be fetched
// from a signature that is wrong, which the library does not.
type verification struct {
	keys    oidc.KeySet
	failure error // to fetch them
}

// VerifySignature implements oidc.KeySet.
func (v *verification) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := v.keys.VerifySignature(ctx, jwt)
	if _, unreachable := errors.AsType[*url.Error](err); unreachable || ctx.Err() != nil {
		v.failure = err
	}
	return payload, err
}
