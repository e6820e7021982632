// Command coldstart measures what the functions cost beside their work: how long they
// take to start, the first and the later calls of api, memory, and the size of what is
// uploaded. It starts the binaries of a deployment under a stand-in for the Lambda Runtime
// API, in turns with a handler that does nothing, and prints one table with the ratios. Between the
// two stands the start of the libraries that api is built on, without api.
//
// The store of api is Dynoxide behind a proxy on loopback, which measures how long a call
// waits for it; its keyring comes from a Secrets Manager on loopback, so that a start has
// the fetch that it has on AWS, but for the network. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

const (
	streamPackage = "github.com/stepup-auth/stepup/functions/stream"
	emptyPackage  = "github.com/stepup-auth/stepup/test/coldstart/empty"
	stackPackage  = "github.com/stepup-auth/stepup/test/coldstart/stack"
	deployedArch  = "arm64"
	// limit bounds the measurement, after the builds.
	limit = 2 * time.Minute
)

func main() {
	starts := flag.Int("starts", 30, "how often each function is started")
	calls := flag.Int("calls", 20, "how many calls each start of api and empty serves after the first")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *starts, *calls)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, starts, calls int) (err error) {
	if starts < 1 || calls < 1 {
		return errors.New("-starts and -calls must be at least 1")
	}
	dir, err := os.MkdirTemp("", "coldstart-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	subjects, err := subjects(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "building")
	for _, s := range subjects {
		if err := errors.Join(s.build(ctx, dir), s.pack(ctx, dir)); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	turn := slices.Clone(subjects)
	for i := range starts {
		fmt.Fprintf(os.Stderr, "\rstart %d of %d", i+1, starts)
		for _, s := range turn { // in turns: what else the machine does meets all
			if err := s.measure(ctx, calls); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		slices.Reverse(turn) // a start is quicker after a process that gave back much memory
	}
	fmt.Fprintln(os.Stderr)
	fmt.Printf("%s/%s, %d CPUs, %s; %d starts, each with a first call and %d more; times are median (p90)\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), starts, calls)
	fmt.Print(table(subjects))
	return nil
}

// subjects are the functions under measurement, with what they find around them.
func subjects(ctx context.Context, dir string) ([]*subject, error) {
	env, err := apitest.DeployForGood(ctx, dir)
	if err != nil {
		return nil, err
	}
	store, env, err := before(env)
	if err != nil {
		return nil, err
	}
	return []*subject{
		{name: "empty", pkg: emptyPackage, event: func(int) []byte { return []byte(`{}`) }},
		{name: "stack", pkg: stackPackage, env: env},
		{name: "api", pkg: apitest.Package, env: env, store: store, event: patch},
		{name: "stream", pkg: streamPackage, env: []string{
			"STEPUP_EVENT_BUS=auth", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		}},
	}, nil
}

// build makes the binary that is started.
func (s *subject) build(ctx context.Context, dir string) (err error) {
	s.binary, err = lambdatest.Build(ctx, s.pkg, filepath.Join(dir, s.name))
	return err
}

// pack weighs what would be uploaded, for this processor and for that of a deployment.
func (s *subject) pack(ctx context.Context, dir string) error {
	s.zip = map[string]int64{}
	for _, arch := range []string{runtime.GOARCH, deployedArch} {
		binary, err := lambdatest.BuildFor(ctx, arch, s.pkg, filepath.Join(dir, s.name, arch))
		if err != nil {
			return err
		}
		var size counter
		if err := lambdatest.Zip(&size, binary); err != nil {
			return err
		}
		s.zip[arch] = int64(size)
	}
	return nil
}

// counter counts what is written.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}
