package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/cmd/stepup/internal/clock"
	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/user"
	"github.com/stepup-auth/stepup/web"
)

// dev runs the service for a person who wants to try it.
type dev struct {
	Listen string `default:"127.0.0.1:8080" help:"Address to listen on."`
	Data   string `default:".stepup" type:"path" help:"Folder that keeps the data between runs."`
}

// The demo user. The password is public, so the user exists only where dev runs.
const (
	demoUser     = "demo@stepup.test"
	demoPassword = "correct horse battery"
	demoUserID   = "demo"
	demoPhone    = "+41446681800"
	demoTester   = "ci@stepup.test" // has a fixed code
	demoCode     = "12345678"
	logFile      = "stepup.log"
	keyFile      = "demo-key"
)

// Run implements the command.
func (d *dev) Run(ctx context.Context, t *terminal) error {
	return d.run(ctx, func(url, key string) error {
		return welcome(t.out, d.Data, url, key)
	})
}

// run starts the service, fills it and calls ready once requests are answered.
func (d *dev) run(ctx context.Context, ready func(url, key string) error) error {
	c, err := config.Load(devEnvironment(os.LookupEnv))
	if err != nil {
		return err
	}
	l, err := listen(ctx, d.Listen)
	if err != nil {
		return err
	}
	defer l.Close() //nolint:errcheck // server.Serve closes it; this is for the early returns
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	logs, err := os.OpenFile(filepath.Join(d.Data, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	defer logs.Close() //nolint:errcheck // nothing is buffered
	logger := jsonLogger(logs, c.LogLevel)
	movable := clock.New(time.Now)
	messages := inbox.New(inbox.DefaultCapacity, movable.Now)
	service, err := place{Data: d.Data, sender: messages.Router(), now: movable.Now}.open(ctx, c, logger)
	if err != nil {
		return err
	}
	defer service.close() //nolint:errcheck // the process ends, and what was answered is on disk
	key, err := d.fill(ctx, service)
	if err != nil {
		return err
	}
	if err := ready(localURL(l), key); err != nil {
		return err
	}
	return service.until(ctx, func(ctx context.Context, h http.Handler) error {
		mux := http.NewServeMux()
		mux.Handle("/", h)
		mux.Handle(inbox.Path, messages)
		mux.Handle(clock.Path, movable)
		mux.Handle("GET "+web.PasskeyPath, web.Passkey())
		return server.Serve(ctx, l, mux, logger)
	})
}

// devEnvironment says that this is for trying, whatever the environment of the shell
// says, and gives the demo a fixed code besides those of the person.
func devEnvironment(lookup config.Lookup) config.Lookup {
	return func(name string) (string, bool) {
		text, set := lookup(name)
		switch name {
		case "STEPUP_TABLE":
			return "", false // dev is always local
		case "STEPUP_ENV":
			return "dev", true
		case "STEPUP_TEST_CODES":
			return text + ";" + demoTester + "=" + demoCode, true
		default:
			return text, set
		}
	}
}

// localURL is how a browser on this machine reaches the listener.
func localURL(l net.Listener) string {
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return "http://" + l.Addr().String()
	}
	return "http://localhost:" + port
}

// fill makes the demo user and the key, unless an earlier run did.
func (d *dev) fill(ctx context.Context, s *opened) (key string, err error) {
	if err := fillUser(ctx, s); err != nil {
		return "", err
	}
	path := filepath.Join(d.Data, keyFile)
	kept, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(kept)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("demo key: %w", err)
	}
	_, key, err = s.Keys.Issue(ctx, access.NewKey{Name: "stepup dev", Role: access.IAMLoginClient})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("demo key: %w", err)
	}
	return key, nil
}

func fillUser(ctx context.Context, s *opened) error {
	_, err := s.Users.Create(ctx, access.Caller{ID: "stepup dev", Role: access.IAMOwner}, user.Registration{
		Username: demoUser,
		Profile:  user.Profile{GivenName: "Demo", FamilyName: "User", Language: "en"},
		ID:       demoUserID,
		Email:    user.Contact{Address: demoUser, Verified: true},
		Phone:    user.Contact{Address: demoPhone, Verified: true},
		Password: user.NewPassword{Plain: demoPassword},
	})
	if errors.Is(err, user.ErrExists) || errors.Is(err, user.ErrLoginNameTaken) {
		return nil
	}
	return err
}
