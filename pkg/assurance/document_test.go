package assurance_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of docs/extensions.md anew")

const document = "../../docs/extensions.md"

// What is between the marks is written by this test.
const (
	begin = "<!-- begin: go test ./pkg/assurance -update -->\n"
	end   = "<!-- end -->\n"
)

func TestTheDocumentHasTheTablesOfTheTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	written, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place for the tables", document)
	}
	want := levelTable() + "\n" + methodTable()
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("%s is out of date: run go test ./pkg/assurance -update\n%s", document, diff)
	}
}

func levelTable() string {
	var b strings.Builder
	b.WriteString("| verified beside the key |")
	for _, k := range keys {
		fmt.Fprintf(&b, " %s |", k.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(keys)) + "\n")
	for _, row := range table {
		fmt.Fprintf(&b, "| %s | %s |\n", row.beside, strings.Join(row.columns[:], " | "))
	}
	return b.String()
}

func methodTable() string {
	var b strings.Builder
	b.WriteString("| verified | `amr` |\n|---|---|\n")
	for _, m := range methods {
		fmt.Fprintf(&b, "| %s | `%s` |\n", m.when, strings.Join(m.amr, "`, `"))
	}
	return b.String()
}
