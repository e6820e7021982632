// Package app owns the wiring: it puts the parts of the service together, for the
// function, the container, the laptop and the tests alike.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Parts are what differs between the places where the service runs; all but SignedBy,
// Reflection and Metrics are required.
type Parts struct {
	Config config.Config
	Table  table.Table
	Ring   *keyring.Ring
	// Providers are the external identity providers; there may be none.
	Providers []idp.Provider
	// Sender carries messages; over a channel that it lacks none can leave.
	Sender notify.Router
	// SignedBy tells whose signature the gateway in front verified; nil where none does.
	SignedBy func(*http.Request) (arn string, ok bool)
	// Reflection is as in server.Config.
	Reflection func(mux *http.ServeMux, services []string)
	Logger     *slog.Logger
	// Metrics takes the lines that CloudWatch reads metrics from. Nil, or a configuration
	// that gives them no name, writes none.
	Metrics io.Writer
	Now     func() time.Time
	Random  io.Reader
}

// App is the service put together.
type App struct {
	// Handler speaks every protocol.
	Handler http.Handler
	// Refused counts an event of a gateway that did not reach the Handler, or whose answer
	// could not be given.
	Refused func(ctx context.Context, f *fault.Fault)
	// Keys, Users, Sessions and Intents are the domain, for operators' commands and tests.
	Keys     *access.Keys
	Users    *user.Service
	Sessions *session.Service
	Intents  *intent.Service
}

// conflictRetry is how a decision is repeated that lost a race. One that counts
// wrong guesses loses at most once for each guess that the lockout allows, so 16
// runs see the end of any such race; the waits stay far below a request's deadline.
func conflictRetry(random io.Reader) retry.Policy {
	return retry.Policy{
		Attempts: 16,
		Base:     5 * time.Millisecond,
		Max:      80 * time.Millisecond,
		Random:   random,
		Sleep:    retry.Sleep,
		Retried:  countRetry,
	}
}

// New puts the service together. The error names the configuration that is at fault.
func New(p Parts) (*App, error) {
	hasher, err := password.New(password.Config{Params: p.Config.Hashing, MaxConcurrent: p.Config.HashConcurrency})
	if err != nil {
		return nil, fmt.Errorf("STEPUP_HASH_*: %w", err)
	}
	passwords, err := passwordPolicy(p.Config)
	if err != nil {
		return nil, err
	}
	messenger, err := newMessenger(p.Config, p.Sender)
	if err != nil {
		return nil, err
	}
	messages := measuredMessenger{messenger}
	providers, err := newProviders(p)
	if err != nil {
		return nil, err
	}
	recorder := newRecorder(p.Metrics, p.Config.Metrics, p.Now)
	s := store.New(p.Table, p.Random)
	if n := p.Config.TestCodes(); n > 0 {
		p.Logger.Warn("codes of some addresses are fixed, and no message leaves to them", "environment", p.Config.Environment, "addresses", n)
	}
	converted := payments(s, p)
	limits := map[sending.Channel]sending.Policy{sending.SMS: p.Config.SMS.Limits, sending.Email: p.Config.Mail.Limits}
	a := &App{
		Refused: refusals(recorder),
		Keys: access.NewKeys(access.KeysConfig{
			Store: s, Ring: p.Ring, Now: p.Now, Random: p.Random, Remember: p.Config.KeyCache,
		}),
		Users: user.New(user.Config{
			Store: s, Hasher: hasher, Passwords: passwords, Lockout: p.Config.Lockout,
			Organizations: p.Config.Organizations, Issuer: p.Config.Issuer,
			Reauthentication: p.Config.Reauthentication, RelyingParties: p.Config.RelyingParties, Providers: providers,
			Sending: limits, Messenger: messages, Ring: p.Ring, Now: p.Now, Random: p.Random, Retry: conflictRetry(p.Random),
			Checked: countChecks, Converted: converted,
		}),
		Sessions: session.New(session.Config{
			Store: s, Hasher: hasher, Lockout: p.Config.Lockout, Limits: p.Config.SessionLimits, PerUser: p.Config.SessionsPerUser,
			RelyingParties: p.Config.RelyingParties,
			Sending:        limits, Messenger: messages, Ring: p.Ring, Now: p.Now, Random: p.Random, Retry: conflictRetry(p.Random),
			Checked: countChecks, Converted: converted,
		}),
		Intents: intent.New(intent.Config{
			Store: s, Providers: providers, Hosts: p.Config.LinkHosts, Lifetime: p.Config.IntentLifetime,
			Ring: p.Ring, Now: p.Now, Random: p.Random,
		}),
	}
	handler, err := server.New(server.Config{
		Sessions: a.Sessions, Users: a.Users, Intents: a.Intents, Keys: a.Keys,
		SignedBy: p.SignedBy, Reflection: p.Reflection, Principals: p.Config.IAMRoles,
		Instance: p.Config.Instance, RelyingParties: p.Config.RelyingParties, Origins: p.Config.Origins, Timeout: p.Config.Timeout,
		Logger: p.Logger, Now: p.Now, Random: p.Random, Failed: countFault,
	})
	if err != nil {
		return nil, err
	}
	a.Handler = measured(recorder, handler)
	return a, nil
}
