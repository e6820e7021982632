package main_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBusyPortIsOneLineAndCodeOne(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, name := range []string{"serve", "dev"} {
		e := run(t, nil, name, "--data", t.TempDir(), "--listen", l.Addr().String())
		e.wantEnd(t, name, l.Addr().String()+" is in use by another process")
	}
}

func TestFolderThatCannotBeUsedIsOneLineAndCodeOne(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(file, "data")
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0"}, {"dev", "--listen", "127.0.0.1:0"}, {"key", "create"}, {"key", "list"},
	} {
		run(t, nil, append(args, "--data", below)...).wantEnd(t, args[0], file)
	}
}

func TestFolderOfARunningProcessIsOneLineAndCodeOne(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, _ := serving(t, data)
	for _, args := range [][]string{
		{"serve", "--listen", "127.0.0.1:0"}, {"dev", "--listen", "127.0.0.1:0"}, {"key", "create"},
	} {
		run(t, nil, append(args, "--data", data)...).wantEnd(t, args[0], "another process has the file open")
	}
	if _, code := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("the one that had it ended with %d", code)
	}
	if e := run(t, nil, "key", "list", "--data", data); e.code != 0 {
		t.Errorf("after that: %s", e.errors)
	}
}

func TestBadVariableIsNamedAndItsValueIsNot(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"STEPUP_TIMEOUT": "canary", "STEPUP_LOCKOUT_LIMIT": "canary", "STEPUP_HASH_TIME": "canary", "STEPUP_LOG_LEVEL": "canary",
	} {
		for _, args := range [][]string{{"serve"}, {"dev"}, {"key", "list"}} {
			e := run(t, []string{name + "=" + value}, append(args, "--data", t.TempDir())...)
			e.wantEnd(t, args[0], name)
			if name != "STEPUP_LOG_LEVEL" && strings.Contains(e.errors+e.out, value) {
				t.Errorf("%s: the line has the value: %s", name, e.errors)
			}
		}
	}
	for _, environment := range []string{"prod", ""} {
		e := run(t, []string{"STEPUP_ENV=" + environment, "STEPUP_TEST_CODES=test@example.com=12345678"}, "serve", "--data", t.TempDir())
		e.wantStopped(t, "STEPUP_TEST_CODES")
	}
	run(t, []string{"STEPUP_HASH_MEMORY_KIB=8"}, "serve", "--data", t.TempDir()).wantStopped(t, "STEPUP_HASH_")
}

// TestServeOnAWSStopsWithOneLineThatNamesWhatIsMissing takes away what a container has.
func TestServeOnAWSStopsWithOneLineThatNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	container := []string{
		"STEPUP_TABLE=table", "STEPUP_KEYRING=file:/nowhere", "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true",
	}
	for name, value := range map[string]string{
		"STEPUP_KEYRING": "", "AWS_REGION": "", "STEPUP_TIMEOUT": "canary", "AWS_ENDPOINT_URL_SNS": "canary",
	} {
		run(t, append(container, name+"="+value), "serve", "--listen", "127.0.0.1:0").wantStopped(t, name)
	}
	run(t, container, "serve", "--listen", "127.0.0.1:0").wantStopped(t, "STEPUP_KEYRING: open /nowhere")
}

func TestUsage(t *testing.T) {
	t.Parallel()
	if e := run(t, nil, "--help"); e.code != 0 || !strings.Contains(e.out, "serve") || e.errors != "" {
		t.Errorf("--help: %+v", e)
	}
	for _, args := range [][]string{{}, {"nonsense"}, {"serve", "--nonsense"}, {"key"}, {"key", "revoke"}} {
		run(t, nil, args...).wantFailure(t, "")
	}
}

