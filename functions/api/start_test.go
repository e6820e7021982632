package main_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/config"
)

func TestBadConfigurationStopsTheStartWithOneLine(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"keys":"hush"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	refusing := secrets(t, http.StatusBadRequest, `{"__type":"AccessDeniedException","Message":"not yours"}`)
	empty := secrets(t, http.StatusBadRequest, `{"__type":"ResourceNotFoundException","Message":"no value for AWSCURRENT"}`)
	for name, tc := range map[string]struct {
		env  []string
		want []string // names of variables and what is wrong with them
	}{
		"no table":               {[]string{"STEPUP_TABLE="}, []string{"STEPUP_TABLE"}},
		"no duration":            {[]string{"STEPUP_TIMEOUT=hush"}, []string{"STEPUP_TIMEOUT"}},
		"fixed codes in prod":    {[]string{"STEPUP_ENV=prod", "STEPUP_TEST_CODES=hush@example.com=12345678"}, []string{"STEPUP_TEST_CODES", "STEPUP_ENV"}},
		"fixed codes anywhere":   {[]string{"STEPUP_ENV=", "STEPUP_TEST_CODES=hush@example.com=12345678"}, []string{"STEPUP_TEST_CODES", "STEPUP_ENV"}},
		"no fixed code":          {[]string{"STEPUP_ENV=ci", "STEPUP_TEST_CODES=hush@example.com"}, []string{"STEPUP_TEST_CODES", "entry 1"}},
		"two bad values":         {[]string{"STEPUP_TIMEOUT=hush", "STEPUP_LOCKOUT_LIMIT=hush"}, []string{"STEPUP_TIMEOUT", "STEPUP_LOCKOUT_LIMIT"}},
		"hash below the floor":   {[]string{"STEPUP_HASH_MEMORY_KIB=64"}, []string{"STEPUP_HASH_"}},
		"no blocklist":           {[]string{"STEPUP_PASSWORD_BLOCKLIST=/nowhere/passwords.txt"}, []string{"STEPUP_PASSWORD_BLOCKLIST", "/nowhere/passwords.txt"}},
		"no texts":               {[]string{"STEPUP_TEMPLATES=/nowhere/templates"}, []string{"STEPUP_TEMPLATES", "/nowhere/templates"}},
		"no keyring":             {[]string{"STEPUP_KEYRING="}, []string{"STEPUP_KEYRING"}},
		"keyring file missing":   {[]string{"STEPUP_KEYRING=file:/nowhere/keyring.json"}, []string{"STEPUP_KEYRING", "no such file"}},
		"keyring file broken":    {[]string{"STEPUP_KEYRING=file:" + broken}, []string{"STEPUP_KEYRING"}},
		"keyring secret refused": {[]string{"STEPUP_KEYRING=keyring", refusing}, []string{"STEPUP_KEYRING", "AccessDeniedException"}},
		"keyring secret empty":   {[]string{"STEPUP_KEYRING=keyring", empty}, []string{"STEPUP_KEYRING", "ResourceNotFoundException"}},
		"no credentials":         {[]string{"STEPUP_KEYRING=keyring", refusing, "AWS_ACCESS_KEY_ID="}, []string{"STEPUP_KEYRING", "no AWS credentials"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantStopped(t, append(apitest.Deploy(t), tc.env...), tc.want...)
		})
	}
}

func wantStopped(t *testing.T, env []string, parts ...string) {
	t.Helper()
	lambdatest.WantStopped(t, lambdatest.Options{Binary: builds.Binary(t, apitest.Package), Env: env}, parts...)
}

