package passkey_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

func TestFindReturnsConfiguredRelyingPartiesOnly(t *testing.T) {
	t.Parallel()
	r := parties(t)
	party, err := r.Find("example.org")
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	if diff := cmp.Diff(passkey.RelyingParty{ID: "example.org", Origins: []string{"https://example.org"}}, party); diff != "" {
		t.Errorf("relying party (-want +got):\n%s", diff)
	}
	for _, id := range []string{"", "example.net", "EXAMPLE.org", "login.example.com", "com", "https://example.org", "example.org."} {
		if _, err := r.Find(id); !errors.Is(err, passkey.ErrRelyingParty) || fault.From(err).Kind != fault.InvalidArgument {
			t.Errorf("Find(%q) = %v, want ErrRelyingParty", id, err)
		}
	}
	if _, err := new(passkey.RelyingParties).Find(rpID); !errors.Is(err, passkey.ErrRelyingParty) {
		t.Errorf("Find without configuration = %v, want ErrRelyingParty", err)
	}
}

func TestNewNamesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	const app = "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
	tests := []struct {
		id, origin string
		ok         bool
	}{
		{"example.com", "", true},
		{"a.b.c.example.com", "", true},
		{"xn--bcher-kva.example", "", true},
		{"localhost", "", true},
		{"", "", false},
		{"com", "", false},
		{"Example.com", "", false},
		{"bücher.example", "", false},
		{"https://example.com", "", false},
		{"example.com:443", "", false},
		{"example.com.", "", false},
		{"*.example.com", "", false},
		{"-a.example.com", "", false},
		{"127.0.0.1", "", false},
		{strings.Repeat("a.", 130) + "com", "", false},
		{strings.Repeat("a", 63) + ".com", "", true},
		{strings.Repeat("a", 64) + ".com", "", false},
		{"example.com", "https://login.example.com", true},
		{"example.com", "https://login.example.com:8443", true},
		{"example.com", "https://example.co.uk", true},
		{"example.com", "http://localhost:3000", true},
		{"example.com", app, true},
		{"example.com", "ios:bundle-id:com.example.app", true},
		{"example.com", "http://login.example.com", false},
		{"example.com", "https://login.example.com/", false},
		{"example.com", "https://login.example.com/path", false},
		{"example.com", "https://login.example.com:443", false},
		{"example.com", "https://Login.example.com", false},
		{"example.com", "https://*.example.com", false},
		{"example.com", "https://user@example.com", false},
		{"example.com", "https://", false},
		{"example.com", "https://:8443", false},
		{"example.com", "https://a.com,https://b.com", false},
		{"example.com", "login.example.com", false},
		{"example.com", "android:apk-key-hash:", false},
		{"example.com", "file://", false},
		{"example.com", "null", false},
		{"example.com", "http://localhost:3000/", false},
	}
	for _, tt := range tests {
		config := map[string][]string{tt.id: nil}
		wrong := tt.id
		if tt.origin != "" {
			config[tt.id], wrong = []string{tt.origin}, tt.origin
		}
		_, err := passkey.New(config)
		if tt.ok != (err == nil) {
			t.Errorf("New(%q: %q) = %v", tt.id, tt.origin, err)
		}
		if err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("error %q does not name %q", err, wrong)
		}
	}
}

func TestW2OnlyAllowedOriginsMayUseTheCredentials(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rpID, origin string
		ok           bool
	}{
		{rpID, "https://example.com", true},
		{rpID, "https://login.example.com", true},
		{rpID, "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", true},
		{rpID, "android:apk-key-hash:47deqpj8hbsa-_timw-5jceuqerkm5nmpjwzg3hsufu", false},
		{rpID, "https://LOGIN.example.com", false},
		{rpID, "https://other.example.com", false},
		{rpID, "https://example.com:443", false},
		{rpID, "http://localhost:8080", false},
		{rpID, "null", false},
		{"localhost", "http://localhost", true},
		{"localhost", "http://localhost:8080", true},
		{"localhost", "http://localhost:65535", true},
		{"localhost", "http://localhost:", false},
		{"localhost", "http://localhost:0", false},
		{"localhost", "http://localhost:8080/", false},
		{"localhost", "http://localhost:8080.evil.com", false},
		{"localhost", "http://localhost.evil.com", false},
		{"localhost", "http://localhost@evil.com", false},
		{"localhost", "http://localhost:8080\n", false},
		{"localhost", "https://localhost", false},
		{"localhost", "http://127.0.0.1:8080", false},
	}
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	for _, tt := range tests {
		credential.RPID = tt.rpID
		q := required(credential)
		q.RPID = tt.rpID
		options, c := begin(t, q)
		_, err := finish(t, c, d.get(t, options, func(out *draft) { out.client.Origin = tt.origin }), credential)
		switch {
		case tt.ok && err != nil:
			t.Errorf("%s for %s: %v", tt.origin, tt.rpID, err)
		case !tt.ok && (!errors.Is(err, passkey.ErrRejected) || !strings.Contains(err.Error(), "is not allowed")):
			t.Errorf("%s for %s: %v, want a rejected origin", tt.origin, tt.rpID, err)
		}
	}
}

func TestWellKnownListsTheSitesAndNotTheApps(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		rpID:          `{"origins":["https://example.com","https://login.example.com"]}`,
		"example.org": `{"origins":["https://example.org"]}`,
		"localhost":   `{"origins":[]}`,
	} {
		party, err := parties(t).Find(id)
		if err != nil {
			t.Fatalf("Find: %v", err)
		}
		if got := string(party.WellKnown()); got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}
