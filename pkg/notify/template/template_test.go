package template_test

import (
	htmltemplate "html/template"
	"io"
	"strings"
	"testing"
	texttemplate "text/template"

	"github.com/stepup-auth/stepup/pkg/notify/template"
)

// mail returns the fields of a message.
func mail(domain, code, link string, minutes int) template.Fields {
	return template.Fields{
		"Domain": domain, "Code": code, "URL": template.URL(link),
		"Expiry": template.Fields{"Minutes": minutes, "Hours": 0},
	}
}

const link = "https://login.example.com/otp?code=1&b=2"

// full and empty differ in what is set.
func full() template.Fields  { return mail("login.example.com", "12345678", link, 5) }
func empty() template.Fields { return mail("", "1", "", 1) }

func text(t testing.TB, source string) *template.Template {
	t.Helper()
	read, err := template.Text("main", full(), template.File{Name: "main", Path: "main.txt", Text: source})
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func html(source string) (*template.Template, error) {
	return template.HTML("main", full(), template.File{Name: "main", Path: "main.html", Text: source})
}

// language has a text for each thing that can be said.
var language = []string{
	"",
	"plain",
	"{{.Code}} and {{.Expiry.Minutes}}",
	`{{""}}{{"a \"b\""}}{{` + "`raw`" + `}}{{12}}{{-3}}`,
	"a {{- .Code -}} b {{/* nothing */}} c",
	"{{if .Domain}}at {{.Domain}}{{end}}",
	"{{if .Domain}}at {{.Domain}}{{else}}nowhere{{end}}",
	"{{if .URL}}link{{else if .Domain}}domain{{else}}none{{end}}",
	"{{if .Expiry.Hours}}hours{{else if .Expiry.Minutes}}minutes{{end}}",
	"{{if .Expiry}}always{{end}}",
	"{{with .Domain}}at {{.}}{{else}}nowhere{{end}}",
	"{{with .Domain}}{{.}}{{else with .Code}}{{.}}{{end}}",
	"{{with .Expiry}}{{if .Minutes}}{{.Minutes}}{{end}}{{end}}",
	"{{with .URL}}{{.}}{{end}}",
	"{{if eq .Expiry.Minutes 1}}minute{{else}}minutes{{end}}",
	"{{if eq .Expiry.Minutes 7 1}}one or seven{{end}}",
	"{{if ne .Expiry.Minutes 1}}s{{end}}",
	`{{if eq .Domain "login.example.com" ""}}known{{end}}`,
	`{{if ne .Code .Domain}}differ{{end}}`,
	"{{if not .URL}}no link{{end}}",
	"{{if and .Domain .URL}}both{{end}}{{if or .Domain .URL}}one{{end}}",
	"{{if and .Domain (eq .Expiry.Minutes 5) (not (eq .Code .Domain))}}nested{{end}}",
	`{{or .Domain "somewhere"}} {{and .Domain .Code}}`,
	`{{with or .Domain "somewhere"}}{{.}}{{end}}`,
	"{{if (.Domain)}}{{(.Code)}}{{end}}",
	`{{define "x"}}<{{.}}>{{end}}{{template "x" .Code}}{{template "x" .Expiry.Minutes}}`,
	`{{define "x"}}no dot{{end}}{{template "x"}}`,
	`{{block "x" .Expiry}}{{.Minutes}}{{end}}`,
	`{{define "x"}}{{end}}{{template "x" .}}`,
}

// std is what the standard library makes of the text.
func std(t testing.TB, source string, fields template.Fields) string {
	t.Helper()
	var w strings.Builder
	if err := texttemplate.Must(texttemplate.New("main").Parse(source)).Execute(&w, map[string]any(fields)); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func TestTextsSayWhatTextTemplateSays(t *testing.T) {
	t.Parallel()
	for _, source := range language {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			read := text(t, source)
			for _, fields := range []template.Fields{full(), empty()} {
				if got, want := read.Execute(fields), std(t, source, fields); got != want {
					t.Errorf("with %v it is %q, want %q", fields, got, want)
				}
			}
		})
	}
}

