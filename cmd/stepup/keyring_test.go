package main_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

func TestKeyringGeneratePrintsAKeyringAndNothingElse(t *testing.T) {
	t.Parallel()
	stepup := filepath.Join(t.TempDir(), "stepup")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", stepup, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	generate := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), stepup, append([]string{"keyring", "generate"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	first, second := generate(), generate()
	for id, out := range map[string]string{"k1": first, "k2": generate("--id", "k2")} {
		ring, err := keyring.Parse([]byte(out))
		if err != nil {
			t.Fatalf("the output is no keyring: %v", err)
		}
		if ring.Current() != id {
			t.Errorf("current = %q, want %q", ring.Current(), id)
		}
	}
	if first == second {
		t.Error("two keyrings are the same")
	}
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), stepup, "keyring", "generate", "--id", "Not An Id")
	command.Stderr = &stderr
	out, err := command.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(out) > 0 || !strings.HasPrefix(stderr.String(), "stepup: keyring: the id is not") {
		t.Errorf("a bad id gives err = %v, stdout = %q, stderr = %q", err, out, &stderr)
	}
}
