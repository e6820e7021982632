package canary_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	stepupsessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/test/canary"
)

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The parts of a key.
const (
	keySecret = "there is a secret of 32 bytes..."
	keyMAC    = "and there is a MAC of 32 bytes.."
)

// samples are values of the kinds, each with bytes that some form has to escape or not.
var samples = map[canary.Kind]string{
	canary.Password:  `correct "horse" <battery> & söm`,
	canary.Hash:      "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
	canary.Code:      "12345678",
	canary.Recovery:  "abcd-efgh-ijkl-mnop",
	canary.Seed:      "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
	canary.Token:     base64.RawURLEncoding.EncodeToString([]byte("session, token id, and then the MAC: 32 bytes of proof, all told.")),
	canary.APIKey:    "stepup_" + base64.RawURLEncoding.EncodeToString([]byte("an id, and then"+keySecret+keyMAC)),
	canary.Federated: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln",
	canary.Assertion: "MEUCIQDsignature-of-a-key",
	canary.MasterKey: "\x00\x01\xfe\xff0123456789abcdef\"\\\n\r\x80\x81\x82\x83",
	canary.Number:    "+41446681800",
	canary.Address:   "Ada.Lovelace+tag@example.com",
	canary.Name:      "Ada Lovelace",
}

// written has the forms in which everything must be found, made by other means than the
// search's own where there are any.
func written(t *testing.T, s string) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"raw": []byte(s), "hex": []byte(hex.EncodeToString([]byte(s))), "upper hex": fmt.Appendf(nil, "%X", s),
		"base64": []byte(base64.StdEncoding.EncodeToString([]byte(s))), "raw base64": []byte(base64.RawStdEncoding.EncodeToString([]byte(s))),
		"base64url": []byte(base64.URLEncoding.EncodeToString([]byte(s))), "raw base64url": []byte(base64.RawURLEncoding.EncodeToString([]byte(s))),
		"base32": []byte(base32.StdEncoding.EncodeToString([]byte(s))), "lower base32": []byte(strings.ToLower(base32.StdEncoding.EncodeToString([]byte(s)))),
		"query": []byte(url.Values{"q": {s}}.Encode()), "lower query": []byte(lowered(url.QueryEscape(s))),
		"path": []byte("/" + url.PathEscape(s) + "/"), "each byte": everyByte(s),
		"quoted": fmt.Appendf(nil, "%q", s),
		"JSON":   asJSON(t, map[string]string{"k": s}), "JSON in JSON": asJSON(t, string(asJSON(t, s))),
		"bytes in JSON": asJSON(t, []byte(s)),
	}
}

// lowered has the escapes of a URL in small letters.
func lowered(escaped string) string {
	for b := range 256 {
		escaped = strings.ReplaceAll(escaped, fmt.Sprintf("%%%02X", b), fmt.Sprintf("%%%02x", b))
	}
	return escaped
}

func everyByte(s string) (all []byte) {
	for _, b := range []byte(s) {
		all = fmt.Appendf(all, "%%%02X", b)
	}
	return all
}

// TestG2_EverySecretIsFoundInEveryForm plants one secret of each kind and writes it in each
// form, behind neighbours that shift what encodings make of it.
func TestG2_EverySecretIsFoundInEveryForm(t *testing.T) {
	t.Parallel()
	for kind, secret := range samples {
		var l canary.Ledger
		l.Plant(kind, secret)
		for _, before := range []string{"", " ", " .", " . ", ": .:", " .;: "} {
			for name, text := range written(t, before+secret+"; and more") {
				if kind == canary.MasterKey && (name == "JSON" || name == "JSON in JSON") {
					continue // what is no UTF-8 is in JSON as base64 only
				}
				found := l.Search(canary.Log, text)
				if len(found) == 0 || found[0].Kind != kind {
					t.Errorf("%s, %s behind %q: found %v in %q", kind, name, before, found, text)
				}
			}
		}
	}
}

// TestG2_PartsThatAreSecretsAreFoundByThemselves: a MAC without its token, a seed without its
// text, a number without its plus.
func TestG2_PartsThatAreSecretsAreFoundByThemselves(t *testing.T) {
	t.Parallel()
	seed, err := base32.StdEncoding.DecodeString(samples[canary.Seed])
	if err != nil {
		t.Fatal(err)
	}
	for part, kind := range map[string]canary.Kind{
		"MAC: 32 bytes of proof, all told.":  canary.Token,
		keyMAC:                               canary.APIKey,
		keySecret:                            canary.APIKey,
		string(seed):                         canary.Seed,
		"abcdefghijklmnop":                   canary.Recovery,
		"41446681800":                        canary.Number,
		strings.ToLower("Ada.Lovelace+tag@"): "", // half an address is none
		"ada.lovelace+tag@example.com":       canary.Address,
	} {
		var l canary.Ledger
		for k, secret := range samples {
			l.Plant(k, secret)
		}
		var got canary.Kind
		if found := l.Search(canary.Log, []byte("<"+part+">")); len(found) > 0 {
			got = found[0].Kind
		}
		if got != kind {
			t.Errorf("%q: found %q, want %q", part, got, kind)
		}
	}
}

func TestNothingIsFoundWhereNothingIs(t *testing.T) {
	t.Parallel()
	var l canary.Ledger
	if found := l.Search(canary.Log, []byte("anything")); len(found) > 0 {
		t.Errorf("nothing was planted: %v", found)
	}
	for k, secret := range samples {
		l.Plant(k, secret)
	}
	for _, text := range []string{
		"", "1", "correct horse battery", "1772123456780000", "x12345678", "a12345678b", "Ada", "example.com", "stepup_", strings.Repeat("\x00", 4096),
	} {
		if found := l.Search(canary.Log, []byte(text)); len(found) > 0 {
			t.Errorf("%q: found %v", text, found)
		}
	}
}

