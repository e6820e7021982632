package app_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

// defaults is the configuration of an empty environment.
func defaults(t *testing.T) config.Config {
	t.Helper()
	c, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ambient() app.Ambient {
	return app.Ambient{Logger: slog.New(slog.DiscardHandler), Now: time.Now, Random: rand.Reader}
}

func inFolder(t *testing.T, folder string) *app.Embedded {
	t.Helper()
	e, err := app.InFolder(folder, defaults(t), ambient())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func closed(t *testing.T, e *app.Embedded) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

func TestFolderKeepsDataAndKeys(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new", "folder")
	first := inFolder(t, folder)
	r, err := first.Sessions.Create(t.Context(), apptest.Admin(), session.Create{})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := first.Keys.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	closed(t, first)
	second := inFolder(t, folder)
	defer closed(t, second)
	if _, err := second.Sessions.Get(t.Context(), access.Caller{}, r.SessionID, r.Token); err != nil {
		t.Errorf("the token: %v", err)
	}
	if _, err := second.Keys.Authenticate(t.Context(), key); err != nil {
		t.Errorf("the key: %v", err)
	}
	for _, name := range []string{"keyring.json", "stepup.db"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(folder, "*.new")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestProcessWithoutTheFolderDoesNotTouchItsKeyring is two processes that start at once
// on a new folder, at the moment where one has the database and neither a keyring.
func TestProcessWithoutTheFolderDoesNotTouchItsKeyring(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	winner, err := bolt.Open(filepath.Join(folder, "stepup.db"), store.Schema(), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer winner.Close()
	if _, err := app.InFolder(folder, defaults(t), ambient()); !errors.Is(err, table.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(folder, "keyring.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the loser made a keyring: %v", err)
	}
}

func TestFolderThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	broken, folders := t.TempDir(), t.TempDir()
	for path, text := range map[string]string{file: "", filepath.Join(broken, "keyring.json"): `{"current":`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folders, "keyring.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ folder, want string }{
		"a file":              {file, file},
		"below a file":        {filepath.Join(file, "folder"), file},
		"with half a keyring": {broken, filepath.Join(broken, "keyring.json")},
		"keyring is a folder": {folders, filepath.Join(folders, "keyring.json")},
	} {
		e, err := app.InFolder(c.folder, defaults(t), ambient())
		if err == nil {
			closed(t, e)
			t.Errorf("%s was accepted", name)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What was opened before the failure is let go of.
	db, err := bolt.Open(filepath.Join(broken, "stepup.db"), store.Schema(), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestSweepRemovesTombstonesAfterADay(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := inFolder(t, folder)
		defer closed(t, e)
		r, err := e.Sessions.Create(t.Context(), apptest.Admin(), session.Create{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, ""); err != nil {
			t.Fatal(err)
		}
		state := func() string {
			_, err := e.Sessions.Set(t.Context(), apptest.Admin(), session.Set{SessionID: r.SessionID})
			return faultID(err)
		}
		stop := sweeping(t, e)
		time.Sleep(24*time.Hour - time.Minute)
		if got := state(); got != "COMMAND-Hewfq" {
			t.Errorf("within a day: %s", got)
		}
		time.Sleep(3 * time.Minute)
		if got := state(); got != "QUERY-SFeaa" {
			t.Errorf("after a day: %s", got)
		}
		stop()
	})
}

// sweeping sweeps until the function that it returns is called, and has returned.
func sweeping(t *testing.T, e *app.Embedded) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { e.Sweep(ctx) })
	return func() {
		cancel()
		done.Wait()
	}
}

func TestASweepLeavesNothingToTheNext(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		e := inFolder(t, folder)
		defer closed(t, e)
		lifetime := time.Second
		var last string
		for range 1001 { // one more than a portion
			r, err := e.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: session.Step{Lifetime: &lifetime}})
			if err != nil {
				t.Fatal(err)
			}
			last = r.SessionID
			time.Sleep(time.Millisecond)
		}
		stop := sweeping(t, e)
		defer stop()
		time.Sleep(24*time.Hour + 90*time.Second) // the first sweep that finds them is half a minute ago
		_, err := e.Sessions.Set(t.Context(), apptest.Admin(), session.Set{SessionID: last})
		if got := faultID(err); got != "QUERY-SFeaa" {
			t.Errorf("the last to expire: %s", got)
		}
	})
}

func TestASweepThatFailsIsLoggedAndEndsNothing(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var log apptest.Log
		m := ambient()
		m.Logger = slog.New(slog.NewJSONHandler(&log, nil))
		e, err := app.InFolder(folder, defaults(t), m)
		if err != nil {
			t.Fatal(err)
		}
		closed(t, e) // as good as a disk that is gone
		stop := sweeping(t, e)
		time.Sleep(2*time.Minute + time.Second)
		stop()
		if n := strings.Count(log.String(), "expired items were not swept"); n != 2 {
			t.Errorf("%d lines in two minutes:\n%s", n, &log)
		}
	})
}
