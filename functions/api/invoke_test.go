package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

func TestInvokePrintsTheAnswer(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := invoke(t, nil, filepath.Join(folder, "get-session.rest.json"))
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if !strings.HasPrefix(stdout, "HTTP/1.1 200 OK\r\n") || !strings.Contains(stdout, apitest.LoginName) {
		t.Errorf("stdout = %s", stdout)
	}
	if !strings.Contains(stderr, `"msg":"request"`) {
		t.Errorf("stderr = %s, want the log of the function", stderr)
	}
}

func TestInvokeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	event := filepath.Join(folder, "get-session.rest.json")
	for name, tc := range map[string]struct {
		env  []string
		args []string
		code int
		want string
	}{
		"no event":     {nil, nil, 2, "usage: invoke"},
		"no such file": {nil, []string{"nothing.json"}, 1, "nothing.json"},
		"no dynoxide":  {[]string{"DYNOXIDE=/nowhere/dynoxide"}, []string{event}, 1, "dynoxide: /nowhere/dynoxide"},
		"no bootstrap": {nil, []string{"-bootstrap", "/nowhere/bootstrap", event}, 1, "/nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := invoke(t, tc.env, tc.args...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != tc.code || stdout != "" || !strings.Contains(stderr, tc.want) {
				t.Errorf("err = %v, stdout = %q, stderr = %q; want status %d and %q", err, stdout, stderr, tc.code, tc.want)
			}
		})
	}
}

// invoke runs the command with the arguments and the additional environment.
func invoke(t *testing.T, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	args = append([]string{"-bootstrap", builds.Binary(t, apitest.Package)}, args...)
	command := exec.CommandContext(t.Context(), builds.Binary(t, apitest.Package+"/invoke"), args...)
	command.Env = append(os.Environ(), env...)
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	err = command.Run()
	return out.String(), problems.String(), err
}
