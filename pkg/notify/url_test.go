package notify_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
)

var urlData = notify.URLData{
	Code: "12345678", UserID: "u1", LoginName: "mini@mouse.example.com", DisplayName: "Mini Mouse & Söhne",
	PreferredLanguage: "de-CH", SessionID: "s1",
}

func TestURLTemplateMakesTheLink(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, template, want string
		hosts                []string
	}{
		{
			"every field", "https://h.example/{{.Code}}/{{.UserID}}?l={{.LoginName}}&d={{.DisplayName}}&p={{.PreferredLanguage}}#{{.SessionID}}",
			"https://h.example/12345678/u1?l=mini%40mouse.example.com&d=Mini%20Mouse%20%26%20S%C3%B6hne&p=de-CH#s1", nil,
		},
		{"spaces in the braces", "https://h.example/?c={{ .Code }}", "https://h.example/?c=12345678", nil},
		{"trim marks", "https://h.example/?c= {{- .Code -}} \n", "https://h.example/?c=12345678", nil},
		{"a comment", "https://h.example/{{/* note */}}{{.Code}}", "https://h.example/12345678", nil},
		{"no field", "https://h.example/otp", "https://h.example/otp", nil},
		{"no path", "https://h.example?c={{.Code}}", "https://h.example?c=12345678", nil},
		{"localhost by http", "http://localhost:3000/{{.Code}}", "http://localhost:3000/12345678", nil},
		{"127.0.0.1 by http", "http://127.0.0.1/{{.Code}}", "http://127.0.0.1/12345678", nil},
		{"::1 by http", "http://[::1]:8080/{{.Code}}", "http://[::1]:8080/12345678", nil},
		{"host on the list", "https://LOGIN.example.com/{{.Code}}", "https://LOGIN.example.com/12345678", []string{"a.example", "login.example.com"}},
		{"any port of a host on the list", "https://a.example:8443/", "https://a.example:8443/", []string{"a.example"}},
		{"host and port on the list", "https://a.example:8443/", "https://a.example:8443/", []string{"a.example:8443"}},
		{"localhost on the list", "http://localhost:3000/", "http://localhost:3000/", []string{"localhost"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			template, err := notify.ParseURLTemplate(notify.OTPEmail, tt.template, tt.hosts)
			if err != nil {
				t.Fatalf("ParseURLTemplate: %v", err)
			}
			if got, err := template.Execute(urlData); err != nil || got != tt.want {
				t.Errorf("Execute = %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestURLTemplateRefuses(t *testing.T) {
	t.Parallel()
	const parse, execute = "DOMAIN-oGh5e", "DOMAIN-ieYa7"
	tests := []struct {
		name, template, id string
		hosts              []string
	}{
		{"an open brace", "https://h.example/{{.Code", parse, nil},
		{"a lone end", "https://h.example/{{end}}", parse, nil},
		{"an empty action", "https://h.example/{{}}", parse, nil},
		{"a condition", "https://h.example/{{if .Code}}x{{end}}", parse, nil},
		{"a loop", "https://h.example/{{range .Code}}x{{end}}", parse, nil},
		{"a scope", "https://h.example/{{with .Code}}x{{end}}", parse, nil},
		{"a variable", "https://h.example/{{$x := .Code}}", parse, nil},
		{"an assignment", "https://h.example/{{$x := .Code}}{{$x}}", parse, nil},
		{"the data as a whole", "https://h.example/{{.}}", parse, nil},
		{"the root variable", "https://h.example/{{$.Code}}", parse, nil},
		{"a string", `https://h.example/{{"x"}}`, parse, nil},
		{"a number", "https://h.example/{{1}}", parse, nil},
		{"a function", "https://h.example/{{print .Code}}", parse, nil},
		{"a pipeline", "https://h.example/{{.Code | html}}", parse, nil},
		{"a call", "https://h.example/{{call .Code}}", parse, nil},
		{"an argument", "https://h.example/{{.Code .UserID}}", parse, nil},
		{"parentheses", "https://h.example/{{(.Code)}}", parse, nil},
		{"a definition", `{{define "x"}}y{{end}}https://h.example/`, parse, nil},
		{"a template", `https://h.example/{{template "x"}}`, parse, nil},
		{"a block", `https://h.example/{{block "x" .}}y{{end}}`, parse, nil},
		{"a long text", "https://h.example/" + strings.Repeat("x", 1024), parse, nil},
		{"an unknown field", "https://h.example/{{.Password}}", execute, nil},
		{"a field of a field", "https://h.example/{{.Code.Len}}", execute, nil},
		{"a field in lower case", "https://h.example/{{.code}}", execute, nil},
		{"the marker of no field", "https://h.example/{{.text}}", execute, nil},
		{"nothing", "", execute, nil},
		{"a path", "/otp?c={{.Code}}", execute, nil},
		{"a host without a scheme", "//h.example/{{.Code}}", execute, nil},
		{"http elsewhere", "http://h.example/{{.Code}}", execute, nil},
		{"a name that begins like localhost", "http://localhost.example/", execute, nil},
		{"a script", "javascript:alert({{.Code}})", execute, nil},
		{"another scheme", "myapp://otp/{{.Code}}", execute, nil},
		{"no host", "https:///{{.Code}}", execute, nil},
		{"only a port", "https://:443/", execute, nil},
		{"a user", "https://bank.example@evil.example/", execute, nil},
		{"a user from a field", "https://{{.LoginName}}@h.example/", execute, nil},
		{"a host from a field", "https://{{.LoginName}}/", execute, nil},
		{"a part of a host from a field", "https://{{.UserID}}.h.example/", execute, nil},
		{"the end of a host from a field", "https://h.example{{.UserID}}", execute, nil},
		{"a port from a field", "https://h.example:{{.Code}}/", execute, nil},
		{"a scheme from a field", "{{.DisplayName}}://h.example/", execute, nil},
		{"a backslash in the host", `https://h.example\@evil.example/`, execute, nil},
		{"a space", "https://h.example/ {{.Code}}", execute, nil},
		{"a line", "https://h.example/\n{{.Code}}", execute, nil},
		{"a reversal", "https://h.example/\u202e{{.Code}}", execute, nil},
		{"broken text", "https://h.example/\xff", execute, nil},
		{"a host that is not listed", "https://evil.example/", execute, []string{"h.example"}},
		{"a host below a listed one", "https://a.h.example/", execute, []string{"h.example"}},
		{"another port", "https://h.example:8443/", execute, []string{"h.example:443"}},
		{"http to a listed host", "http://h.example/", execute, []string{"h.example"}},
		{"localhost that is not listed", "http://localhost/", execute, []string{"h.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := notify.ParseURLTemplate(notify.OTPEmail, tt.template, tt.hosts)
			want := fault.New(fault.InvalidArgument, tt.id, "URL Template is invalid")
			if !errors.Is(err, want) {
				t.Errorf("ParseURLTemplate(%q) = %v, want %v", tt.template, err, want)
			}
		})
	}
}

func TestURLThatGetsTooLongIsRefused(t *testing.T) {
	t.Parallel()
	template, err := notify.ParseURLTemplate(notify.OTPEmail, "https://h.example/{{.DisplayName}}", nil)
	if err != nil {
		t.Fatalf("ParseURLTemplate: %v", err)
	}
	if _, err := template.Execute(notify.URLData{DisplayName: strings.Repeat("x", 4000)}); err != nil {
		t.Errorf("Execute with 4000 bytes: %v", err)
	}
	got, err := template.Execute(notify.URLData{DisplayName: strings.Repeat("é", 4000)})
	if fault.From(err) == nil || fault.From(err).ID != "DOMAIN-ieYa7" || got != "" {
		t.Errorf("Execute with too much = %d bytes, %v; want DOMAIN-ieYa7", len(got), err)
	}
}

// The one property that matters: whatever the values are, the link goes where the
// template says, and a value stays one value.
func FuzzURLTemplateValuesStayValues(f *testing.F) {
	f.Add("x&admin=1#y", "/../..//evil.example/")
	f.Add("@evil.example", "%2f%00+ \u202e\xff")
	template, err := notify.ParseURLTemplate(notify.OTPEmail, "https://h.example/p/{{.UserID}}?q={{.DisplayName}}&r=1#{{.DisplayName}}", []string{"h.example"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, userID, displayName string) {
		text, err := template.Execute(notify.URLData{UserID: userID, DisplayName: displayName})
		if err != nil {
			if len(text) != 0 || 3*(len(userID)+2*len(displayName)) < 4000 {
				t.Errorf("Execute(%q, %q) = %q, %v", userID, displayName, text, err)
			}
			return
		}
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("the link %q does not parse: %v", text, err)
		}
		if u.Host != "h.example" || u.User != nil || u.Path != "/p/"+userID || u.Fragment != displayName {
			t.Errorf("the link of %q and %q is %q", userID, displayName, text)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(query) != 2 || query.Get("q") != displayName || query.Get("r") != "1" {
			t.Errorf("the query of %q is %v, %v", text, query, err)
		}
	})
}

func FuzzParseURLTemplate(f *testing.F) {
	for _, seed := range []string{
		"https://h.example/{{.Code}}", "http://localhost:{{.Code}}", "{{define \"url\"}}x{{end}}", "https://{{.LoginName}}@h.example",
		"https://[::1%25{{.Code}}]/", "https:{{.Code}}", "https://h.example/{{.Code | printf \"%s\"}}", "{{", "https://h.example\\{{.Code}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template, err := notify.ParseURLTemplate(notify.OTPEmail, text, []string{"h.example"})
		if err != nil {
			if id := fault.From(err).ID; id != "DOMAIN-oGh5e" && id != "DOMAIN-ieYa7" {
				t.Fatalf("ParseURLTemplate(%q) = %v", text, err)
			}
			return
		}
		got, err := template.Execute(notify.URLData{"evil.example", "@evil.example", "/evil.example", ".evil.example", "\\evil.example", ":1", "/", ":"})
		if err != nil {
			t.Fatalf("Execute of %q: %v", text, err)
		}
		if u, err := url.Parse(got); err != nil || !strings.EqualFold(u.Hostname(), "h.example") || u.Scheme != "https" {
			t.Errorf("%q became %q", text, got)
		}
	})
}
