package main_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// builds makes the binaries that the tests run.
var builds lambdatest.Builds

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "smoke")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	builds.Dir = dir
	return m.Run()
}
