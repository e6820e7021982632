package main_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// imported is a line of GODEBUG=inittrace=1 about a package of this project. What is generated
// from the contract grows with it.
var imported = regexp.MustCompile(`init github\.com/stepup-auth/stepup/pkg/(\S+) @.* clock, (\d+) bytes`)

// TestImportsDoLittle bounds what the variables of each package take before main begins. A
// pattern such as [a-z]{1,255} alone takes half a megabyte and a millisecond, and [a-z]{1,32}
// 25 kB, each page of which is touched for the first time. What a start does not need is compiled
// when it is.
func TestImportsDoLittle(t *testing.T) {
	t.Parallel()
	for _, pkg := range []string{apitest.Package, streamPackage} {
		cmd := exec.CommandContext(t.Context(), builds.Binary(t, pkg))
		cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
		traced, _ := cmd.CombinedOutput() // which ends for want of a configuration
		lines := imported.FindAllStringSubmatch(string(traced), -1)
		if len(lines) == 0 {
			t.Fatalf("%s traced nothing: %s", pkg, traced)
		}
		for _, line := range lines {
			bytes, err := strconv.Atoi(line[2])
			if err != nil {
				t.Fatal(err)
			}
			if limit := 20_000; bytes > limit && !generated.MatchString(line[1]) {
				t.Errorf("%s: the import of %s takes %d bytes, more than %d", pkg, line[1], bytes, limit)
			}
		}
	}
}

var generated = regexp.MustCompile(`^gen/`)