func TestKeysAreCreatedListedAndRevoked(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	id, text := newKey(t, data)
	otherID, other := newKey(t, data)
	if strings.Contains(text, "\n") || !strings.HasPrefix(text, "stepup_") {
		t.Errorf("the output is not a key alone: %q", text)
	}
	e := run(t, nil, "key", "create", "--data", data, "--role", "ORG_OWNER", "--organization", "default")
	if e.code != 0 {
		t.Errorf("key of an organization: %s", e.errors)
	}
	run(t, nil, "key", "create", "--data", data, "--role", "ORG_OWNER").wantFailure(t, "STEPUP-key-organization")
	run(t, nil, "key", "create", "--data", data, "--role", "KING").wantFailure(t, "STEPUP-key-role")
	run(t, nil, "key", "revoke", "--data", data, "unknown").wantFailure(t, "STEPUP-key")
	if e := run(t, nil, "key", "revoke", "--data", data, id); e.code != 0 || !strings.Contains(e.out, "revoked") {
		t.Errorf("revoke: %+v", e)
	}
	e = run(t, nil, "key", "list", "--data", data)
	rows := make(map[string][]string)
	for _, line := range strings.Split(strings.TrimSpace(e.out), "\n")[1:] {
		fields := strings.Fields(line)
		rows[fields[0]] = fields
	}
	if len(rows) != 3 || rows[id][1] != "IAM_LOGIN_CLIENT" || rows[id][4] == "-" || rows[otherID][4] != "-" {
		t.Errorf("list:\n%s", e.out)
	}
	if strings.Contains(e.out, text[20:]) || strings.Contains(e.out, "stepup_") {
		t.Errorf("the list has a secret:\n%s", e.out)
	}
	p, url := serving(t, data)
	server{url, text}.want(t, 401, "POST /v2/sessions", `{}`)
	server{url, other}.want(t, 201, "POST /v2/sessions", `{}`)
	p.end(t, syscall.SIGTERM)
}

// printedKey reads the key out of what dev printed.
func printedKey(t *testing.T, data string) string {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(data, "demo-key"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(key))
}

func TestDevWelcomesWithAKeyThatWorksAndKeepsDataAndKey(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	p, url := developing(t, data)
	key := printedKey(t, data)
	created := server{url, key}.want(t, 201, "POST /v2/sessions",
		`{"checks":{"user":{"loginName":"demo@stepup.test"},"password":{"password":"correct horse battery"}}}`)
	if _, code := p.end(t, os.Interrupt); code != 0 {
		t.Errorf("Ctrl-C ended it with %d: %s", code, p.errors)
	}
	p, url = developing(t, data)
	if again := printedKey(t, data); again != key {
		t.Error("the key changed")
	}
	id, _ := created["sessionId"].(string)
	got := server{url, key}.want(t, 200, "GET /v2/sessions/"+id, "")
	if s, _ := got["session"].(map[string]any); s["factors"] == nil {
		t.Errorf("the session came back as %v", got)
	}
	p.end(t, syscall.SIGTERM)
}

func TestDevPrintsTheKeyAndKeepsItsLogInAFile(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, url := developing(t, data)
	key := printedKey(t, data)
	server{url, key}.want(t, 201, "POST /v2/sessions", `{}`)
	printed, _ := p.end(t, syscall.SIGTERM)
	for _, part := range []string{key, "demo@stepup.test", "curl", url, "Ctrl-C"} {
		if !strings.Contains(printed, part) {
			t.Errorf("it does not print %s:\n%s", part, printed)
		}
	}
	if strings.Contains(printed, `"level"`) {
		t.Errorf("the log is on the terminal:\n%s", printed)
	}
	log, err := os.ReadFile(filepath.Join(data, "stepup.log"))
	if err != nil || !strings.Contains(string(log), `"path":"/v2/sessions"`) || strings.Contains(string(log), key) {
		t.Errorf("the log has %s, %v", log, err)
	}
}

func TestTerminationIsClean(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p, url := serving(t, t.TempDir())
		server{url, "nobody"}.want(t, 401, "POST /v2/sessions", `{}`) // leaves an idle connection
		if _, code := p.end(t, s); code != 0 || p.errors.Len() > 0 {
			t.Errorf("%v ended it with %d: %s", s, code, p.errors)
		}
	}
}

func TestDemoRunsWhatDevPrints(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the printed calls need %s, which is not installed", tool)
		}
	}
	e := run(t, nil, "demo")
	if e.code != 0 || !strings.Contains(e.out, "calls answered as they should") {
		t.Errorf("code %d\n%s\n%s", e.code, e.out, e.errors)
	}
}
