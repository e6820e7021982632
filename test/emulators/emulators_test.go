package emulators_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/test/emulators"
)

// anyServer returns the path of an emulator that starts fast.
func anyServer(t *testing.T) string {
	t.Helper()
	binary, err := emulators.Locate("@dynoxide/linux-x64/dynoxide")
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

func TestServerEndsWhenItIsStopped(t *testing.T) {
	t.Parallel()
	s, err := emulators.Start(anyServer(t))
	if err != nil {
		t.Fatal(err)
	}
	if !answers(s.Addr) {
		t.Errorf("a started server does not answer at %s", s.Addr)
	}
	s.Stop()
	if answers(s.Addr) {
		t.Errorf("a stopped server answers at %s", s.Addr)
	}
}

func TestServerThatCannotStartSaysSo(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{
		"missing":      {filepath.Join(t.TempDir(), "missing"), "argument"},
		"ends at once": {"false"},
	} {
		_, err := emulators.Start(command...)
		if err == nil || !strings.HasPrefix(err.Error(), strings.Join(command, " ")) || !strings.Contains(err.Error(), "ended before it answered") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMissingProgramNamesTheCure(t *testing.T) {
	t.Parallel()
	if _, err := emulators.Locate("no-such-package/cli.js"); err == nil || !strings.Contains(err.Error(), "npm ci --prefix test/emulators") {
		t.Errorf("got %v", err)
	}
}

// orphan tells a child of the next test to start a server and die.
const orphan = "EMULATORS_TEST_ORPHAN"

// TestServerDiesWithTheTestBinary has a child die without any chance to clean up.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if os.Getenv(orphan) != "" {
		s, err := emulators.Start(anyServer(t))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(s.Addr)
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	}
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTestBinary$")
	child.Env = append(os.Environ(), orphan+"=1")
	var out bytes.Buffer
	child.Stdout = &out
	if err := child.Run(); err == nil {
		t.Fatal("the child was not killed")
	}
	addr := strings.TrimSpace(out.String())
	if _, _, err := net.SplitHostPort(addr); err != nil {
		t.Fatalf("the child had no server: %s", addr)
	}
	for deadline := time.Now().Add(10 * time.Second); answers(addr); {
		if time.Now().After(deadline) {
			t.Fatalf("the server at %s outlived its test binary", addr)
		}
	}
}

func answers(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
