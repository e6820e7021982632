package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

func TestBadConfigurationStopsTheStartWithOneLine(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"keys":"hush"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	refusing := secrets(t, http.StatusBadRequest, `{"__type":"AccessDeniedException","Message":"not yours"}`)
	empty := secrets(t, http.StatusBadRequest, `{"__type":"ResourceNotFoundException","Message":"no value for AWSCURRENT"}`)
	for name, tc := range map[string]struct {
		env  []string
		want []string // names of variables and what is wrong with them
	}{
		"no table":               {[]string{"STEPUP_TABLE="}, []string{"STEPUP_TABLE"}},
		"no duration":            {[]string{"STEPUP_TIMEOUT=hush"}, []string{"STEPUP_TIMEOUT"}},
		"fixed codes in prod":    {[]string{"STEPUP_ENV=prod", "STEPUP_TEST_CODES=hush@example.com=12345678"}, []string{"STEPUP_TEST_CODES", "STEPUP_ENV"}},
		"fixed codes anywhere":   {[]string{"STEPUP_ENV=", "STEPUP_TEST_CODES=hush@example.com=12345678"}, []string{"STEPUP_TEST_CODES", "STEPUP_ENV"}},
		"no fixed code":          {[]string{"STEPUP_ENV=ci", "STEPUP_TEST_CODES=hush@example.com"}, []string{"STEPUP_TEST_CODES", "entry 1"}},
		"two bad values":         {[]string{"STEPUP_TIMEOUT=hush", "STEPUP_LOCKOUT_LIMIT=hush"}, []string{"STEPUP_TIMEOUT", "STEPUP_LOCKOUT_LIMIT"}},
		"hash below the floor":   {[]string{"STEPUP_HASH_MEMORY_KIB=64"}, []string{"STEPUP_HASH_"}},
		"no blocklist":           {[]string{"STEPUP_PASSWORD_BLOCKLIST=/nowhere/passwords.txt"}, []string{"STEPUP_PASSWORD_BLOCKLIST", "/nowhere/passwords.txt"}},
		"no texts":               {[]string{"STEPUP_TEMPLATES=/nowhere/templates"}, []string{"STEPUP_TEMPLATES", "/nowhere/templates"}},
		"no keyring":             {[]string{"STEPUP_KEYRING="}, []string{"STEPUP_KEYRING"}},
		"keyring file missing":   {[]string{"STEPUP_KEYRING=file:/nowhere/keyring.json"}, []string{"STEPUP_KEYRING", "no such file"}},
		"keyring file broken":    {[]string{"STEPUP_KEYRING=file:" + broken}, []string{"STEPUP_KEYRING"}},
		"keyring secret refused": {[]string{"STEPUP_KEYRING=keyring", refusing}, []string{"STEPUP_KEYRING", "AccessDeniedException"}},
		"keyring secret empty":   {[]string{"STEPUP_KEYRING=keyring", empty}, []string{"STEPUP_KEYRING", "ResourceNotFoundException"}},
		"no credentials":         {[]string{"STEPUP_KEYRING=keyring", refusing, "AWS_ACCESS_KEY_ID="}, []string{"STEPUP_KEYRING", "no AWS credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := stopped(t, append(apitest.Deploy(t), tc.env...))
			if line.Level != "ERROR" || line.Msg != "start failed" {
				t.Errorf("line = %+v", line)
			}
			for _, want := range tc.want {
				if !strings.Contains(line.Error, want) {
					t.Errorf("error = %q, want %q in it", line.Error, want)
				}
			}
			if strings.Contains(line.Error, "hush") {
				t.Errorf("error = %q repeats the value", line.Error)
			}
		})
	}
}

// logLine is what CloudWatch shows of a start that failed.
type logLine struct{ Time, Level, Msg, Error string }

// stopped runs the function, which must end by itself with status 1, and returns the
// one line that it prints.
func stopped(t *testing.T, env []string) logLine {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
		Binary: builds.Binary(t, apitest.Package), Env: env, Stdout: &stdout, Stderr: &stderr,
	})
	if err == nil {
		t.Fatalf("the function starts; stopping it: %v", p.Stop())
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("err = %v, want exit status 1", err)
	}
	if stderr.Len() > 0 {
		t.Errorf("stderr is not empty: %s", &stderr)
	}
	var line logLine
	d := json.NewDecoder(&stdout)
	d.DisallowUnknownFields()
	if err := d.Decode(&line); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		t.Errorf("there is more than one line: %v", err)
	}
	return line
}

func TestKeyringComesFromSecretsManager(t *testing.T) {
	t.Parallel()
	answer, err := json.Marshal(map[string]string{"Name": "keyring", "SecretString": apitest.Keyring})
	if err != nil {
		t.Fatal(err)
	}
	env := append(apitest.Deploy(t), "STEPUP_KEYRING=keyring", secrets(t, http.StatusOK, string(answer)))
	event, err := os.ReadFile(filepath.Join(folder, "set-session.rest.json"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := apitest.Send(t.Context(), start(t, env...), event)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status = %d: the API key is checked with the keyring, so it must be there", resp.StatusCode)
	}
}

// secrets runs a Secrets Manager that gives every GetSecretValue the same answer,
// and returns the variable that leads there.
func secrets(t *testing.T, status int, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Target"); got != "secretsmanager.GetSecretValue" {
			t.Errorf("unexpected call %q", got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + server.URL
}