func TestCodesStandAlone(t *testing.T) {
	t.Parallel()
	var l canary.Ledger
	l.Plant(canary.Code, "123456", "12345", "no", "password", "not distinct", "a password of words")
	if l.Len() != 3 {
		t.Errorf("%d are known", l.Len())
	}
	for text, want := range map[string]int{`{"code":"123456"}`: 1, "code=123456&": 1, "123456": 1, "1123456": 0, "123456000": 0, "not distinct": 1} {
		if found := l.Search(canary.Log, []byte(text)); len(found) != want {
			t.Errorf("%s: found %v", text, found)
		}
	}
}

func TestWhatIsAllowedIsFoundElsewhere(t *testing.T) {
	t.Parallel()
	var l canary.Ledger
	for k, secret := range samples {
		l.Plant(k, secret)
	}
	for k, secret := range samples {
		for _, sink := range []canary.Sink{canary.Log, canary.Metrics, canary.Traces, canary.Refusal, canary.Events, canary.Store} {
			_, allowed := canary.Allowed[sink][k]
			if found := l.Search(sink, []byte(secret)); len(found) > 0 == allowed {
				t.Errorf("%s in the %s: found %v", k, sink, found)
			}
		}
	}
}

// TestAllowedIsWhatTheDocumentSays keeps the exceptions where a reader finds them.
func TestAllowedIsWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	for sink, kinds := range canary.Allowed {
		for kind, reason := range kinds {
			if row := fmt.Sprintf("| %s | %s | %s |", sink, kind, reason); !strings.Contains(string(text), row) {
				t.Errorf("docs/proof.md lacks %q", row)
			}
		}
	}
}

// TestEveryFieldOfTheContractIsASecretOrNone fails for a new field that nobody has thought
// about.
func TestEveryFieldOfTheContractIsASecretOrNone(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	var walk func(m protoreflect.MessageDescriptor)
	walk = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || strings.HasPrefix(string(m.FullName()), "google.") {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Message() != nil {
				walk(f.Message())
				continue
			}
			name := canary.Field(string(f.Name()))
			_, secret := canary.Fields[name]
			textual := f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind
			if textual && secret == slices.Contains(canary.Harmless, name) {
				t.Errorf("%s is not in one list of Fields and Harmless", f.FullName())
			}
		}
	}
	for _, service := range []protoreflect.ServiceDescriptor{
		sessionv2.File_zitadel_session_v2_session_service_proto.Services().Get(0),
		userv2.File_zitadel_user_v2_user_service_proto.Services().Get(0),
		stepupsessionv1.File_stepup_session_v1_session_service_proto.Services().Get(0),
	} {
		for i := range service.Methods().Len() {
			walk(service.Methods().Get(i).Input())
			walk(service.Methods().Get(i).Output())
		}
	}
	if len(seen) < 100 {
		t.Errorf("%d messages were looked at", len(seen))
	}
}

// TestAHandlerTellsItsSecrets passes secrets through a watched handler, in every place.
func TestAHandlerTellsItsSecrets(t *testing.T) {
	t.Parallel()
	var w canary.Watch
	handler := w.Over(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1000)
		_, _ = r.Body.Read(body)
		switch r.URL.Path {
		case "/made":
			_, _ = fmt.Fprint(out, `{"sessionToken":"a-new-token","challenges":{"otpSms":"24680135"},"recoveryCodes":["first-code","second-code"],"authUrl":"https://idp.example/?state=of-a-sign-in&x=y"}`)
		case "/sent":
			out.Header().Set("Location", "https://login.example.com/?token=of-an-intent")
			out.WriteHeader(http.StatusSeeOther)
		default:
			http.Error(out, `{"code":"of no use","message":"refused, whatever it was"}`, http.StatusBadRequest)
		}
	}))
	for path, body := range map[string]string{
		"/made?sessionToken=an-old-token": `{"checks":{"password":{"password":"a \"quoted\" one"}}}`,
		"/sent":                           "",
		"/refused":                        `{"checks":{"totp":{"code":"135790"}},"verification_code":"broken off"`,
	} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer stepup_of-a-caller")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, secret := range []string{
		"a-new-token", "24680135", "first-code", "second-code", "of-a-sign-in", "of-an-intent", `a "quoted" one`, "an-old-token", "135790", "broken off", "stepup_of-a-caller",
	} {
		if found := w.Search(canary.Log, []byte(secret)); len(found) == 0 {
			t.Errorf("%q is not known", secret)
		}
	}
	if found := w.Search(canary.Log, []byte("of no use")); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	if got := string(w.Refused()); !strings.Contains(got, "whatever it was") || !strings.Contains(got, "400") || !strings.Contains(got, "Content-Type") || strings.Contains(got, "a-new-token") {
		t.Errorf("refused was %q", got)
	}
}

// FuzzSearch finds a secret wherever it stands, and survives whatever is around it.
func FuzzSearch(f *testing.F) {
	f.Add([]byte("before"), []byte("after"))
	f.Add([]byte{}, []byte{})
	f.Add([]byte("stepup_"), []byte("\x00\xff"))
	var l canary.Ledger
	for k, secret := range samples {
		l.Plant(k, secret)
	}
	f.Fuzz(func(t *testing.T, before, after []byte) {
		l.Search(canary.Store, before)
		sink := slices.Concat(before, []byte(samples[canary.Password]), after)
		if len(l.Search(canary.Log, sink)) == 0 {
			t.Errorf("not found in %q", sink)
		}
	})
}
