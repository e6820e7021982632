package apitest

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// DeployForGood is Deploy for a command: it returns an error where a test would fail, and
// what it makes lasts until this process ends, but for the files, which are in dir.
func DeployForGood(ctx context.Context, dir string) (env []string, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			err = thrown.error
		default:
			panic(thrown)
		}
	}()
	return Deploy(kit{ctx: ctx, dir: dir}), nil //nolint:contextcheck // the kit carries it
}

// kit is the part of testing.TB that test kits use to set something up. The
// interface is embedded because only package testing can implement all of it.
type kit struct {
	testing.TB

	ctx context.Context //nolint:containedctx // Context returns it
	dir string
}

// failure is what a kit throws where a test would end.
type failure struct{ error }

// Helper implements testing.TB.
func (kit) Helper() {}

// Context implements testing.TB.
func (k kit) Context() context.Context { return k.ctx }

// TempDir implements testing.TB.
func (k kit) TempDir() string { return k.dir }

// Cleanup implements testing.TB. There is nothing to do: the stand-ins end with this
// process, and their data with them.
func (kit) Cleanup(func()) {}

// Fatal implements testing.TB.
func (kit) Fatal(args ...any) { panic(failure{errors.New(fmt.Sprint(args...))}) }

// Fatalf implements testing.TB.
func (kit) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
