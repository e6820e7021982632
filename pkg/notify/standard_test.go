package notify_test

import (
	htmltemplate "html/template"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	texttemplate "text/template"
	"time"

	xhtml "golang.org/x/net/html"

	"github.com/stepup-auth/stepup/pkg/notify"
)

// standard is what the standard library's templates make of the built-in files.
type standard struct {
	dir  string
	view map[string]any
}

func (s standard) read(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("templates/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type executor interface {
	Execute(w io.Writer, data any) error
}

func (s standard) write(t testing.TB, main executor) string {
	t.Helper()
	var w strings.Builder
	if err := main.Execute(&w, s.view); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func (s standard) text(t testing.TB, name string) string {
	t.Helper()
	main := texttemplate.Must(texttemplate.New("main").Parse(s.read(t, s.dir+name)))
	texttemplate.Must(main.New("expiry").Parse(s.read(t, s.dir+"expiry.txt")))
	return s.write(t, main)
}

func (s standard) html(t testing.TB, name string) string {
	t.Helper()
	main := htmltemplate.Must(htmltemplate.New("main").Parse(s.read(t, "layout.html")))
	htmltemplate.Must(main.New("expiry").Parse(s.read(t, s.dir+"expiry.txt")))
	htmltemplate.Must(main.New("file").Parse(s.read(t, s.dir+name)))
	return s.write(t, main)
}

// hostile are pieces of values that users choose.
var hostile = []string{
	"Mini", "é", "<script>", "</title>", `"`, "'", "&amp;", "&", "{{.Code}}", "\x00", "\xff", "+", "\u2028", "\r\n", "%3c", "-->", " ", "",
}

// TestBuiltInTextsAreWhatGoTemplatesMakeOfThem compares every text with what text/template
// and html/template write, byte for byte.
func TestBuiltInTextsAreWhatGoTemplatesMakeOfThem(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() (value string) {
		for range 3 {
			value += hostile[random.IntN(len(hostile))]
		}
		return value
	}
	for range 200 {
		for _, language := range []string{"en", "de"} {
			for _, kind := range notify.Kinds() {
				compare(t, r, arbitrary(random, language, kind, pick))
			}
		}
	}
}

// arbitrary returns a message of the kind that can be rendered.
func arbitrary(random *rand.Rand, language string, kind notify.Kind, pick func() string) notify.Message {
	m := message(kind)
	m.Language = language
	links := []string{"", "http://a.example", "HTTPS://a.example/é?a=b&c='d'(e)+[f]%41%4#<\"" + strings.ReplaceAll(pick(), "\r\n", "")}
	m.Data.URL = links[random.IntN(len(links))]
	m.Data.Domain = []string{"", "login.example.com"}[random.IntN(2)]
	m.Data.Expiry = time.Duration(1+random.IntN(3)) * []time.Duration{time.Second, time.Minute, time.Hour}[random.IntN(3)]
	for _, value := range []*string{&m.Data.UserID, &m.Data.LoginName, &m.Data.DisplayName, &m.Data.PreferredLanguage, &m.Data.SessionID} {
		*value = pick()
	}
	return m
}

func compare(t *testing.T, r *notify.Renderer, m notify.Message) {
	t.Helper()
	got, err := r.Render(m)
	if err != nil {
		return // not a link
	}
	hours, minutes, seconds := int(m.Data.Expiry/time.Hour), int(m.Data.Expiry/time.Minute), int(m.Data.Expiry/time.Second)
	if hours > 0 {
		minutes, seconds = 0, 0
	} else if minutes > 0 {
		seconds = 0
	}
	std := standard{m.Language + "/", map[string]any{
		"Language": m.Language, "Code": m.Data.Code, "URL": m.Data.URL, "Domain": m.Data.Domain,
		"Expiry": map[string]any{"Hours": hours, "Minutes": minutes, "Seconds": seconds},
	}}
	stem := string(m.Kind)
	if m.Kind.Channel() == notify.SMS {
		want := strings.TrimSpace(std.text(t, stem+".txt"))
		if text, _, _ := strings.Cut(got.Text, "\n@"); text != want {
			t.Errorf("%v: text message = %q, want %q", m, got.Text, want)
		}
		return
	}
	if want := std.text(t, stem+".txt"); got.Text != want {
		t.Errorf("%v: text = %q, want %q", m, got.Text, want)
	}
	if want := strings.TrimSpace(std.text(t, stem+".subject.txt")); got.Subject != want {
		t.Errorf("%v: subject = %q, want %q", m, got.Subject, want)
	}
	if want := std.html(t, stem+".html"); got.HTML != want {
		t.Errorf("%v: HTML = %q, want %q", m, got.HTML, want)
	}
}

// elements returns the names of tags and attributes of a document, in their order.
func elements(t testing.TB, document string) string {
	t.Helper()
	var names strings.Builder
	for tokens := xhtml.NewTokenizer(strings.NewReader(document)); ; {
		switch kind := tokens.Next(); kind {
		case xhtml.ErrorToken:
			return names.String()
		case xhtml.TextToken:
		default:
			token := tokens.Token()
			names.WriteString(kind.String() + " " + token.Data)
			for _, a := range token.Attr {
				names.WriteString(" " + a.Key)
			}
			names.WriteByte('\n')
		}
	}
}
