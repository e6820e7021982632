package migration_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/migration"
)

var (
	example = regexp.MustCompile("(?s)```jsonl\n(.*?)```")
	row     = regexp.MustCompile("(?m)^\\| ((?:`[a-zA-Z.]+`(?:, )?)+) \\|")
	named   = regexp.MustCompile("`([a-zA-Z.]+)`")
)

func TestDocumentNamesEveryFieldAndItsExampleIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migration.md")
	check(t, err)
	_, format, _ := strings.Cut(string(text), "\n## The format\n")
	format, _, _ = strings.Cut(format, "\n## ")
	var documented []string
	for _, found := range row.FindAllStringSubmatch(format, -1) {
		for _, name := range named.FindAllStringSubmatch(found[1], -1) {
			documented = append(documented, name[1])
		}
	}
	if want := migration.Fields(); !slices.Equal(documented, want) {
		t.Errorf("the document has %q\nthe code %q", documented, want)
	}
	lines := example.FindStringSubmatch(string(text))
	if counts, refused := imported(t, deployment(t, newBolt(t), nil), migration.Stepup, lines[1]); counts.Created != 2 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
}
