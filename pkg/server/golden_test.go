package server_test

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

var update = flag.Bool("update", false, "write the golden files")

// exchange is one request over REST; braces name what the set-up drew.
type exchange struct {
	name       string
	verb, path string
	body       string
	header     []string
}

// The shapes of the wire contract, section 3.5, and of its errors. They run in this
// order, because later ones see what earlier ones did.
var exchanges = []exchange{
	{"create-empty", "POST", "/v2/sessions", ``, nil},
	{"create-everything", "POST", "/v2/sessions", `{
		"checks": {"user": {"loginName": "Ada@stepup.test"}, "password": {"password": "correct horse battery"}},
		"metadata": {"k": "aGVsbG8="},
		"challenges": {},
		"userAgent": {"fingerprintId": "f", "ip": "1.2.3.4", "description": "d", "header": {"accept": {"values": ["*/*"]}}},
		"lifetime": "18000s"}`, nil},
	{"create-without-challenges", "POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}}}`, nil},
	{"create-unknown-user", "POST", "/v2/sessions", `{"checks": {"user": {"loginName": "nobody@stepup.test"}}}`, nil},
	{"create-forbidden", "POST", "/v2/sessions", `{}`, []string{"Authorization", "Bearer {viewer}"}},
	{"create-without-credential", "POST", "/v2/sessions", `{}`, []string{"Authorization", ""}},
	{"get-unbound", "GET", "/v2/sessions/{unbound}", ``, nil},
	{"get-everything", "GET", "/v2/sessions/{full}?sessionToken={fullToken}", ``, nil},
	{"get-met", "GET", "/v2/sessions/{full}?require.minAal=1&require.maxAge[password]=300s&require.anyOf=password", ``, nil},
	{"get-unmet", "GET", "/v2/sessions/{full}?require.minAal=2&require.maxAge[*]=300s", ``, nil},
	{"get-require-nonsense", "GET", "/v2/sessions/{full}?require.anyOf=password%2Cpin", ``, nil},
	{"get-wrong-token", "GET", "/v2/sessions/{full}?sessionToken=wrong", ``, nil},
	{"get-unknown", "GET", "/v2/sessions/unknown", ``, nil},
	{"set-nothing", "PATCH", "/v2/sessions/{unbound}", ``, nil},
	{"set-nothing-with-challenges", "PATCH", "/v2/sessions/{unbound}", `{"checks": {}, "metadata": {}, "challenges": {}}`, nil},
	{"set-lifetime", "PATCH", "/v2/sessions/{unbound}", `{"lifetime": "1.5s"}`, nil},
	{"set-user", "PATCH", "/v2/sessions/{unbound}", `{"checks": {"user": {"userId": "ada"}}}`, nil},
	{"set-other-user", "PATCH", "/v2/sessions/{unbound}", `{"checks": {"user": {"userId": "bob"}}}`, nil},
	{"set-wrong-password", "PATCH", "/v2/sessions/{unbound}", `{"checks": {"password": {"password": "not it"}}}`, nil},
	{"set-locked", "PATCH", "/v2/sessions/{unbound}", `{"checks": {"password": {"password": "correct horse battery"}}}`, nil},
	{"set-unknown", "PATCH", "/v2/sessions/unknown", `{}`, nil},
	{"set-invalid", "PATCH", "/v2/sessions/{unbound}", `{"lifetime": "-1s"}`, nil},
	{"set-malformed", "PATCH", "/v2/sessions/{unbound}", `{"lifetime": 5}`, nil},
	{"get-after-set", "GET", "/v2/sessions/{unbound}", ``, nil},
	{"list", "POST", "/v2/sessions/search", `{
		"query": {"offset": "0", "limit": 20, "asc": true},
		"queries": [{"idsQuery": {"ids": ["{full}", "{unbound}"]}}],
		"sortingColumn": "SESSION_FIELD_NAME_CREATION_DATE"}`, nil},
	{"list-nothing", "POST", "/v2/sessions/search", `{"queries": [{"userIdQuery": {"id": "unknown"}}]}`, nil},
	{"delete", "DELETE", "/v2/sessions/{full}", `{"sessionToken": "{fullToken}"}`, nil},
	{"delete-without-body", "DELETE", "/v2/sessions/{unbound}", ``, nil},
	{"delete-wrong-token", "DELETE", "/v2/sessions/{full}", `{"sessionToken": "wrong"}`, nil},
	{"get-deleted", "GET", "/v2/sessions/{full}", ``, nil},
	{"set-deleted", "PATCH", "/v2/sessions/{full}", `{"lifetime": "1s"}`, nil},
	{"no-route", "GET", "/v2/nothing", ``, nil},
	{"no-method", "PUT", "/v2/sessions", ``, nil},
	{"user-add", "POST", "/v2/users/human", `{
		"userId": "eve", "profile": {"givenName": "Eve", "familyName": "Test"}, "email": {"email": "eve@stepup.test"}}`, nil},
	{"user-get", "GET", "/v2/users/ada", ``, nil},
	{"user-list-nothing", "POST", "/v2/users", `{"queries": [{"emailQuery": {"emailAddress": "nobody@stepup.test"}}]}`, nil},
	{"user-methods", "GET", "/v2/users/ada/authentication_methods", ``, nil},
	{"user-lock", "POST", "/v2/users/bob/lock", `{}`, nil},
	{"get-unmet-with-steps", "GET", "/v2/sessions/{cleo}?require.anyOf=totp%2CotpSms&require.anyOf=recoveryCode", ``, nil},
	{"set-unmet", "PATCH", "/v2/sessions/{cleo}", `{"metadata": {"k": "dg=="}, "require": {"minAal": 2}}`, nil},
	{"set-one-time-factors", "PATCH", "/v2/sessions/{cleo}", `{"checks": {
		"totp": {"code": "{totp}"}, "otpSms": {"code": "{sms}"}, "otpEmail": {"code": "{email}"}, "recoveryCode": {"code": "{recovery}"}}}`, nil},
	{"get-one-time-factors", "GET", "/v2/sessions/{cleo}", ``, nil},
	{"set-totp-again", "PATCH", "/v2/sessions/{cleo}", `{"checks": {"totp": {"code": "{totp}"}}}`, nil},
	{"challenges-returned", "PATCH", "/v2/sessions/{cleo}", `{"challenges": {"otpSms": {"returnCode": true}, "otpEmail": {"returnCode": {}}}}`, nil},
	{"challenges-sent", "PATCH", "/v2/sessions/{cleo}", `{"challenges": {"otpSms": {}, "otpEmail": {
		"sendCode": {"urlTemplate": "https://login.example.com/{{.SessionID}}?code={{.Code}}"}}}}`, nil},
	{"challenge-cooldown", "PATCH", "/v2/sessions/{cleo}", `{"challenges": {"otpSms": {}}}`, nil},
	{"challenge-no-template", "PATCH", "/v2/sessions/{cleo}", `{"challenges": {"otpEmail": {"sendCode": {"urlTemplate": "https://{{"}}}}`, nil},
	{"challenge-not-set-up", "POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}}, "challenges": {"otpSms": {"returnCode": true}}}`, nil},
	{"user-totp-register", "POST", "/v2/users/ada/totp", `{}`, nil},
	{"user-totp-exists", "POST", "/v2/users/cleo/totp", `{}`, nil},
	{"user-recovery-codes", "POST", "/v2/users/ada/recovery_codes", `{"count": 2}`, nil},
	{"user-methods-one-time", "GET", "/v2/users/cleo/authentication_methods", ``, nil},
	{"user-factors", "POST", "/v2/users/cleo/authentication_factors/_search", ``, nil},
	{"idp-start", "POST", "/v2/idp_intents", `{"idpId": "google", "urls": {
		"successUrl": "https://login.example.com/ok", "failureUrl": "https://login.example.com/failed", "loginHint": "ada"}}`, nil},
	{"idp-start-unknown", "POST", "/v2/idp_intents", `{"idpId": "unknown", "urls": {"successUrl": "https://a.example", "failureUrl": "https://a.example"}}`, nil},
	{"idp-start-ldap", "POST", "/v2/idp_intents", `{"idpId": "google", "ldap": {"username": "ada", "password": "x"}}`, nil},
	{"idp-start-without-content", "POST", "/v2/idp_intents", `{"idpId": "google"}`, nil},
	{"idp-retrieve", "POST", "/v2/idp_intents/{intent}", `{"idpIntentToken": "{intentToken}"}`, nil},
	{"idp-retrieve-forged", "POST", "/v2/idp_intents/{intent}", `{"idpIntentToken": "AAAA"}`, nil},
	{"user-link", "POST", "/v2/users/ada/links", `{"idpLink": {"idpId": "google", "userId": "ada-at-google", "userName": "ada.l"}}`, nil},
	{"user-link-taken", "POST", "/v2/users/bob/links", `{"idpLink": {"idpId": "google", "userId": "ada-at-google", "userName": "ada.l"}}`, nil},
	{"user-links", "POST", "/v2/users/ada/links/_search", `{}`, nil},
	{"user-methods-idp", "GET", "/v2/users/ada/authentication_methods", ``, nil},
	{"create-intent", "POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}, "idpIntent": {"idpIntentId": "{intent}", "idpIntentToken": "{intentToken}"}}}`, nil},
	{"create-intent-again", "POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}, "idpIntent": {"idpIntentId": "{intent}", "idpIntentToken": "{intentToken}"}}}`, nil},
	{"user-unlink", "DELETE", "/v2/users/ada/links/google/ada-at-google", ``, nil},
	{"user-unlink-missing", "DELETE", "/v2/users/ada/links/google/ada-at-google", ``, nil},
}

// stableHeaders are those of an answer that belong to the contract.
var stableHeaders = []string{
	"Cache-Control", "Content-Type", "Retry-After", "Www-Authenticate", "Location",
}

func TestRESTAnswersAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	c := newREST(t, apptest.Options{Env: map[string]string{"STEPUP_LOCKOUT_LIMIT": "1"}, Providers: providers(stub)})
	c.Secrets.Except("ada-at-google") // the stub's id of the account, in paths, is its given name as well
	known := goldenWorld(t, c)
	waiting := signIn(t, c.Service, stub, "ada-at-google")
	known["intent"], known["intentToken"], known["issuer"] = waiting.id, waiting.token, stub.Issuer
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			header := make([]string, len(x.header))
			for i, h := range x.header {
				header[i] = known.fill(h)
			}
			a := c.do(x.verb, known.fill(x.path), known.fill(x.body), header...)
			conforms(t, x.verb, known.fill(x.path), a.status, []byte(a.body))
			checkGolden(t, x.name, known.scrub(render(t, a)))
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.json"))
	if err != nil || len(files) != len(exchanges) {
		t.Errorf("%d golden files for %d exchanges, %v", len(files), len(exchanges), err)
	}
}

// names are the words in braces of the exchanges and what they stand for.
type names map[string]string

func (n names) fill(text string) string {
	for name, value := range n {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// scrub replaces what was drawn: what the set-up knows by its name, the rest by
// what it is.
func (n names) scrub(v map[string]any) map[string]any {
	for key, value := range v {
		switch value := value.(type) {
		case map[string]any:
			n.scrub(value)
		case []any:
			for i, element := range value {
				switch element := element.(type) {
				case map[string]any:
					n.scrub(element)
				case string:
					value[i] = n.stable(key, element)
				}
			}
		case string:
			v[key] = n.stable(key, value)
		}
	}
	return v
}

func (n names) stable(key, value string) string {
	for name, known := range n {
		if value == known {
			return "{" + name + "}"
		}
	}
	if slices.Contains([]string{"sessionId", "sessionToken", "otpSms", "otpEmail", "uri", "secret", "recoveryCodes", "authUrl", "idToken"}, key) {
		return placeholder
	}
	return strings.ReplaceAll(value, "\u00a0", " ") // protojson's errors have either space, by build
}

// goldenWorld is who and what the exchanges are about. The second of two sessions
// is a microsecond younger, so that the order of a list is decided.
func goldenWorld(t *testing.T, c restClient) names {
	t.Helper()
	for _, id := range []string{"ada", "bob"} {
		_, err := c.Users.Create(t.Context(), apptest.Admin(), user.Registration{
			ID: id, Username: id + "@stepup.test", Profile: user.Profile{GivenName: id, FamilyName: "Test"},
			Email: user.Contact{Address: id + "@stepup.test"}, Phone: user.Contact{Address: "+41 79 123 45 67"},
			Password: user.NewPassword{Plain: apptest.Password},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	lifetime := time.Hour
	full := login("ada", apptest.Password)
	full.Metadata = map[string][]byte{"k": []byte("hello")}
	full.Lifetime = &lifetime
	full.Agent = session.UserAgent{
		Fingerprint: "f", IP: netip.MustParseAddr("1.2.3.4"), Description: "d",
		Header: map[string][]string{"accept": {"*/*"}},
	}
	first := c.create(t, full)
	c.Clock.Advance(time.Microsecond)
	cleo := enrol(t, c.Service, "cleo")
	return names{
		"cleo": cleo.session.SessionID, "totp": cleo.totp, "sms": cleo.sms, "email": cleo.email, "recovery": cleo.recovery[0],
		"full": first.SessionID, "fullToken": first.Token,
		"unbound": c.create(t, session.Create{}).SessionID,
		"viewer":  c.NewKey(t, access.IAMOwnerViewer, ""),
	}
}

// render is an answer as a golden file holds it.
func render(t *testing.T, a answer) map[string]any {
	t.Helper()
	header := map[string]any{}
	for _, name := range stableHeaders {
		if value := a.header.Get(name); value != "" {
			header[name] = value
		}
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("%q is not an object: %v", a.body, err)
	}
	return map[string]any{"status": float64(a.status), "header": header, "body": body}
}

func checkGolden(t *testing.T, name string, got map[string]any) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".json")
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
