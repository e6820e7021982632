package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// deploy is apitest.Deploy with an error instead of a failed test.
func deploy(ctx context.Context, dir string) (env []string, err error) {
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			err = thrown.error
		default:
			panic(thrown)
		}
	}()
	return apitest.Deploy(kit{ctx: ctx, dir: dir}), nil //nolint:contextcheck // the kit carries it
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
