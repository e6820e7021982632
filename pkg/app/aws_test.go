package app_test

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/sdk"
)

func keyringText(t *testing.T) []byte {
	t.Helper()
	text, err := keyring.Generate(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// secretsManager is a stand-in that answers GetSecretValue with a status and a body,
// and fails the test for another request.
func secretsManager(t *testing.T, status int, body string) config.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" || !strings.Contains(string(asked), `"SecretId":"stepup/keyring"`) {
			t.Errorf("asked %s for %s", r.Header.Get("X-Amz-Target"), asked)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return config.Config{Keyring: "stepup/keyring", SecretsEndpoint: server.URL}
}

// environment are credentials as a function's environment has them.
func environment() aws.Config {
	return sdk.Config("eu-central-1", func(name string) (string, bool) {
		v, ok := map[string]string{"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}[name]
		return v, ok
	})
}

func TestKeyringIsReadFromWhereTheConfigurationSays(t *testing.T) {
	t.Parallel()
	text := keyringText(t)
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]config.Config{
		"file":          {Keyring: "file:" + path},
		"secret":        secretsManager(t, 200, fmt.Sprintf(`{"SecretString":%q}`, text)),
		"binary secret": secretsManager(t, 200, fmt.Sprintf(`{"SecretBinary":%q}`, base64.StdEncoding.EncodeToString(text))),
	} {
		if _, err := app.OpenKeyring(t.Context(), c, environment()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyringThatCannotBeReadNamesTheVariableAndNoKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]config.Config{
		"unset":          {},
		"missing file":   {Keyring: "file:" + filepath.Join(t.TempDir(), "missing")},
		"refused":        secretsManager(t, 400, `{"__type":"AccessDeniedException","Message":"no"}`),
		"missing secret": secretsManager(t, 400, `{"__type":"ResourceNotFoundException","Message":"no"}`),
		"not a keyring":  secretsManager(t, 200, `{"SecretString":"canary"}`),
		"empty secret":   secretsManager(t, 200, `{}`),
	} {
		_, err := app.OpenKeyring(t.Context(), c, environment())
		if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_KEYRING: ") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnAWSTheTableMustBeNamed(t *testing.T) {
	t.Parallel()
	if _, err := app.OnAWS(t.Context(), config.Config{}, aws.Config{}, ambient()); err == nil || !strings.HasPrefix(err.Error(), "STEPUP_TABLE") {
		t.Errorf("got %v", err)
	}
}
