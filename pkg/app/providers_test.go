package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
)

const oneProvider = `[{"id":"p","issuer":"https://idp.example","clientId":"c","clientSecret":"canary of a provider"}]`

// written returns a file with the text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "providers.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secrets is a stand-in for Secrets Manager that has these by name.
func secrets(t *testing.T, byName map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ SecretId string }
		body, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(body, &asked)
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		text, known := byName[asked.SecretId]
		if !known {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"__type":"ResourceNotFoundException","Message":"no"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"SecretString":%q}`, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func withProviders(t *testing.T, where string) config.Config {
	t.Helper()
	c, err := config.Load(func(name string) (string, bool) {
		v, set := map[string]string{"STEPUP_IDENTITY_PROVIDERS": where, "STEPUP_URL": "https://api.example.com/"}[name]
		return v, set
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProvidersAreReadFromWhereTheConfigurationSays(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{"file": "file:" + written(t, oneProvider), "secret": "stepup/providers"} {
		c := withProviders(t, where)
		c.Table, c.Keyring = "table", "stepup/keyring"
		c.SecretsEndpoint = secrets(t, map[string]string{"stepup/keyring": string(keyringText(t)), "stepup/providers": oneProvider})
		if _, err := app.OnAWS(t.Context(), c, environment(), ambient()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	e, err := app.InFolder(t.TempDir(), withProviders(t, "file:"+written(t, oneProvider)), ambient())
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)
}

func TestProvidersThatCannotBeReadStopTheStartByNameAndAreNotRepeated(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]string{
		"not JSON":          "file:" + written(t, "canary"),
		"no issuer":         "file:" + written(t, `[{"id":"p","clientId":"c","clientSecret":"canary"}]`),
		"an unknown field":  "file:" + written(t, `[{"id":"p","issuer":"https://idp.example","clientId":"c","clientSecret":"canary","canary":1}]`),
		"a missing file":    "file:" + filepath.Join(t.TempDir(), "missing"),
		"the list itself":   oneProvider,
		"a missing secret":  "stepup/missing",
		"a name without it": "canary",
	} {
		c := withProviders(t, where)
		e, err := app.InFolder(t.TempDir(), c, ambient())
		if err == nil {
			closed(t, e)
		}
		if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_IDENTITY_PROVIDERS: ") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s in a folder: %v", name, err)
		}
		c.Table, c.Keyring = "table", "stepup/keyring"
		c.SecretsEndpoint = secrets(t, map[string]string{"stepup/keyring": string(keyringText(t))})
		_, err = app.OnAWS(t.Context(), c, environment(), ambient())
		if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_IDENTITY_PROVIDERS: ") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s on AWS: %v", name, err)
		}
	}
}

func TestProvidersNeedTheURLThatTheySendBrowsersBackTo(t *testing.T) {
	t.Parallel()
	c := withProviders(t, "file:"+written(t, oneProvider))
	c.URL = ""
	e, err := app.InFolder(t.TempDir(), c, ambient())
	if err == nil {
		closed(t, e)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_URL: ") {
		t.Errorf("got %v", err)
	}
}
