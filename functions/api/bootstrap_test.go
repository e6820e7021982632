package main_test

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// The root of the module.
const root = "../.."

func TestBootstrapIsTheSameWhereverItIsBuilt(t *testing.T) {
	t.Parallel()
	here := bootstrap(t, root)
	if there := bootstrap(t, copyOfSource(t)); there != here {
		t.Errorf("the sha256 is %x in the tree and %x in a copy of it", here, there)
	}
	if tested := digest(t, builds.Binary(t, apitest.Package)); runtime.GOOS == "linux" && tested != here {
		t.Errorf("the sha256 is %x when made and %x when tested: the flags differ", here, tested)
	}
}

// bootstrap makes the function for this processor in the source tree and returns its
// digest.
func bootstrap(t *testing.T, source string) [sha256.Size]byte {
	t.Helper()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "make", "-C", source, "bootstrap", "ARCH="+runtime.GOARCH, "BUILD="+dir)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("make bootstrap: %v\n%s", err, out)
	}
	return digest(t, filepath.Join(dir, "api", "bootstrap"))
}

// copyOfSource returns a folder with the files that the function is built from, and
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
