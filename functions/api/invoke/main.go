// Command invoke hands one event to the function api on this machine and prints the
// answer, as a client would receive it. The function is the binary of a deployment;
// around it are a fresh table with the fixture of package apitest and a stand-in for
// the Lambda Runtime API. What the function logs goes to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http/httputil"
	"os"
	"os/signal"
	"syscall"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

func main() {
	bootstrap := flag.String("bootstrap", "", "the function's `file`; built from source when empty")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: invoke [-bootstrap file] event.json")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := invoke(ctx, *bootstrap, flag.Arg(0))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(1)
	}
}

// invoke sends the event in the file to the function.
func invoke(ctx context.Context, bootstrap, file string) (err error) {
	event, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "invoke-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	env, err := apitest.DeployForGood(ctx, dir)
	if err != nil {
		return err
	}
	if bootstrap == "" {
		if bootstrap, err = lambdatest.Build(ctx, apitest.Package, dir); err != nil {
			return err
		}
	}
	function, err := lambdatest.Start(ctx, lambdatest.Options{
		Binary: bootstrap, Env: env, Stdout: os.Stderr, Stderr: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, function.Stop()) }()
	return send(ctx, function, event, os.Stdout)
}

// send prints the answer to the event.
func send(ctx context.Context, function *lambdatest.Process, event []byte, out io.Writer) error {
	resp, err := apitest.Send(ctx, function, event)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is in memory
	answer, err := httputil.DumpResponse(resp, true)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", answer)
	return err
}