func TestWhatIsNotInTheLanguageIsRefusedWithFileAndLine(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"unknown field":            "{{.Password}}",
		"field in a dead branch":   `{{if ""}}{{.Password}}{{end}}`,
		"field of a text":          "{{.Code.Length}}",
		"field below with":         "{{with .Domain}}{{.Code}}{{end}}",
		"field without a dot":      `{{define "x"}}{{.Code}}{{end}}{{template "x"}}`,
		"fields as text":           "{{.Expiry}}",
		"everything as text":       "{{.}}",
		"condition as text":        "{{eq .Code .Domain}}",
		"one of two kinds":         "{{or .Domain .Expiry.Minutes}}",
		"fields by choice":         "{{with or .Expiry .}}{{.Minutes}}{{end}}",
		"unknown function":         "{{now}}",
		"function of Go":           `{{printf "%s" .Code}}`,
		"length":                   "{{len .Code}}",
		"comparison by size":       "{{if lt .Expiry.Minutes 5}}{{end}}",
		"comparison of kinds":      "{{if eq .Code 1}}{{end}}",
		"comparison of fields":     "{{if eq .Expiry .Expiry}}{{end}}",
		"comparison of conditions": "{{if eq (not .Code) (not .Code)}}{{end}}",
		"comparison with nothing":  "{{if eq .Code}}{{end}}",
		"comparison of three":      "{{if ne .Code .Code .Code}}{{end}}",
		"not of two":               "{{if not .Code .Code}}{{end}}",
		"and of nothing":           "{{if and}}{{end}}",
		"variable":                 "{{$x := .Code}}{{$x}}",
		"root":                     "{{$.Code}}",
		"pipe":                     "{{.Code | not}}",
		"argument of a field":      "{{.Code 1}}",
		"field of an expression":   "{{(.Expiry).Minutes}}",
		"range":                    "{{range .Code}}{{end}}",
		"break":                    "{{range .Code}}{{break}}{{end}}",
		"truth":                    "{{true}}",
		"nothing":                  "{{if nil}}{{end}}",
		"fraction":                 "{{1.5}}",
		"character":                "{{'a'}}",
		"unknown template":         `{{template "x" .}}`,
		"template in itself":       `{{define "x"}}{{if .Code}}{{template "x" .}}{{end}}{{end}}{{template "x" .}}`,
		"main in itself":           `{{template "main" .}}`,
		"two of one name":          `{{define "x"}}a{{end}}{{define "x"}}b{{end}}`,
		"unclosed":                 "{{.Code",
		"without an end":           "{{if .Code}}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := template.Text("main", full(), template.File{Name: "main", Path: "de/main.txt", Text: "first line\n" + source})
			if err == nil || !strings.Contains(err.Error(), "de/main.txt:2") {
				t.Errorf("%q: %v, want an error in the second line of the file", source, err)
			}
		})
	}
	if _, err := template.Text("other", full()); err == nil {
		t.Error("a template that no file has is read")
	}
}

func TestLaterFilesReplaceTemplatesOfEarlierOnesUnlessEmpty(t *testing.T) {
	t.Parallel()
	layout := template.File{Name: "layout", Path: "layout", Text: `{{block "a" .}}old{{end}} {{block "b" .}}old{{end}} {{block "c" .}}old{{end}} {{template "expiry" .}}`}
	blocks := template.File{Name: "blocks", Path: "en/blocks", Text: `{{define "a"}}new{{end}}{{define "b"}}{{end}}{{define "c"}}{{""}}{{end}}`}
	expiry := template.File{Name: "expiry", Path: "en/expiry", Text: "{{.Expiry.Minutes}}"}
	read, err := template.Text("layout", full(), expiry, layout, blocks)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read.Execute(full()), "new old  5"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// places are texts with values where they may be.
var places = []string{
	"<p>{{.Code}}</p>",
	"<title>{{.Code}}</title>{{.Code}}",
	"<TITLE>a</TiTlE><b>{{.Code}}</b>",
	`<html lang="{{.Code}}">`,
	`<img alt="a {{.Code}} b" title = "{{.Domain}}" src=x>`,
	`<a href="{{.URL}}">x</a>`,
	"<A HREF\n=\n\"{{.URL}}\"\n>x</A >",
	`{{with .URL}}<a class='b' href="{{.}}" id=c>{{.}}</a>{{end}}`,
	`{{define "link"}}{{.}}{{end}}<a href="{{template "link" .URL}}">{{template "link" .URL}}</a>`,
	`<form action="{{.URL}}"><input disabled></form>`,
	`<a href="https://example.com/{{if .URL}}a{{else}}b{{end}}">x</a>`,
	`<p {{if .URL}}class="a{{if .Code}} b{{end}}"{{end}}>x</p>`,
	"<br/>{{.Code}}<hr />",
	"<!doctype html><!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"x\">{{.Code}}",
	"<style>p > b { color: red }</style>{{.Code}}",
	"<STYLE type='a'>\u0130</p><!--</STYLE>{{.Code}}",
	"&lt;&{{.Code}};",
	"{{with .Expiry}}<td width=1 {{if .Hours}} {{end}} >{{.Minutes}}</td>{{end}}",
	`<p title='a "b"' aria-label="{{.Code}}">{{"<b>"}}</p>`,
}

// hostile are values that try to leave their place.
var hostile = []string{
	"<script>alert(1)</script>", `"><script>`, `" onload="x`, "' onload='x", "javascript:alert(1)", "</title><b>", "-->", "--!><b>",
	"</style>", "]]>", "&lt;b&gt;", "&#60;b", "`", "\x00<b>", "\xff<b>", "+ADw-b+AD4-", "%22%3e", "\u2028", "{{.URL}}", "<!--", "<", "/>", "=x",
}

func TestValuesAreWrittenAsHTMLTemplateWritesThem(t *testing.T) {
	t.Parallel()
	links := []string{link, "", "HTTP://a.example/'\"()<>?q=\u00e9+%41%4&x=[1]#*", "https://a.example/ \\`{}|^\x7f\xff"}
	for _, source := range places {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			read, err := html(source)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range append(hostile, "", "good") {
				for _, link := range links {
					fields := mail(value, value, link, 5)
					if got, want := read.Execute(fields), stdHTML(t, source, fields); got != want {
						t.Errorf("with %q and %q:\n got %q\nwant %q", value, link, got, want)
					}
				}
			}
		})
	}
}

