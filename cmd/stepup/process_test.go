package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds what a command may take; it takes milliseconds.
const patience = 30 * time.Second

// built is the command, built once for all tests.
var built = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "stepup-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "stepup")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return folder, fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// command is the built command in an environment of its own.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, path, args...)
	c.Dir = t.TempDir()
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + c.Dir}, env...)
	return c
}

// ended is a command that has run to its end.
type ended struct {
	out, errors string
	code        int
}

func run(t *testing.T, env []string, args ...string) ended {
	t.Helper()
	c := command(t, env, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{out.String(), errs.String(), c.ProcessState.ExitCode()}
}

// wantFailure fails the test unless the command ended with code 1 and one line that
// contains the text.
func (e ended) wantFailure(t *testing.T, text string) {
	t.Helper()
	if e.code != 1 || strings.Count(e.errors, "\n") != 1 || !strings.HasPrefix(e.errors, "stepup: ") || !strings.Contains(e.errors, text) {
		t.Errorf("code %d, want 1 and a line with %q:\n%s", e.code, text, e.errors)
	}
}

// wantStopped fails the test unless serve ended with code 1 and one line in its log that
// contains the text.
func (e ended) wantStopped(t *testing.T, text string) {
	t.Helper()
	var line struct{ Time, Level, Msg, Error string }
	d := json.NewDecoder(strings.NewReader(e.out))
	d.DisallowUnknownFields()
	err := d.Decode(&line)
	if err != nil || e.code != 1 || e.errors != "" || strings.Count(e.out, "\n") != 1 ||
		line.Level != "ERROR" || line.Msg != "start failed" || !strings.Contains(line.Error, text) {
		t.Errorf("code %d, want 1 and a line with %q: %v\n%s%s", e.code, text, err, e.out, e.errors)
	}
}

// wantEnd is wantFailure, or wantStopped for serve.
func (e ended) wantEnd(t *testing.T, command, text string) {
	t.Helper()
	if command == "serve" {
		e.wantStopped(t, text)
	} else {
		e.wantFailure(t, text)
	}
}

// process is a command that runs.
type process struct {
	cmd     *exec.Cmd
	errors  *bytes.Buffer
	printed chan string // all that it printed, once it has ended
}

// start runs a command until a line that ready accepts, and returns what ready made of
// it. The process is gone when the test ends.
func start(t *testing.T, env []string, ready func(line string) (string, bool), args ...string) (*process, string) {
	t.Helper()
	p := &process{cmd: command(t, env, args...), errors: new(bytes.Buffer), printed: make(chan string, 1)}
	p.cmd.Stderr = p.errors
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // nothing happens to one that has ended
	var printed strings.Builder
	lines := bufio.NewScanner(io.TeeReader(out, &printed))
	for lines.Scan() {
		if found, ok := ready(lines.Text()); ok {
			go func() {
				_, _ = io.Copy(&printed, out)
				p.printed <- printed.String()
			}()
			return p, found
		}
	}
	_ = p.cmd.Wait()
	t.Fatalf("it ended before it was ready: %s", p.errors)
	return nil, ""
}

// end sends a signal, waits for the end and returns what the process printed and its
// exit code, -1 for one that the signal killed.
func (p *process) end(t *testing.T, s os.Signal) (printed string, code int) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	printed = <-p.printed // reading must be over before Wait
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return printed, p.cmd.ProcessState.ExitCode()
}

// serving starts serve on a folder and a free port and returns its URL.
func serving(t *testing.T, data string, env ...string) (*process, string) {
	t.Helper()
	return start(t, env, func(line string) (string, bool) {
		var entry struct{ Msg, Address string }
		err := json.Unmarshal([]byte(line), &entry)
		return "http://" + entry.Address, err == nil && entry.Msg == "listening"
	}, "serve", "--data", data, "--listen", "127.0.0.1:0")
}

// developing starts dev on a folder and a free port and returns its URL.
func developing(t *testing.T, data string, env ...string) (*process, string) {
	t.Helper()
	return start(t, env, func(line string) (string, bool) {
		return strings.CutPrefix(line, "stepup is running at ")
	}, "dev", "--data", data, "--listen", "127.0.0.1:0")
}

// newKey issues a key in a folder and returns its id and its text.
func newKey(t *testing.T, data string) (id, text string) {
	t.Helper()
	e := run(t, nil, "key", "create", "--data", data, "--name", "of a test")
	if e.code != 0 {
		t.Fatalf("key create: %s", e.errors)
	}
	return strings.Fields(e.errors)[1], strings.TrimSpace(e.out)
}

// server is a running service as the holder of a key sees it.
type server struct{ url, key string }

// call makes a request and returns the status and the answer.
func (s server) call(ctx context.Context, method, path, body string) (int, map[string]any, error) {
	return s.keyed(ctx, method, path, change{body: body})
}

// keyed is call with an Idempotency-Key, if there is one.
func (s server) keyed(ctx context.Context, method, path string, made change) (int, map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(made.body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	if made.key != "" {
		r.Header.Set("Idempotency-Key", made.key)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var answer map[string]any
	err = json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer, err
}

// want makes a request and fails the test for another status.
func (s server) want(t *testing.T, status int, request, body string) map[string]any {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	got, answer, err := s.call(t.Context(), method, path, body)
	if err != nil || got != status {
		t.Errorf("%s: %d %v, %v, want %d", request, got, answer, err, status)
	}
	return answer
}