// bad has a value for each variable that must stop the start; the empty one is missing.
var bad = map[string]string{
	"STEPUP_TABLE": "", "STEPUP_KEYRING": "", "STEPUP_TEST_CODES": "hush", "STEPUP_INSTANCE": " ", "STEPUP_ORGANIZATIONS": ",",
	"STEPUP_IAM_ROLES": "hush", "STEPUP_TIMEOUT": "hush", "STEPUP_STORE_TIMEOUT": "1h", "STEPUP_KEY_CACHE": "-1s", "STEPUP_LOG_LEVEL": "hush",
	"STEPUP_LOCKOUT_LIMIT": "hush", "STEPUP_LOCKOUT_FIRST_DELAY": "hush", "STEPUP_LOCKOUT_MAX_DELAY": "hush", "STEPUP_LOCKOUT_USER_AT": "hush",
	"STEPUP_SESSION_LIMITS": "hush", "STEPUP_SESSIONS_PER_USER": "hush",
	"STEPUP_PASSWORD_MIN_LENGTH": "hush", "STEPUP_PASSWORD_BLOCKLIST": "/nowhere",
	"STEPUP_HASH_MEMORY_KIB": "hush", "STEPUP_HASH_TIME": "hush", "STEPUP_HASH_CONCURRENCY": "hush",
	"STEPUP_ISSUER": " ", "STEPUP_REAUTHENTICATION": "hush", "STEPUP_RELYING_PARTIES": "a hush", "STEPUP_TEMPLATES": "/nowhere",
	"STEPUP_URL": "http://hush.example", "STEPUP_IDENTITY_PROVIDERS": "file:/nowhere", "STEPUP_INTENT_LIFETIME": "hush",
	"STEPUP_SEND_COOLDOWN": "hush", "STEPUP_SEND_PER_HOUR": "hush", "STEPUP_SEND_PER_DAY": "hush", "STEPUP_SMS_BUDGET": "hush", "STEPUP_SMS_PREFIXES": "hush",
	"STEPUP_SEND_USER_PER_DAY": "hush", "STEPUP_SEND_ORGANIZATION_PER_DAY": "hush", "STEPUP_SEND_NETWORK_PER_DAY": "hush", "STEPUP_SMS_COUNTRY_PER_DAY": "hush",
	"STEPUP_SMS_CONVERSION_LIMIT": "hush", "STEPUP_SMS_CONVERSION_PER_CODE": "hush", "STEPUP_SMS_CONVERSION_WINDOW": "hush",
	"STEPUP_SMS_BUDGET_USD": "hush", "STEPUP_SMS_PRICES": "hush", "STEPUP_MAIL_BUDGET_USD": "hush", "STEPUP_MAIL_PRICE": "hush",
	"STEPUP_SMS_MAX_PRICE": "hush", "STEPUP_MAIL_BUDGET": "hush", "AWS_REGION": "",
	"AWS_ENDPOINT_URL_DYNAMODB": "hush", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "hush", "AWS_ENDPOINT_URL_SNS": "hush", "AWS_ENDPOINT_URL_SESV2": "hush",
	"STEPUP_SMS_SENDER_ID": "a hush", "STEPUP_SMS_ORIGINATION_NUMBER": "hush", "STEPUP_MAIL_FROM": "hush",
	"STEPUP_MAIL_REPLY_TO": "hush", "STEPUP_MAIL_CONFIGURATION_SET": "a hush",
}

// anyText are the variables that every text is a value of.
var anyText = []string{"STEPUP_ENV", "STEPUP_ORIGINS", "STEPUP_SITE", "STEPUP_LINK_HOSTS", "STEPUP_METRICS", "AWS_LAMBDA_FUNCTION_NAME"}

// family names the variable by its beginning, as the errors of the senders do.
var family = map[string]string{
	"STEPUP_SMS_SENDER_ID": "STEPUP_SMS_*: sns: option SenderID", "STEPUP_SMS_ORIGINATION_NUMBER": "STEPUP_SMS_*: sns: option OriginationNumber",
	"STEPUP_MAIL_FROM": "STEPUP_MAIL_*: ses: option From", "STEPUP_MAIL_REPLY_TO": "STEPUP_MAIL_*: ses: option ReplyTo",
	"STEPUP_MAIL_CONFIGURATION_SET": "STEPUP_MAIL_*: ses: option ConfigurationSet",
}

func TestEveryVariableThatIsMissingOrBadStopsTheStartByItsName(t *testing.T) {
	t.Parallel()
	deployed := append(apitest.Deploy(t), "STEPUP_MAIL_FROM=login@example.com")
	for _, name := range config.Names() {
		value, known := bad[name]
		if !known && !slices.Contains(anyText, name) {
			t.Errorf("%s: which value is bad?", name)
		}
		if !known {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantStopped(t, append(slices.Clone(deployed), name+"="+value), cmp.Or(family[name], name))
		})
	}
}

func TestKeyringComesFromSecretsManager(t *testing.T) {
	t.Parallel()
	answer, err := json.Marshal(map[string]string{"Name": "keyring", "SecretString": apitest.Keyring})
	if err != nil {
		t.Fatal(err)
	}
	env := append(apitest.Deploy(t), "STEPUP_KEYRING=keyring", secrets(t, http.StatusOK, string(answer)))
	event, err := os.ReadFile(filepath.Join(folder, "set-session.rest.json"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := apitest.Send(t.Context(), start(t, env...), event)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status = %d: the API key is checked with the keyring, so it must be there", resp.StatusCode)
	}
}

// secrets runs a Secrets Manager that gives every GetSecretValue the same answer,
// and returns the variable that leads there.
func secrets(t *testing.T, status int, answer string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-Amz-Target"); got != "secretsmanager.GetSecretValue" {
			t.Errorf("unexpected call %q", got)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + server.URL
}
