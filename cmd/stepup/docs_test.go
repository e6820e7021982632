package main_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestDocumentedCallsArePrinted holds the calls of docs/development.md against those that
// dev prints, which TestDemoRunsWhatDevPrints runs.
func TestDocumentedCallsArePrinted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/development.md")
	if err != nil {
		t.Fatal(err)
	}
	p, _ := developing(t, t.TempDir())
	printed, _ := p.end(t, syscall.SIGTERM)
	lines, calls := strings.Split(printed, "\n"), 0
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			if !strings.Contains(line, "curl ") {
				continue
			}
			calls++
			if !slices.Contains(lines, line) {
				t.Errorf("dev does not print\n%s", line)
			}
		}
	}
	if calls != 8 {
		t.Errorf("%d calls in the document, want 8", calls)
	}
}
