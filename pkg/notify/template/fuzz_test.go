package template_test

import (
	"fmt"
	"strings"
	"testing"

	xhtml "golang.org/x/net/html"

	"github.com/stepup-auth/stepup/pkg/notify/template"
)

// structure is what a browser makes of a document: its elements with their attributes, and
// no text. Of attributes it has the names, and the values where none may be.
func structure(t testing.TB, document string) string {
	t.Helper()
	root, err := xhtml.Parse(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	var w strings.Builder
	var walk func(n *xhtml.Node, depth int)
	walk = func(n *xhtml.Node, depth int) {
		if n.Type != xhtml.TextNode {
			fmt.Fprintf(&w, "%*d %s %s", depth, n.Type, n.Namespace, n.Data)
			for _, a := range n.Attr {
				value := a.Val
				switch a.Key {
				case "alt", "aria-label", "lang", "title":
					value = ""
				case "href", "action":
					scheme, _, _ := strings.Cut(value, ":")
					value = strings.ToLower(scheme)
				}
				fmt.Fprintf(&w, " %s=%q", a.Key, value)
			}
			w.WriteByte('\n')
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			walk(child, depth+1)
		}
	}
	walk(root, 0)
	return w.String()
}

// FuzzHTML reads any text. If it is accepted, values cannot change what elements there
// are, and it is written as html/template writes it.
func FuzzHTML(f *testing.F) {
	for i, source := range append(places, language...) {
		f.Add(source, hostile[i%len(hostile)], "?'\"><b>")
	}
	f.Fuzz(func(t *testing.T, source, value, query string) {
		read, err := html(source)
		if err != nil || strings.Contains(source, "eq") || strings.Contains(source, "ne") {
			return // whoever compares wants another structure
		}
		fields := mail("a"+value, "b"+value, link+query, 5)
		got := read.Execute(fields)
		if want := structure(t, read.Execute(full())); structure(t, got) != want {
			t.Errorf("%q with %q becomes\n%s\n%s, want\n%s", source, value, got, structure(t, got), want)
		}
		if want, ok := stdIfComparable(source, fields); ok && got != want {
			t.Errorf("%q with %q:\n got %q\nwant %q", source, value, got, want)
		}
	})
}

// stdIfComparable returns what html/template writes, if it reads the text and leaves it as it
// is: it takes comments out, also those that a style element has.
func stdIfComparable(source string, fields template.Fields) (string, bool) {
	if strings.Contains(source, "<!") || strings.Contains(strings.ToLower(source), "style") {
		return "", false
	}
	var w strings.Builder
	err := executeStdHTML(&w, source, fields)
	return w.String(), err == nil
}

// FuzzText reads any text, and says what text/template says.
func FuzzText(f *testing.F) {
	for _, source := range language {
		f.Add(source, "a.example", 5)
	}
	f.Fuzz(func(t *testing.T, source, domain string, minutes int) {
		read, err := template.Text("main", full(), template.File{Name: "main", Path: "main.txt", Text: source})
		if err != nil {
			return
		}
		fields := mail(domain, "1", link, minutes)
		if got, want := read.Execute(fields), std(t, source, fields); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	})
}

func TestStructureSeesWhatValuesDo(t *testing.T) {
	t.Parallel()
	if structure(t, "<p>a</p>") != structure(t, "<p>&lt;b&gt;</p>") || structure(t, "<p>a</p>") == structure(t, "<p><b></p>") {
		t.Error("structure does not tell text from elements")
	}
}
