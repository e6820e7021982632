// Package web owns the pages for developers: static files in the binary, which call the
// REST API as any other client does. Only stepup dev serves them.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

// PasskeyPath is where the passkey page is served. The page reads the API key from the
// fragment of its URL, #key=…, which browsers keep to themselves.
const PasskeyPath = "/dev/passkey/"

//go:embed passkey
var files embed.FS

// types are fixed, because browsers are told not to guess them, and a machine's own
// table may have other ideas.
var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// policy lets the page load its own files and call its own server, and nothing else:
// no inline script, no frame around it, no text that becomes markup (Content Security
// Policy Level 3; Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Passkey returns the handler of all that is below PasskeyPath: a page that registers a
// passkey and signs in with it.
func Passkey() http.Handler {
	folder, err := fs.Sub(files, "passkey")
	if err != nil {
		panic(err) // the name of an embedded folder
	}
	server := http.StripPrefix(PasskeyPath, http.FileServerFS(folder))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache") // the files change with the program
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if known, ok := types[path.Ext(r.URL.Path)]; ok {
			h.Set("Content-Type", known)
		}
		server.ServeHTTP(w, r)
	})
}