// stdHTML is what the standard library makes of the text. A URL is only text to it.
func stdHTML(t testing.TB, source string, fields template.Fields) string {
	t.Helper()
	var w strings.Builder
	if err := executeStdHTML(&w, source, fields); err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func executeStdHTML(w io.Writer, source string, fields template.Fields) error {
	read, err := htmltemplate.New("main").Parse(source)
	if err != nil {
		return err
	}
	return read.Execute(w, map[string]any(fields))
}

func TestLinksToAnythingButTheWebLeadNowhere(t *testing.T) {
	t.Parallel()
	read, err := html(`<a href="{{.URL}}">`)
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"/otp", "//a.example", "javascript:alert(1)//://", "http\u017f://a.example", "data://x", " https://a.example", "https:"} {
		if got, want := read.Execute(mail("", "", link, 5)), `<a href="#">`; got != want {
			t.Errorf("%q becomes %q, want %q", link, got, want)
		}
	}
}

func TestValuesOutOfPlaceAreRefusedWithFileAndLine(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"script":                       "<script>{{.Code}}</script>",
		"script without a value":       "<script>1</script>",
		"style":                        "<style>{{.Code}}</style>",
		"style with a condition":       "<style>{{if .Code}}{{end}}</style>",
		"style that ends otherwise":    "<style></style ></style>",
		"style without an end":         "<style>",
		"comment":                      "<!-- {{.Code}} -->",
		"comment that ends early":      "<!--> -->",
		"comment that ends early too":  "<!---> -->",
		"comment with another end":     "<!-- --!> -->",
		"event handler":                `<p onclick="{{.Code}}">`,
		"event handler in capitals":    `<p ONCLICK="{{.URL}}">`,
		"unquoted value":               "<p title={{.Code}}>",
		"value after unquoted text":    "<p title=a{{.Code}}>",
		"single quotes":                "<p title='{{.Code}}'>",
		"unknown attribute":            `<p class="{{.Code}}">`,
		"style attribute":              `<p style="color:{{.Code}}">`,
		"source":                       `<img src="{{.URL}}">`,
		"set of sources":               `<img srcset="{{.URL}}">`,
		"refresh":                      `<meta http-equiv="refresh" content="{{.URL}}">`,
		"code as link":                 `<a href="{{.Code}}">`,
		"constant as link":             `<a href="{{"https://a.example"}}">`,
		"link after text":              `<a href="x{{.URL}}">`,
		"link before text":             `<a href="{{.URL}}&x=1">`,
		"two links":                    `<a href="{{.URL}}{{.URL}}">`,
		"link of some":                 `<a href="{{if .URL}}{{.URL}}{{end}}">`,
		"code in a link":               `<a href="https://a.example/{{.Code}}">`,
		"name of a tag":                "<{{.Code}}>",
		"half a name of a tag":         "<h{{.Expiry.Minutes}}>",
		"name of an end tag":           "</{{.Code}}>",
		"half a name of an end tag":    "</h{{.Code}}>",
		"tag":                          "<p {{.Code}}>",
		"name of an attribute":         `<p {{.Code}}="x">`,
		"half a name of an attribute":  `<p ti{{.Code}}tle="x">`,
		"name in two halves":           `<p on{{if .Code}}{{end}}title="{{.Code}}">`,
		"equals sign by itself":        `<p title {{if .Code}}{{end}}="{{.Code}}">`,
		"value by itself":              `<p title={{if .Code}}{{end}}"{{.Code}}">`,
		"quote in a name":              `<p a"b="{{.Code}}">`,
		"attribute of an end tag":      `</p title="{{.Code}}">`,
		"doctype":                      "<!doctype {{.Code}}>",
		"processing instruction":       "<?xml {{.Code}}?>",
		"declaration":                  "<![CDATA[{{.Code}}]]>",
		"sign of a tag":                "1 < 2",
		"sign at the end":              "1 <",
		"tag in a title":               "<title><b>{{.Code}}</b></title>",
		"drawing":                      "<svg><title>{{.Code}}</title></svg>",
		"formula":                      "<math></math>",
		"template":                     "<template></template>",
		"base of links":                `<base href="{{.URL}}">`,
		"branches that differ":         "{{if .Code}}<b{{end}}>",
		"branches that differ in with": `{{with .Code}}<b title="{{end}}">`,
		"tag without an end":           "<p",
		"tag without an end at all":    "<p ",
		"value without an end":         `<p title="a`,
		"title without an end":         "<title>a",
		"comment without an end":       "<!-- ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := html("<p>\n" + source)
			if err == nil || !strings.Contains(err.Error(), "main.html:") {
				t.Fatalf("%q: %v, want an error with file and line", source, err)
			}
			if !strings.Contains(err.Error(), "main.html:2:") && !strings.Contains(err.Error(), "ends inside of") {
				t.Errorf("%q: %v, want the second line", source, err)
			}
		})
	}
}
