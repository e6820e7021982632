package web_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/web"
)

func get(t *testing.T, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	web.Passkey().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, http.NoBody))
	return w
}

func TestEveryFileIsServedWithItsTypeUnderAStrictPolicy(t *testing.T) {
	t.Parallel()
	types := map[string]string{
		"": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml",
	}
	files, err := fs.ReadDir(os.DirFS("passkey"), ".")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), "index.html") // served as the folder
		w := get(t, web.PasskeyPath+name)
		kind := types[path.Ext(name)]
		if w.Code != http.StatusOK || w.Body.Len() == 0 || kind == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %d bytes of %q, want some of %q", f.Name(), w.Code, w.Body.Len(), w.Header().Get("Content-Type"), kind)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; ") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", f.Name(), policy)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the browser may guess what it is", f.Name())
		}
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"nothing.js", "../web.go", "../passkey/", "passkey/"} {
		if w := get(t, web.PasskeyPath+name); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
