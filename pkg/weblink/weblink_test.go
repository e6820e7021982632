package weblink_test

import (
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/weblink"
)

func TestPeopleAreSentToAllowedHostsOnly(t *testing.T) {
	t.Parallel()
	own := weblink.Hosts{"login.example.com", "localhost:3000"}
	for text, want := range map[string]bool{
		"https://login.example.com/ok?a=1#b":                 true,
		"https://LOGIN.example.com:8443/":                    true, // a name allows every port
		"http://localhost:3000/":                             true,
		"http://localhost:3001/":                             false, // a name with a port only that one
		"http://login.example.com/":                          false,
		"https://evil.example/":                              false,
		"https://login.example.com.evil.example/":            false,
		"https://login.example.com@evil.example/":            false,
		"https://evil.example\\@login.example.com/":          false,
		"//login.example.com/":                               false,
		"/ok":                                                false,
		"javascript:alert(1)":                                false,
		"https:///ok":                                        false,
		"https://login.example.com/\u202e":                   false,
		"https://login.example.com/" + long(weblink.MaxSize): false,
		"%":                             false,
		"https://login.example.com/a b": false,
	} {
		if _, err := own.Parse(text); (err == nil) != want {
			t.Errorf("%.60q: %v, want allowed to be %v", text, err, want)
		}
	}
	if _, err := (weblink.Hosts{}).Parse("https://anywhere.example/"); err != nil {
		t.Errorf("without a list: %v", err)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"https://login.example.com/", "http://localhost", "https://a@b", "https://login.example.com\\@x", "https://[::1]", "%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := weblink.Hosts{"login.example.com"}.Parse(text)
		if err == nil && (u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "login.example.com") || u.User != nil) {
			t.Errorf("%q leads to %s", text, u)
		}
	})
}
