package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func userLine(n int) string {
	return fmt.Sprintf(`{"version":1,"id":"u%05d","username":"u%05d","profile":{"givenName":"A","familyName":"B","displayName":"%0180d"}}`+"\n", n, n, n)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestExportIsOverwrittenByNobodyAndReadByItsOwnerAlone(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	data, in, out := filepath.Join(folder, "data"), filepath.Join(folder, "in"), filepath.Join(folder, "out")
	writeFile(t, in, userLine(1)+userLine(2))
	e := run(t, nil, "import", in, "--data", data)
	if e.code != 0 || !strings.Contains(e.out, "2 created, 0 unchanged, 0 refused") {
		t.Fatalf("import: %+v", e)
	}
	run(t, nil, "export", out, "--data", data).wantFailure(t, "--with-secrets or --without-secrets")
	e = run(t, nil, "export", out, "--data", data, "--with-secrets")
	info, err := os.Stat(out)
	if e.code != 0 || !strings.HasPrefix(e.errors, "warning: ") || err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("export: %+v, %v", e, err)
	}
	run(t, nil, "export", out, "--data", data, "--without-secrets").wantFailure(t, "exists already")
	if e := run(t, nil, "export", "-", "--data", data, "--without-secrets"); e.code != 0 || strings.Count(e.out, "\n") != 2 {
		t.Errorf("export to the output: %+v", e)
	}
	if e := run(t, nil, "import", out, "--data", filepath.Join(folder, "other")); e.code != 0 || !strings.Contains(e.out, "2 created") {
		t.Errorf("import of the export: %+v", e)
	}
}

func TestImportWithARefusedLineFailsAndReportsIt(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	data, in := filepath.Join(folder, "data"), filepath.Join(folder, "in")
	writeFile(t, in, userLine(1)+"nonsense\n"+userLine(3))
	e := run(t, nil, "import", in, "--data", data)
	e.wantFailure(t, "1 of 3 users were refused")
	report, err := os.ReadFile(in + ".errors.jsonl")
	if err != nil || !strings.HasPrefix(string(report), `{"line":2,"reason":`) || !strings.Contains(e.out, "2 created, 0 unchanged, 1 refused") {
		t.Errorf("%+v\n%s %v", e, report, err)
	}
	writeFile(t, in, userLine(1)+userLine(3))
	if e := run(t, nil, "import", in, "--data", data); e.code != 0 || !strings.Contains(e.out, "0 created, 2 unchanged") {
		t.Errorf("again: %+v", e)
	}
	if report, err := os.ReadFile(in + ".errors.jsonl"); err != nil || len(report) > 0 {
		t.Errorf("the report of a run without errors is %q, %v", report, err)
	}
	run(t, nil, "import", in, "--data", data, "--report", in).wantFailure(t, "--report: is the file that is read")
	run(t, nil, "import", "-", "--data", data).wantFailure(t, "--report: is needed")
	run(t, nil, "import", in, "--data", data, "--parallel", "0").wantFailure(t, "--parallel")
	run(t, nil, "import", in, "--data", data, "--format", "ldif").wantFailure(t, "--format")
	run(t, nil, "import", filepath.Join(folder, "missing"), "--data", data).wantFailure(t, "missing")
}

// TestKilledImportIsCompletedByAnother kills an import that has read some of its input and
// waits for the rest: what was written before is more than the pipe and its buffers hold,
// so a part of it is stored.
func TestKilledImportIsCompletedByAnother(t *testing.T) {
	t.Parallel()
	const users = 6000
	folder := t.TempDir()
	data, in := filepath.Join(folder, "data"), filepath.Join(folder, "in")
	var text strings.Builder
	for n := range users {
		text.WriteString(userLine(n))
	}
	writeFile(t, in, text.String())
	c := command(t, nil, "import", "-", "--data", data, "--report", filepath.Join(folder, "report"))
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, text.String()[:text.Len()/2]); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != -1 {
		t.Fatalf("the import ended by itself with %d", code)
	}
	e := run(t, nil, "import", in, "--data", data)
	var created, unchanged int
	_, after, _ := strings.Cut(e.out, ": ")
	if _, err := fmt.Sscanf(after, "%d created, %d unchanged, 0 refused", &created, &unchanged); err != nil {
		t.Fatalf("%+v: %v", e, err)
	}
	if created == 0 || unchanged == 0 || created+unchanged != users {
		t.Errorf("%d users were created after %d", created, unchanged)
	}
	out := run(t, nil, "export", "-", "--data", data, "--without-secrets")
	if lines := strings.Count(out.out, "\n"); lines != users {
		t.Errorf("there are %d users", lines)
	}
}

// block is the first one of a kind in a document.
func block(t *testing.T, text, kind string) string {
	t.Helper()
	_, rest, found := strings.Cut(text, "```"+kind+"\n")
	inside, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("there is no block of %s", kind)
	}
	return inside
}

func TestCommandsOfTheDocumentWorkAsTheyStand(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	c := command(t, nil)
	writeFile(t, filepath.Join(c.Dir, "users.jsonl"), block(t, string(text), "jsonl"))
	shell := exec.CommandContext(t.Context(), "sh", "-e", "-c", block(t, string(text), "sh"))
	shell.Dir = c.Dir
	shell.Env = append(slices.Clone(c.Env), "PATH="+filepath.Dir(c.Path)+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"2 could be created", "2 created, 0 unchanged, 0 refused", "0 created, 2 unchanged, 0 refused", "\n2\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}
