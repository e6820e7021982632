// Package securitybar says what the service holds itself to, and which test proves it.
// The tests are found by their names, and the document that lists both is generated.
package securitybar

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// Test is a test function that names a row or an advisory.
type Test struct {
	// Package is the folder, relative to the root of the repository.
	Package, Name string
	// IDs are those of rows, Tags those of advisories.
	IDs, Tags []string
}

var (
	// A name begins with its rows: TestL3_…, TestW1W2_…, TestO1EveryDigit….
	rows = regexp.MustCompile(`^Test((?:[A-Z][0-9]+_?)+)(?:[A-Z]|$)`)
	row  = regexp.MustCompile(`[A-Z][0-9]+`)
	// Any number of advisories follows.
	advisory = regexp.MustCompile(`(?:CVE_[0-9]+_[0-9]+|[A-Z][A-Za-z]+(?:2FA)?[0-9]+)_`)
)

// Parse reads the rows and advisories that a test's name claims.
func Parse(name string) (ids, tags []string) {
	rest := strings.TrimPrefix(name, "Test")
	if m := rows.FindStringSubmatch(name); m != nil {
		ids = row.FindAllString(m[1], -1)
		rest = strings.TrimPrefix(rest, m[1])
	}
	for {
		at := advisory.FindStringIndex(rest)
		if at == nil || at[0] != 0 {
			return ids, tags
		}
		tags = append(tags, strings.TrimSuffix(rest[:at[1]], "_"))
		rest = rest[at[1]:]
	}
}

// Find returns the tests under the root that name a row or an advisory, by folder and order
// of declaration.
func Find(root fs.FS) ([]Test, error) {
	var found []Test
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (d.Name() == "node_modules" || d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, "_test.go"):
			return nil
		}
		tests, err := testsOf(root, file)
		found = append(found, tests...)
		return err
	})
	return found, err
}

func testsOf(root fs.FS, file string) ([]Test, error) {
	source, err := fs.ReadFile(root, file)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []Test
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") {
			continue
		}
		ids, tags := Parse(f.Name.Name)
		if len(ids)+len(tags) > 0 {
			found = append(found, Test{path.Dir(file), f.Name.Name, ids, tags})
		}
	}
	return found, nil
}

const head = `# The security bar

What this service holds itself to, and the tests that prove it: N is NIST SP 800-63B-4, A is OWASP ASVS 5.0. A test
carries the number of its row in its name. This file is generated from those names (` + "`make security-bar`" + `), and a test
fails when it is out of date, when a row has neither a test nor a reason, and when a test names a row that is not here.
` + "`go test -run 'Test([A-Z][0-9]+_?)*L3' ./...`" + ` runs the tests of row L3.
`

const advisoriesHead = `
## Advisories of others

Defects that other products had, and the tests that keep them out of this one: each makes the calls that showed the
defect there. A number alone is that of an issue or pull request of the product.

| advisory | product | what went wrong there | tests here |
|---|---|---|---|
`

// Document writes the rows and advisories, each with its tests, as Markdown.
func Document(tests []Test) string {
	byID, byTag := make(map[string][]Test), make(map[string][]Test)
	for _, t := range tests {
		for _, id := range t.IDs {
			byID[id] = append(byID[id], t)
		}
		for _, tag := range t.Tags {
			byTag[tag] = append(byTag[tag], t)
		}
	}
	var b strings.Builder
	b.WriteString(head)
	for _, s := range Sections() {
		fmt.Fprintf(&b, "\n## %s\n", s.Title)
		for _, r := range s.Rows {
			writeRow(&b, r, byID[r.ID])
		}
	}
	b.WriteString(advisoriesHead)
	for _, a := range Advisories() {
		writeAdvisory(&b, a, byTag[a.Tag])
	}
	return b.String()
}

func writeRow(b *strings.Builder, r Row, tests []Test) {
	fmt.Fprintf(b, "\n### %s\n\n%s (%s)\n\n", r.ID, r.Requirement, r.Source)
	if r.Note != "" {
		fmt.Fprintf(b, "%s\n\n", r.Note)
	}
	if r.Reason != "" {
		fmt.Fprintf(b, "Not proven: %s\n", r.Reason)
	}
	writeTests(b, tests)
}

func writeAdvisory(b *strings.Builder, a Advisory, tests []Test) {
	var proof []string
	for _, t := range tests {
		proof = append(proof, fmt.Sprintf("`%s`: `%s`", t.Package, t.Name))
	}
	if a.Reason != "" {
		proof = append(proof, "None: "+a.Reason)
	}
	fmt.Fprintf(b, "| %s | %s | %s | %s |\n", a.name(), a.Product, a.What, strings.Join(proof, "<br>"))
}

func writeTests(b *strings.Builder, tests []Test) {
	for _, t := range tests {
		fmt.Fprintf(b, "- `%s`: `%s`\n", t.Package, t.Name)
	}
}
