package lambdatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
)

// Hushed is a part of values that no line of a start that failed may repeat.
const Hushed = "hush"

// StopTB is the part of testing.TB that WantStopped needs.
type StopTB interface {
	TB
	Errorf(format string, args ...any)
}

// WantStopped starts a function that must end by itself with status 1, and fails the test
// unless all that it prints is one line of JSON: the word of a start that failed, with
// every one of the parts in its error, such as the names of the variables at fault, and
// without Hushed.
func WantStopped(t StopTB, o Options, parts ...string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o.Stdout, o.Stderr = &stdout, &stderr
	p, err := Start(context.WithoutCancel(t.Context()), o)
	if err == nil {
		_ = p.Stop()
		t.Fatal("the function starts")
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || stderr.Len() > 0 {
		t.Errorf("err = %v, want exit status 1 and nothing on stderr: %s", err, &stderr)
	}
	var line struct {
		Time  string `json:"time"`
		Level string `json:"level"`
		Msg   string `json:"msg"`
		Error string `json:"error"`
	}
	d := json.NewDecoder(&stdout)
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more than one line: %v", err)
	}
	if line.Level != "ERROR" || line.Msg != "start failed" || strings.Contains(line.Error, Hushed) {
		t.Errorf("line = %+v", line)
	}
	for _, part := range parts {
		if !strings.Contains(line.Error, part) {
			t.Errorf("error = %q, want %q in it", line.Error, part)
		}
	}
}
