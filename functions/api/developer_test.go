package main_test

import (
	"net/http"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// Pages that ask for a key, and an inbox that holds codes, belong on a laptop.
func TestNoPageForDevelopersIsServed(t *testing.T) {
	t.Parallel()
	function := start(t, apitest.Deploy(t)...)
	for _, path := range []string{"/dev/inbox", "/dev/passkey/", "/dev/passkey/page.js"} {
		resp, err := apitest.Send(t.Context(), function, write(t, request{method: http.MethodGet, path: path}))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
}
