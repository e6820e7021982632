// Package idptest owns the external identity provider of the tests: a certified OpenID
// provider from npm, which runs as a process on loopback, and a browser that signs in
// there.
//
// It needs Node, and what
//
//	npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund
//
// installs. A test that needs it fails without it; none skips.
package idptest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/idp"
)

// BaseURL is the API's own address, as the provider has it registered. Nothing listens
// there: the browser stops at it and hands over where it was sent.
const BaseURL = "https://stepup.test"

const callbackURL = BaseURL + "/idps/callback"

// The client that the provider knows.
const (
	clientID     = "stepup"
	ClientSecret = "a secret between provider and client"
)

// Provider is a running provider.
type Provider struct {
	Issuer string

	life io.Closer // the process's standard input
	gone chan struct{}
	stop sync.Once
}

// shared is the provider of this test binary, which ends with it.
var shared = sync.OnceValues(start)

// Shared returns the provider of this test binary.
func Shared(t testing.TB) *Provider {
	t.Helper()
	p, err := shared()
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	return p
}

// New starts a provider for one test, which may stop it.
func New(t testing.TB) *Provider {
	t.Helper()
	p, err := start()
	if err != nil {
		t.Fatalf("idptest: %v", err)
	}
	t.Cleanup(p.Stop)
	return p
}

// Stop ends the provider and waits until it is gone.
func (p *Provider) Stop() {
	p.stop.Do(func() {
		_ = p.life.Close() // the reader sees the end in any case
		<-p.gone
	})
}

// Config describes the provider to the service, under an id of the test's choice.
func (p *Provider) Config(id string) idp.Provider {
	return idp.Provider{ID: id, Name: "Test", Issuer: p.Issuer, ClientID: clientID, ClientSecret: ClientSecret}
}

// patience is how long the process may take until it answers. It needs half a second.
const patience = 20 * time.Second

func start() (*Provider, error) {
	script, err := locate()
	if err != nil {
		return nil, err
	}
	client, err := json.Marshal(map[string]any{
		"client_id": clientID, "client_secret": ClientSecret, "redirect_uris": []string{callbackURL}, "require_auth_time": true,
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", script, string(client))
	var complaints strings.Builder
	cmd.Stderr = &complaints
	life, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("node, which has to be installed: %w", err)
	}
	p := &Provider{life: life, gone: make(chan struct{})}
	issuer := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "http://127.0.0.1:") {
				issuer <- lines.Text()
			}
		}
		_ = cmd.Wait() // how it ended is not of interest
		close(p.gone)
	}()
	select {
	case p.Issuer = <-issuer:
		return p, nil
	case <-p.gone:
		return nil, fmt.Errorf("the provider ended before it answered:\n%s", complaints.String())
	case <-time.After(patience):
		p.Stop()
		return nil, fmt.Errorf("the provider did not answer within %v", patience)
	}
}

// locate returns the path of the script, beside what it needs.
func locate() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
	emulators := filepath.Join(dir, "test/emulators")
	if _, err := os.Stat(filepath.Join(emulators, "node_modules/oidc-provider")); err != nil {
		return "", fmt.Errorf("%w\ninstall it with: npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund", err)
	}
	return filepath.Join(emulators, "oidc-provider.mjs"), nil
}
