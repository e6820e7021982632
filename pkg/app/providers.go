package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/server"
)

// openProviders reads the external identity providers from where the configuration says.
func openProviders(ctx context.Context, c config.Config, fetch fetch) ([]idp.Provider, error) {
	if c.IdentityProviders == "" {
		return nil, nil
	}
	text, err := secretText(ctx, c.IdentityProviders, fetch)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_IDENTITY_PROVIDERS: %w", err)
	}
	list, err := idp.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_IDENTITY_PROVIDERS: %w", err)
	}
	return list, nil
}

// onlyFiles is fetch for a service without AWS. It does not repeat the name, which may be
// the secret itself in the wrong place.
func onlyFiles(context.Context, string) ([]byte, error) {
	return nil, errors.New(`is not "file:" and a path, and without STEPUP_TABLE nothing else is read`)
}

func newProviders(p Parts) (*idp.Providers, error) {
	if len(p.Providers) > 0 && p.Config.URL == "" {
		return nil, errors.New("STEPUP_URL: is empty, and there are identity providers")
	}
	all, err := idp.New(p.Providers, idp.Options{
		RedirectURL: p.Config.URL + server.CallbackPath, Transport: providerTransport(), Now: p.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("STEPUP_IDENTITY_PROVIDERS: %w", err)
	}
	return all, nil
}

// Providers are on the public internet. A connection is not kept for long, so that a
// process that was frozen between two requests does not start on a dead one.
const (
	providerDial = 2 * time.Second
	providerIdle = 15 * time.Second
)

func providerTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: providerDial}).DialContext,
		TLSHandshakeTimeout: providerDial,
		IdleConnTimeout:     providerIdle,
		ForceAttemptHTTP2:   true,
	}
}
