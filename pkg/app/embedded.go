package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

// Embedded is the service on a folder: the database, and a keyring that is made on
// the first start. One process at a time can have it.
type Embedded struct {
	*App
	table  *bolt.Store
	logger *slog.Logger
	now    func() time.Time
}

// Names of the files in the folder.
const (
	databaseFile = "stepup.db"
	keyringFile  = "keyring.json"
)

// InFolder puts the service together on a folder, which is made when it is missing.
// The error says what is wrong with the folder in words for a person.
func InFolder(folder string, c config.Config, m Ambient) (*Embedded, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	// The database locks the folder. Two processes that start at once on a new one
	// would otherwise each make a keyring, and one would lose its own.
	t, err := bolt.Open(filepath.Join(folder, databaseFile), store.Schema(), bolt.Options{})
	if err != nil {
		return nil, err
	}
	ring, err := folderKeyring(filepath.Join(folder, keyringFile), m.Random)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	providers, err := openProviders(context.Background(), c, onlyFiles)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	a, err := New(Parts{
		Config: c, Table: t, Ring: ring, Providers: providers, Sender: m.Sender, Reflection: m.Reflection,
		Logger: m.Logger, Metrics: m.Metrics, Now: m.Now, Random: m.Random,
	})
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return &Embedded{App: a, table: t, logger: m.Logger, now: m.Now}, nil
}

// Close lets go of the folder.
func (e *Embedded) Close() error { return e.table.Close() }

// Sweeping in portions keeps the store open for others in between.
const (
	sweepEvery   = time.Minute
	sweepPortion = 1000
)

// Sweep removes what expired long ago, now and then until the context ends: the part of
// the store that DynamoDB does by itself.
func (e *Embedded) Sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.sweep(ctx)
		}
	}
}

// sweep removes all that there is to remove. What it fails to remove is left to the next
// time: nothing depends on it, because readers look at the expiry themselves.
func (e *Embedded) sweep(ctx context.Context) {
	for {
		removed, err := e.table.Sweep(ctx, e.now(), sweepPortion)
		if err != nil && ctx.Err() == nil {
			e.logger.LogAttrs(ctx, slog.LevelError, "expired items were not swept", slog.String("cause", err.Error()))
		}
		if err != nil || removed < sweepPortion {
			return
		}
	}
}

// folderKeyring reads the keyring, or makes one. The file is written and flushed under
// another name first, and its own name flushed before it is used, so that no crash leaves
// half a key, or data without its key.
func folderKeyring(path string, random io.Reader) (*keyring.Ring, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = keyring.Generate(random, "k1"); err == nil {
			err = writeWhole(path, text)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keyring file: %w", err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("keyring file %s: %w", path, err)
	}
	return ring, nil
}

func writeWhole(path string, text []byte) error {
	draft, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder outlive a crash, as Sync does the contents of a
// file.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
