package main_test

import (
	"context"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// devPaths are what only dev serves: the inbox holds codes, the clock can be moved, and
// the page asks for a key.
var devPaths = []string{"/dev/inbox", "/dev/clock", "/dev/passkey/", "/dev/passkey/page.js"}

func TestDevServesItsPagesAndPrintsWhereTheyAre(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, url := developing(t, data)
	for _, path := range devPaths {
		if got := status(t, url+path); got != http.StatusOK {
			t.Errorf("%s: status %d", path, got)
		}
	}
	printed, _ := p.end(t, syscall.SIGTERM)
	for _, link := range []string{url + "/dev/inbox\n", url + "/dev/clock\n", url + "/dev/passkey/#key=" + printedKey(t, data) + "\n"} {
		if !strings.Contains(printed, link) {
			t.Errorf("it does not print %s:\n%s", link, printed)
		}
	}
}

func TestServeHasNoPagesForDevelopers(t *testing.T) {
	t.Parallel()
	p, url := serving(t, t.TempDir())
	for _, path := range devPaths {
		if got := status(t, url+path); got != http.StatusNotFound {
			t.Errorf("%s: status %d", path, got)
		}
	}
	server{url, "nobody"}.want(t, http.StatusNotFound, "POST /dev/clock?advance=1h", "")
	p.end(t, syscall.SIGTERM)
}

// status is how a GET is answered.
func status(t *testing.T, url string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}
