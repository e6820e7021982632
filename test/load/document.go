package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// replaceSection exchanges what is between the two markers of a name, which stay.
func replaceSection(text, name, section string) (string, error) {
	begin, end := "<!-- begin "+name+", written by test/load -->\n", "<!-- end "+name+" -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", errors.New("no markers of the section " + name)
	}
	return before + begin + section + end + after, nil
}

// machine says what was measured, and on what.
func machine(ctx context.Context) string {
	commit := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--exclude=*").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("Commit %s, %s, %s/%s, %d CPUs of %s", commit, runtime.Version(), runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU(), processor())
}

// processor is the name that Linux gives the first processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // without it there is no name
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown make"
}

// markdown writes the rows as a table with columns of one width; the first row is the
// head, and columns after the first are numbers.
func markdown(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)), 2)
		}
	}
	rule := []string{strings.Repeat("-", widths[0])}
	for _, width := range widths[1:] {
		rule = append(rule, strings.Repeat("-", width-1)+":")
	}
	var b strings.Builder
	for _, row := range slices.Insert(slices.Clone(rows), 1, rule) {
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
			} else {
				fmt.Fprintf(&b, "| %*s ", widths[i], cell)
			}
		}
		b.WriteString("|\n")
	}
	return b.String()
}
