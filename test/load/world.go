package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// The relying party of passkeys.
const (
	relyingParty = "example.com"
	origin       = "https://login.example.com"
)

// clock is the real one, ahead by what it was advanced.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// service is the whole service on one store. Its logs and metrics are made and thrown away.
type service struct {
	*app.App

	clock *clock
	key   string // an API key of the role IAM_OWNER
}

func newService(ctx context.Context, t table.Table) (*service, error) {
	c, err := config.Load(func(name string) (string, bool) {
		value, ok := map[string]string{
			"STEPUP_RELYING_PARTIES": relyingParty + "=" + origin,
			"STEPUP_METRICS":         "load",
		}[name]
		return value, ok
	})
	if err != nil {
		return nil, err
	}
	text, err := keyring.Generate(rand.Reader, "k1")
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		return nil, err
	}
	s := &service{clock: &clock{}}
	messages := inbox.New(inbox.DefaultCapacity, s.clock.now)
	s.App, err = app.New(app.Parts{ //nolint:contextcheck // nothing is called yet
		Config: c, Table: t, Ring: ring, Sender: messages.Router(), Now: s.clock.now, Random: rand.Reader,
		Metrics: io.Discard, Logger: slog.New(slog.NewJSONHandler(io.Discard, nil)), //nolint:sloglint // lines are made, as they would be
	})
	if err != nil {
		return nil, err
	}
	_, s.key, err = s.Keys.Issue(ctx, access.NewKey{Name: "load", Role: access.IAMOwner})
	return s, err
}

// operator is who sets things up.
func operator() access.Caller { return access.Caller{ID: "operator", Role: access.IAMOwner} }

// openBolt opens an embedded store in a file of its own.
func openBolt(dir, name string, o bolt.Options) (*bolt.Store, error) {
	return bolt.Open(filepath.Join(dir, name+".db"), store.Schema(), o)
}

// openDynamo makes a table in DynamoDB's stand-in.
func openDynamo(ctx context.Context, how dynoxide.Options, o dynamo.Options) (*dynamo.Store, error) {
	client, name, err := dynoxide.Create(ctx, how)
	if err != nil {
		return nil, err
	}
	return dynamo.New(client, name, store.Schema(), o), nil
}

// The ids of the faults when more passwords wait than can be checked in time: where the
// queue is full, and where a request's time was over in it.
var (
	busy = []byte("STEPUP-password-busy")
	late = []byte("STEPUP-deadline")
)

var errBusy = errors.New("too many passwords at the same time")

// client calls a handler over a real connection on loopback.
type client struct {
	server *httptest.Server
	http   *http.Client
	key    string
}

func newClient(h http.Handler, key string) *client {
	return &client{
		server: httptest.NewServer(h), key: key,
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * slots}, Timeout: time.Minute},
	}
}

func (c *client) close() {
	c.http.CloseIdleConnections()
	c.server.Close()
}

// do sends a body and returns that of the answer, which has to be a good one.
func (c *client) do(ctx context.Context, r request) (_ []byte, err error) {
	q, err := http.NewRequestWithContext(ctx, r.verb, c.server.URL+r.path, r.reader())
	if err != nil {
		return nil, err
	}
	q.Header.Set("Authorization", "Bearer "+c.key)
	q.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (bytes.Contains(body, busy) || bytes.Contains(body, late)) {
		return nil, errBusy
	}
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %d %s", r.verb, r.path, resp.StatusCode, body)
	}
	return body, err
}
