package idp

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Request is what one sign-in sends along with the browser.
type Request struct {
	ProviderID string
	// State comes back with the browser.
	State string
	// Nonce comes back in the id token.
	Nonce string
	// Verifier is kept here; only its SHA-256 is sent (RFC 7636, method S256).
	Verifier string
	// LoginHint may be empty.
	LoginHint string
}

// AuthURL returns where to send the browser. It returns ErrUnknown and ErrUnavailable.
func (p *Providers) AuthURL(ctx context.Context, r Request) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	found, err := p.find(r.ProviderID)
	if err != nil {
		return "", err
	}
	d, err := found.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(r.Nonce), oauth2.S256ChallengeOption(r.Verifier)}
	if r.LoginHint != "" {
		options = append(options, oauth2.SetAuthURLParam("login_hint", r.LoginHint))
	}
	return d.oauth.AuthCodeURL(r.State, options...), nil
}

// Answer is what the browser brought back, and what it is held against.
type Answer struct {
	ProviderID string
	Code       string
	// Issuer is who answered, if the answer says so (RFC 9207).
	Issuer          string
	Nonce, Verifier string
}

// algorithms are those that an id token may be signed with. They are all asymmetric: with
// a symmetric one the client's secret, which others may share, would make tokens.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Redeem exchanges the code for tokens and verifies them (OpenID Connect Core, sections
// 3.1.3.7 and 5.3.2): signature, issuer, audience, expiry, nonce, and that all of it is
// about one account. It returns ErrUnknown, ErrUnavailable, ErrRefused or ErrAnswer.
func (p *Providers) Redeem(ctx context.Context, a Answer) (Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, signInTimeout)
	defer cancel()
	found, err := p.find(a.ProviderID)
	if err != nil {
		return Identity{}, err
	}
	d, err := found.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	if a.Issuer != found.Issuer && (a.Issuer != "" || d.namesIssuer) {
		return Identity{}, found.failed(ErrAnswer, errors.New("the answer comes from another issuer"))
	}
	ctx = oidc.ClientContext(ctx, found.client)
	tokens, err := d.oauth.Exchange(ctx, a.Code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return Identity{}, found.exchangeFailed(err)
	}
	verified, err := found.verify(ctx, d, tokens, a.Nonce)
	if err != nil {
		return Identity{}, err
	}
	return found.identity(ctx, d, tokens, verified)
}

// idToken is one that was verified, beside its text.
type idToken struct {
	*oidc.IDToken

	text   string
	claims claims
}

func (p *provider) verify(ctx context.Context, d *document, tokens *oauth2.Token, nonce string) (idToken, error) {
	text, ok := tokens.Extra("id_token").(string)
	if !ok {
		return idToken{}, p.failed(ErrAnswer, errors.New("there is no id token"))
	}
	use := &verification{keys: d.keys}
	verifier := oidc.NewVerifier(p.Issuer, use, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms, Now: p.now})
	verified, err := verifier.Verify(ctx, text)
	switch {
	case use.failure != nil:
		return idToken{}, p.failed(ErrUnavailable, use.failure)
	case err != nil:
		return idToken{}, p.failed(ErrAnswer, err)
	case verified.Issuer != p.Issuer:
		// The library lets Google leave out the scheme. Google has long stopped doing so.
		return idToken{}, p.failed(ErrAnswer, errors.New("the id token has another issuer"))
	case subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1:
		return idToken{}, p.failed(ErrAnswer, errors.New("the id token has another nonce"))
	case verified.Subject == "":
		return idToken{}, p.failed(ErrAnswer, errors.New("the id token has no subject"))
	case verified.AccessTokenHash != "" && verified.VerifyAccessToken(tokens.AccessToken) != nil:
		return idToken{}, p.failed(ErrAnswer, errors.New("the access token is not that of the id token"))
	}
	said, err := parseClaims(verified.Claims)
	if err != nil {
		return idToken{}, p.failed(ErrAnswer, err)
	}
	if party := said.text("azp"); party != "" && party != p.ClientID || party == "" && len(verified.Audience) > 1 {
		return idToken{}, p.failed(ErrAnswer, errors.New("the id token is for another party"))
	}
	return idToken{verified, text, said}, nil
}

// identity adds what only the userinfo endpoint tells. An endpoint that does not answer
// costs the names, not the sign-in; one that speaks of somebody else is an attack
// (OpenID Connect Core, section 5.3.2).
func (p *provider) identity(ctx context.Context, d *document, tokens *oauth2.Token, verified idToken) (Identity, error) {
	said := verified.claims
	if d.provider.UserInfoEndpoint() != "" && !said.complete() {
		ctx, cancel := context.WithTimeout(ctx, namesTimeout)
		defer cancel()
		info, err := d.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
		switch {
		case err != nil:
			// Nothing is added.
		case info.Subject != verified.Subject:
			return Identity{}, p.failed(ErrAnswer, errors.New("userinfo is about another subject"))
		default:
			if further, err := parseClaims(info.Claims); err == nil {
				said = said.with(further)
			}
		}
	}
	i, err := said.identity()
	if err != nil {
		return Identity{}, p.failed(ErrAnswer, err)
	}
	i.ProviderID, i.Subject = p.ID, verified.Subject
	i.AccessToken, i.RefreshToken, i.IDToken = tokens.AccessToken, tokens.RefreshToken, verified.text
	return i, nil
}

// exchangeFailed tells a provider that says no from one that says nothing.
func (p *provider) exchangeFailed(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return p.failed(ErrRefused, fmt.Errorf("token endpoint answered %d %.40q", refused.Response.StatusCode, refused.ErrorCode))
	}
	if _, silent := errors.AsType[*url.Error](err); silent {
		return p.failed(ErrUnavailable, err)
	}
	return p.failed(ErrAnswer, errors.New("token endpoint answered something else than tokens"))
}

// maxCause bounds what of a foreign error goes into the log, in characters.
const maxCause = 200

// failed adds the provider and the cause for the log.
func (p *provider) failed(f *fault.Fault, cause error) error {
	return f.Wrap(fmt.Errorf("provider %s: %w", p.ID, brief(cause)))
}

// brief keeps an error that may quote a provider at length from filling the log.
func brief(err error) error {
	text := strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, err.Error())
	if short := []rune(text); len(short) > maxCause {
		text = string(short[:maxCause]) + "…"
	}
	return errors.New(text)
}
