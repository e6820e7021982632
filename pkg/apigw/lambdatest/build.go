package lambdatest

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
)

// Build compiles the main package pkg into dir/bootstrap with the flags of a
// deployment, but for the platform that it runs on, and returns the file's path. A
// pkg that starts with a dot is relative to the working directory. When the compiler
// fails, the error carries what it printed.
func Build(ctx context.Context, pkg, dir string) (string, error) {
	return build(ctx, pkg, dir, "CGO_ENABLED=0")
}

// BuildFor is Build for Linux on a processor: "arm64" or "amd64".
func BuildFor(ctx context.Context, arch, pkg, dir string) (string, error) {
	return build(ctx, pkg, dir, "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
}

// small are the packages that a deployment compiles without inlining, as the Makefile has
// them; a test compares what both build.
var small = []string{
	"github.com/aws/...", "github.com/grpc-ecosystem/...", "google.golang.org/grpc/...", "github.com/stepup-auth/stepup/pkg/gen/...",
}

func build(ctx context.Context, pkg, dir string, env ...string) (string, error) {
	if dir == "" {
		return "", errors.New("lambdatest: no directory to build into")
	}
	binary, err := filepath.Abs(filepath.Join(dir, "bootstrap"))
	if err != nil {
		return "", fmt.Errorf("lambdatest: %w", err)
	}
	args := []string{"build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc,grpcnotrace", "-ldflags", "-s -w"}
	for _, pattern := range small {
		args = append(args, "-gcflags="+pattern+"=-l")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", binary, pkg)...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("lambdatest: go build %s: %w\n%s", pkg, err, out)
	}
	return binary, nil
}

// level is that of zlib, with which "sam deploy" compresses.
const level = 6

// Zip writes what is uploaded to Lambda for a binary: an archive of it alone, and the same
// for the same binary. What zlib compresses comes out 2 to 3 per cent smaller.
func Zip(w io.Writer, binary string) error {
	content, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("lambdatest: %w", err)
	}
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate}
	header.SetMode(0o755)
	archive := zip.NewWriter(w)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, level)
	})
	file, err := archive.CreateHeader(header)
	if err == nil {
		_, err = file.Write(content)
	}
	if err = errors.Join(err, archive.Close()); err != nil {
		return fmt.Errorf("lambdatest: %w", err)
	}
	return nil
}

// Builds compiles every main package at most once. Give a test binary one, and let its
// TestMain be os.Exit(builds.Run(m)). It is safe for concurrent use.
type Builds struct {
	// Dir receives one folder for each package.
	Dir string

	mu       sync.Mutex
	binaries map[string]string
}

// Run runs tests, such as a testing.M, with a folder for the binaries that goes away after
// them. It returns their exit code.
func (b *Builds) Run(tests interface{ Run() int }) int {
	dir, err := os.MkdirTemp("", "lambdatest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b.Dir = dir
	return tests.Run()
}

// Build returns the binary of pkg and compiles it if that has not been done. A failed
// build is not remembered. Errors are those of the function Build.
func (b *Builds) Build(ctx context.Context, pkg string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if binary, ok := b.binaries[pkg]; ok {
		return binary, nil
	}
	dir := ""
	if b.Dir != "" {
		dir = filepath.Join(b.Dir, strconv.Itoa(len(b.binaries)))
	}
	binary, err := Build(ctx, pkg, dir)
	if err != nil {
		return "", err
	}
	if b.binaries == nil {
		b.binaries = map[string]string{}
	}
	b.binaries[pkg] = binary
	return binary, nil
}

// TB is the part of testing.TB that Binary needs.
type TB interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
}

// Binary is Build for tests: it fails t instead of returning an error.
func (b *Builds) Binary(t TB, pkg string) string {
	t.Helper()
	binary, err := b.Build(t.Context(), pkg)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
