package main_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// The root of the module.
const root = "../.."

func TestBootstrapsAreTheSameWhereverTheyAreBuilt(t *testing.T) {
	t.Parallel()
	here := bootstrap(t, root)
	if there := bootstrap(t, copyOfSource(t)); there != here {
		t.Errorf("the checksums are\n%sin the tree and\n%sin a copy of it", here, there)
	}
	for name, tested := range map[string]string{"api": apitest.Package, "stream": streamPackage} {
		line := fmt.Sprintf("%x  %s/bootstrap\n", digest(t, builds.Binary(t, tested)), name)
		if runtime.GOOS == "linux" && !strings.Contains(here, line) {
			t.Errorf("the checksums are\n%swhen made and\n%swhen tested: the flags differ", here, line)
		}
	}
}

// bootstrap makes the functions for this processor in the source tree and returns the
// checksums that it wrote down.
func bootstrap(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", source, "bootstrap", "ARCH="+runtime.GOARCH, "BUILD="+dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make bootstrap: %v\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	return string(sums)
}

// copyOfSource returns a folder with the files that the functions are built from, and
// without git.
func copyOfSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, tree := range []string{"functions", "pkg"} {
		if err := os.CopyFS(filepath.Join(dir, tree), os.DirFS(filepath.Join(root, tree))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func digest(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}
