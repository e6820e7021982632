package main_test

import (
	"os"
	"testing"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// builds makes the binaries that the tests run.
var builds lambdatest.Builds

func TestMain(m *testing.M) { os.Exit(builds.Run(m)) }
