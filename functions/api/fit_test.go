package main_test

import (
	"bufio"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

func TestProcessUsesAsManyProcessorsAsItsMemoryComesWith(t *testing.T) {
	t.Parallel()
	const found = 4 // what the runtime would take of the machine
	for memory, want := range map[string]int{
		"128": 1, "512": 1, "1769": 1, "1770": 2, "3538": 2, "10240": found, "": found, "-512": found, "much": found,
	} {
		t.Run(memory, func(t *testing.T) {
			t.Parallel()
			if got := processors(t, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE="+memory, fmt.Sprintf("GOMAXPROCS=%d", found)); got != want {
				t.Errorf("%d processors, want %d", got, want)
			}
		})
	}
}

// processors returns how many a function in the environment uses once it asks for work.
func processors(t *testing.T, env ...string) int {
	t.Helper()
	traces, stderr := io.Pipe()
	defer traces.Close()
	begin := time.Now()
	function(t, lambdatest.Options{Stderr: stderr, Env: append(append(apitest.Deploy(t), env...), "GODEBUG=schedtrace=5")})
	started := time.Since(begin)
	lines := bufio.NewScanner(traces)
	for lines.Scan() {
		var age, used int // in milliseconds, of a process that is younger than begin
		if _, err := fmt.Sscanf(lines.Text(), "SCHED %dms: gomaxprocs=%d", &age, &used); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if time.Duration(age)*time.Millisecond > started {
			return used
		}
	}
	t.Fatalf("the trace ended: %v", lines.Err())
	return 0
}
