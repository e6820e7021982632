// Package apptest owns the test kit of the whole service: the real wiring on a real
// store, with a clock that stands still until a test moves it.
package apptest

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/server/reflection"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/pkg/user"
	"github.com/stepup-auth/stepup/test/canary"
)

// Admin is a caller who may do everything.
func Admin() access.Caller { return access.Caller{ID: "admin", Role: access.IAMOwner} }

// Password is the password of the users that NewUser makes.
const Password = "correct horse battery"

// Epoch is when a Service's clock starts.
func Epoch() time.Time { return time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC) }

// Clock is a time that moves only by Advance. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
	// of, where not nil, is the clock that this one is ahead of.
	of    *Clock
	ahead time.Duration
}

// Ahead returns a clock that is ahead of this one by d, which may be negative, and moves with
// it.
func (c *Clock) Ahead(d time.Duration) *Clock { return &Clock{of: c, ahead: d} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	if c.of != nil {
		return c.of.Now().Add(c.ahead)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time by d.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// MetricsService is the name that a Service counts under, unless its Env says another.
const MetricsService = "api"

// Options change a Service from the default: an embedded store, the default
// configuration, real randomness.
type Options struct {
	// Table replaces the embedded store.
	Table table.Table
	// Env sets configuration variables.
	Env map[string]string
	// Random replaces the randomness, also that of the keyring.
	Random io.Reader
	// Ring replaces the keyring, so that one Service reads what another sealed.
	Ring *keyring.Ring
	// Providers are external identity providers, which find the API at idptest.BaseURL.
	Providers []idp.Provider
	// Inbox replaces the one that messages arrive in, so that two Services share it.
	Inbox *inbox.Inbox
	// Clock replaces the clock, likewise.
	Clock *Clock
	// Secrets replaces the ledger of secrets, likewise: what passed one Service is then looked
	// for in what the other left.
	Secrets *canary.Watch
	// Sender is put in front of the inbox.
	Sender func(inbox notify.Sender) notify.Sender
	// SignedBy says who signed a request with AWS credentials, as a gateway would.
	SignedBy func(*http.Request) (arn string, ok bool)
}

// Service is the whole service, ready to be called.
type Service struct {
	*app.App
	Clock *Clock
	Table table.Table
	Ring  *keyring.Ring
	Logs  *Log
	// Metrics are the lines for CloudWatch, in the name of MetricsService.
	Metrics *Log
	// Inbox holds the messages that the service sent.
	Inbox *inbox.Inbox
	// Secrets are those that passed the Handler, and that the kit made. The test fails when
	// it ends if one of them is where it must not be. What a test gives to the domain
	// itself, or another process to the same store, it plants by hand.
	Secrets *canary.Watch
}

// New puts a service together.
func New(t testing.TB, o Options) *Service {
	t.Helper()
	c, err := config.Load(o.lookup)
	must(t, err)
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Table == nil {
		o.Table = Bolt(t)
	}
	if o.Clock == nil {
		o.Clock = &Clock{now: Epoch()}
	}
	if o.Secrets == nil {
		o.Secrets = &canary.Watch{}
	}
	s := &Service{Clock: o.Clock, Table: o.Table, Ring: o.Ring, Logs: &Log{}, Metrics: &Log{}, Secrets: o.Secrets}
	if s.Ring == nil {
		text, err := keyring.Generate(o.Random, "k1")
		must(t, err)
		PlantKeyring(t, &s.Secrets.Ledger, text)
		s.Ring, err = keyring.Parse(text)
		must(t, err)
	}
	for _, p := range o.Providers {
		s.Secrets.Plant(canary.Federated, p.ClientSecret)
	}
	if s.Inbox = o.Inbox; s.Inbox == nil {
		s.Inbox = inbox.New(inbox.DefaultCapacity, s.Clock.Now)
	}
	router := s.Inbox.Router()
	if o.Sender != nil {
		router = notify.Router{SMS: o.Sender(s.Inbox), Email: o.Sender(s.Inbox)}
	}
	s.App, err = app.New(app.Parts{
		Config: c, Table: o.Table, Ring: s.Ring, Providers: o.Providers, Sender: router, SignedBy: o.SignedBy, Reflection: reflection.Mount,
		Now: s.Clock.Now, Random: o.Random, Metrics: s.Metrics,
		Logger: slog.New(slog.NewJSONHandler(s.Logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	must(t, err)
	s.watch(t)
	return s
}

func (o Options) lookup(name string) (string, bool) {
	if name == "STEPUP_URL" && len(o.Providers) > 0 {
		return idptest.BaseURL, true
	}
	v, ok := o.Env[name]
	if name == "STEPUP_METRICS" && !ok {
		return MetricsService, true
	}
	return v, ok
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Bolt returns a new embedded store, which goes away with the test.
func Bolt(t testing.TB) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "test.db"), store.Schema(), bolt.Options{NoSync: true})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// Dynamo returns a new table of the DynamoDB stand-in, which goes away with the
// test.
func Dynamo(t testing.TB, o dynamo.Options) *DynamoTable {
	t.Helper()
	return newDynamo(t, o, dynoxide.Options{NoStream: true})
}

// DynamoWithStream is Dynamo with the stream that a deployed table has, which makes it slower
// with every write.
func DynamoWithStream(t testing.TB, o dynamo.Options) *DynamoTable {
	t.Helper()
	return newDynamo(t, o, dynoxide.Options{})
}

func newDynamo(t testing.TB, o dynamo.Options, how dynoxide.Options) *DynamoTable {
	t.Helper()
	client, name := dynoxide.NewTable(t, how)
	return &DynamoTable{
		dynamo.New(client, name, store.Schema(), o),
		func(ctx context.Context) ([]byte, error) { return dynoxide.Dump(ctx, client, name) },
		func(ctx context.Context) ([]table.Key, error) { return dynoxide.Keys(ctx, client, name) },
		name,
	}
}

// OnBothStores runs a test on the embedded store and on DynamoDB.
func OnBothStores(t *testing.T, test func(t *testing.T, tb table.Table)) {
	t.Helper()
	t.Run("bolt", func(t *testing.T) { t.Parallel(); test(t, Bolt(t)) })
	t.Run("dynamo", func(t *testing.T) { t.Parallel(); test(t, Dynamo(t, dynamo.Options{})) })
}

// NewUser creates an active user with Password and the login name as verified email
// address.
func (s *Service) NewUser(t testing.TB, loginName string) *user.User {
	t.Helper()
	s.Secrets.Plant(canary.Password, Password)
	return s.register(t, loginName, user.NewPassword{Plain: Password})
}

// NewUserCheap is NewUser with a hash that costs nothing to verify; see CheapHash. The
// first success replaces it by an ordinary one.
func (s *Service) NewUserCheap(t testing.TB, loginName string) *user.User {
	t.Helper()
	return s.register(t, loginName, user.NewPassword{Hash: CheapHash(t, Password)})
}

func (s *Service) register(t testing.TB, loginName string, p user.NewPassword) *user.User {
	t.Helper()
	u, err := s.Users.Create(context.Background(), Admin(), user.Registration{
		Username: loginName,
		Profile:  user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:    user.Contact{Address: loginName, Verified: true},
		Password: p,
	})
	must(t, err)
	s.Secrets.Plant(canary.Address, loginName)
	return u.User
}

// NewSession creates a session as Admin.
func (s *Service) NewSession(t testing.TB, c session.Create) session.Result {
	t.Helper()
	r, err := s.Sessions.Create(context.Background(), Admin(), c)
	must(t, err)
	s.plantStep(c.Step, r)
	return r
}

// Set steps a session up as Admin.
func (s *Service) Set(t testing.TB, sessionID string, step session.Step) session.Result {
	t.Helper()
	r, err := s.TrySet(sessionID, step)
	must(t, err)
	return r
}

// TrySet is Set for a step that may be refused.
func (s *Service) TrySet(sessionID string, step session.Step) (session.Result, error) {
	r, err := s.Sessions.Set(context.Background(), Admin(), session.Set{SessionID: sessionID, Step: step})
	s.plantStep(step, r)
	return r, err
}

// View returns a session as Admin sees it.
func (s *Service) View(t testing.TB, sessionID string) session.View {
	t.Helper()
	v, err := s.Sessions.Get(context.Background(), Admin(), sessionID, "")
	must(t, err)
	return v
}

// Named is a step that names the user by id.
func Named(userID string) session.Step {
	return session.Step{Checks: session.Checks{User: &session.CheckUser{ID: userID}}}
}

// Guess is a step that checks a password.
func Guess(plain string) session.Step {
	return session.Step{Checks: session.Checks{Password: &session.CheckPassword{Plain: plain}}}
}

// NamedGuess is a step that names the user and checks a password.
func NamedGuess(userID, plain string) session.Step {
	step := Guess(plain)
	step.Checks.User = &session.CheckUser{ID: userID}
	return step
}

// NewKey issues an API key and returns its text.
func (s *Service) NewKey(t testing.TB, role access.Role, organization string) string {
	t.Helper()
	_, text, err := s.Keys.Issue(context.Background(), access.NewKey{Name: t.Name(), Role: role, Organization: organization})
	must(t, err)
	s.Secrets.Plant(canary.APIKey, text)
	return text
}

// Serve starts the service on loopback, for HTTP/1.1 and HTTP/2 without TLS, until
// the test ends, and returns its URL.
func (s *Service) Serve(t testing.TB) string {
	t.Helper()
	server := httptest.NewUnstartedServer(s.Handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// Log keeps what the service logged. It is safe for concurrent use.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all lines so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
