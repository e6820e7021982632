package idptest

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// Browser is a person with a browser, who remembers cookies.
type Browser struct{ client *http.Client }

// NewBrowser returns one that was nowhere yet.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Browser{&http.Client{
		Jar: jar, Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// maxPages is how many pages a sign-in may have.
const maxPages = 20

// SignIn goes to the address, signs in as the login at what is asked there, consents, and
// returns where the provider sends the browser in the end: path and query of the API's
// callback.
func (b *Browser) SignIn(t testing.TB, address, login string) string {
	t.Helper()
	return b.walk(t, address, func(page string) (*http.Request, error) {
		return submit(page, url.Values{"login": {login}, "password": {"any"}})
	})
}

// Cancel goes to the address and turns back where the sign-in is asked for.
func (b *Browser) Cancel(t testing.TB, address string) string {
	t.Helper()
	return b.walk(t, address, func(page string) (*http.Request, error) {
		link := cancelLink.FindStringSubmatch(page)
		if link == nil {
			return nil, fmt.Errorf("the page has no way back:\n%s", page)
		}
		return http.NewRequest(http.MethodGet, html.UnescapeString(link[1]), http.NoBody)
	})
}

func (b *Browser) walk(t testing.TB, address string, answer func(page string) (*http.Request, error)) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	for range maxPages {
		if err != nil {
			t.Fatal(err)
		}
		here := r.URL
		status, location, page := b.get(t, r)
		if location != "" {
			next, err2 := here.Parse(location)
			if err2 != nil {
				t.Fatal(err2)
			}
			if strings.HasPrefix(next.String(), callbackURL) {
				return next.RequestURI()
			}
			r, err = http.NewRequest(http.MethodGet, next.String(), http.NoBody)
			continue
		}
		if status != http.StatusOK {
			t.Fatalf("%s: %d\n%s", here, status, page)
		}
		if r, err = answer(page); err == nil {
			r.URL = here.ResolveReference(r.URL)
		}
	}
	t.Fatal("the sign-in does not end")
	return ""
}

func (b *Browser) get(t testing.TB, r *http.Request) (status int, location, page string) {
	t.Helper()
	response, err := b.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Location"), string(body)
}

var (
	cancelLink = regexp.MustCompile(`<a href="([^"]+/abort)"`)
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]+)"`)
	field      = regexp.MustCompile(`<input[^>]* name="([^"]+)"`)
)

// submit fills the page's form with those of the values that it asks for.
func submit(page string, values url.Values) (*http.Request, error) {
	action := formAction.FindStringSubmatch(page)
	if action == nil {
		return nil, fmt.Errorf("the page has no form:\n%s", page)
	}
	filled := url.Values{}
	for _, f := range field.FindAllStringSubmatch(page, -1) {
		if values.Has(f[1]) {
			filled.Set(f[1], values.Get(f[1]))
		}
	}
	for _, h := range hidden.FindAllStringSubmatch(page, -1) {
		filled.Set(h[1], html.UnescapeString(h[2]))
	}
	r, err := http.NewRequest(http.MethodPost, html.UnescapeString(action[1]), strings.NewReader(filled.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r, nil
}
