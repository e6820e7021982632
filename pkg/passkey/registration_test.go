package passkey_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

func TestRegistrationOptionsHaveTheShapeOfTheContract(t *testing.T) {
	t.Parallel()
	existing := []passkey.Credential{
		{ID: []byte("one"), RPID: rpID, Kind: passkey.U2F, Transports: []string{"usb", "nfc"}},
		{ID: []byte("two"), RPID: "example.org", Kind: passkey.Passkey},
	}
	const algorithms = `[{"type":"public-key","alg":-7},{"type":"public-key","alg":-8},{"type":"public-key","alg":-35},` +
		`{"type":"public-key","alg":-36},{"type":"public-key","alg":-257}]`
	tests := []struct {
		name    string
		request passkey.RegistrationRequest
		want    string
	}{
		{
			"passkey",
			passkey.RegistrationRequest{
				RPID: rpID, RPName: "Example", UserHandle: []byte("u1"), LoginName: "mini@mouse.com", DisplayName: "Mini Mouse",
				Kind: passkey.Passkey, Attachment: passkey.Platform, Existing: existing, Now: now,
			},
			`{"rp":{"id":"example.com","name":"Example"},"user":{"id":"dTE","name":"mini@mouse.com","displayName":"Mini Mouse"},` +
				`"challenge":"%","pubKeyCredParams":` + algorithms + `,"timeout":300000,` +
				`"excludeCredentials":[{"type":"public-key","id":"b25l","transports":["usb","nfc"]}],` +
				`"authenticatorSelection":{"authenticatorAttachment":"platform","residentKey":"preferred","userVerification":"required"},` +
				`"attestation":"none"}`,
		},
		{
			"U2F with nothing optional",
			passkey.RegistrationRequest{RPID: rpID, UserHandle: []byte("u1"), LoginName: "mini", Kind: passkey.U2F, Now: now},
			`{"rp":{"id":"example.com","name":"example.com"},"user":{"id":"dTE","name":"mini","displayName":"mini"},` +
				`"challenge":"%","pubKeyCredParams":` + algorithms + `,"timeout":300000,` +
				`"authenticatorSelection":{"residentKey":"discouraged","userVerification":"discouraged"},"attestation":"none"}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			options, c, err := parties(t).BeginRegistration(&random{}, tt.request)
			if err != nil {
				t.Fatalf("BeginRegistration: %v", err)
			}
			want := `{"publicKey":` + strings.Replace(tt.want, "%", b64(c.Value), 1) + `}`
			if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, options)); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func decoded(t *testing.T, text []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func TestW1AChallengeIs32FreshBytesAndExpires(t *testing.T) {
	t.Parallel()
	source := &random{}
	seen := map[string]bool{}
	for range 3 {
		_, c, err := parties(t).BeginRegistration(source, registrationOf(passkey.Passkey))
		if err != nil {
			t.Fatalf("BeginRegistration: %v", err)
		}
		if len(c.Value) != 32 || seen[string(c.Value)] {
			t.Errorf("challenge %x of %d bytes", c.Value, len(c.Value))
		}
		seen[string(c.Value)] = true
		want := passkey.Challenge{
			Value: c.Value, RPID: rpID, Kind: passkey.Passkey, Verification: passkey.Required, Expires: now.Add(passkey.Lifetime),
		}
		if diff := cmp.Diff(want, c); diff != "" {
			t.Errorf("challenge (-want +got):\n%s", diff)
		}
	}
}

func TestBeginRegistrationRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		bend func(*passkey.RegistrationRequest)
		want error
	}{
		{"unknown relying party", func(q *passkey.RegistrationRequest) { q.RPID = "evil.com" }, passkey.ErrRelyingParty},
		{"subdomain of one", func(q *passkey.RegistrationRequest) { q.RPID = "login.example.com" }, passkey.ErrRelyingParty},
		{"no relying party", func(q *passkey.RegistrationRequest) { q.RPID = "" }, passkey.ErrRelyingParty},
		{"no user handle", func(q *passkey.RegistrationRequest) { q.UserHandle = nil }, passkey.ErrUserHandle},
		{"long user handle", func(q *passkey.RegistrationRequest) { q.UserHandle = make([]byte, 65) }, passkey.ErrUserHandle},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := registrationOf(passkey.Passkey)
			tt.bend(&q)
			_, _, err := parties(t).BeginRegistration(&random{}, q)
			if !errors.Is(err, tt.want) || fault.From(err).Kind != fault.InvalidArgument {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	broken := errors.New("entropy is out")
	if _, _, err := parties(t).BeginRegistration(iotest.ErrReader(broken), registrationOf(passkey.Passkey)); !errors.Is(err, broken) {
		t.Errorf("error %v, want the cause", err)
	}
}

func TestRegistrationYieldsWhatTheAuthenticatorSaid(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	want := passkey.Credential{
		ID: d.id, PublicKey: d.key.AttestationData(), RPID: rpID, AAGUID: d.aaguid,
		Transports: []string{"internal", "hybrid"}, AttestationFormat: "none",
	}
	tests := []struct {
		name    string
		kind    passkey.Kind
		flags   byte
		counter uint32
		want    func(*passkey.Credential)
	}{
		{"passkey of one device", passkey.Passkey, up | uv, 7, func(c *passkey.Credential) {
			c.UserVerified, c.SignCount = true, 7
		}},
		{"synced passkey", passkey.Passkey, up | uv | be | bs, 0, func(c *passkey.Credential) {
			c.UserVerified, c.BackupEligible, c.BackupState = true, true, true
		}},
		{"passkey that will be synced", passkey.Passkey, up | uv | be, 0, func(c *passkey.Credential) {
			c.UserVerified, c.BackupEligible = true, true
		}},
		{"U2F key", passkey.U2F, up, 0, func(*passkey.Credential) {}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, want := d, want
			d.flags, d.counter, want.Kind = tt.flags, tt.counter, tt.kind
			tt.want(&want)
			if diff := cmp.Diff(want, register(t, d, tt.kind)); diff != "" {
				t.Errorf("credential (-want +got):\n%s", diff)
			}
		})
	}
}

func TestW7ARegistrationThatDoesNotFitTheChallengeIsRejected(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		bend  func(*draft)
		cause string
	}{
		{"another challenge", func(d *draft) { d.client.Challenge = b64(make([]byte, 32)) }, "another challenge"},
		{"assertion instead", func(d *draft) { d.client.Type = "webauthn.get" }, "ceremony type"},
		{"evil origin", func(d *draft) { d.client.Origin = "https://example.com.evil.com" }, "origin"},
		{"in a frame", func(d *draft) { d.client.CrossOrigin = true }, "cross origin"},
		{"another relying party", func(d *draft) { d.rpID = "example.org" }, "RP Hash"},
		{"without user", func(d *draft) { d.flags &^= up }, "User presence"},
		{"without verification", func(d *draft) { d.flags &^= uv }, "User verification"},
		{"backed up but not eligible", func(d *draft) { d.flags |= bs }, "without being eligible"},
		{"another credential id", func(d *draft) { d.id = []byte("credential-2") }, "credential id"},
		{"algorithm nobody asked for", func(d *draft) {
			d.authTail = attested([16]byte{}, d.id, []byte("\xa3\x01\x01\x03\x39\x01\x2b\x20\x06")) // alg -300
		}, "algorithm not supported"},
		{"key of any length", func(d *draft) {
			key := "\xa4\x01\x03\x03\x39\x01\x00\x21\x43\x01\x00\x01\x20\x59\x04\x01" + strings.Repeat("\xff", 0x401)
			d.authTail = attested([16]byte{}, d.id, []byte(key))
		}, "public key has"},
		{"attestation below none", func(d *draft) {
			d.object = func(authData []byte) []byte {
				return []byte(strings.Replace(string(noAttestation(authData)), "attStmt\xa0", "attStmt\xa1\x61a\x01", 1))
			}
		}, "none"},
		{"unknown attestation", func(d *draft) {
			d.object = func(authData []byte) []byte {
				return []byte(strings.Replace(string(noAttestation(authData)), "\x64none", "\x64nine", 1))
			}
		}, "nine"},
		{"forged self attestation", func(d *draft) {
			d.object = func(authData []byte) []byte {
				object := strings.Replace(string(noAttestation(authData)), "\x64none", "\x66packed", 1)
				return []byte(strings.Replace(object, "attStmt\xa0", "attStmt\xa2\x63alg\x26\x63sig\x41\x00", 1))
			}
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := parties(t)
			options, c, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
			if err != nil {
				t.Fatalf("BeginRegistration: %v", err)
			}
			credential, err := r.FinishRegistration(c, newDevice(t).create(t, options, tt.bend), now)
			refused(t, err, passkey.ErrRegistrationRejected, tt.cause)
			if diff := cmp.Diff(passkey.Credential{}, credential); diff != "" {
				t.Errorf("a rejected registration yields %s", diff)
			}
		})
	}
}

func TestW7AnUnreadableRegistrationIsTheCallersFault(t *testing.T) {
	t.Parallel()
	r := parties(t)
	options, c, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	genuine := string(newDevice(t).create(t, options, nil))
	if _, err := r.FinishRegistration(c, []byte(genuine), now); err != nil {
		t.Fatalf("the answer that is bent here is not genuine: %v", err)
	}
	for name, text := range unreadable(genuine) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.FinishRegistration(c, []byte(text), now)
			refused(t, err, passkey.ErrRegistrationUnreadable, "")
			if fault.From(err).Kind != fault.InvalidArgument {
				t.Errorf("kind %v", fault.From(err).Kind)
			}
		})
	}
}

// unreadable are texts that are no answer, most of them made of a genuine one.
func unreadable(genuine string) map[string]string {
	replaced := func(old, with string) string { return strings.Replace(genuine, old, with, 1) }
	return map[string]string{
		"nothing":             "",
		"null":                "null",
		"a list":              "[]",
		"an empty object":     "{}",
		"half of it":          genuine[:len(genuine)/2],
		"twice":               genuine + genuine,
		"not base64":          replaced(`"rawId":"`, `"rawId":"*`),
		"ids that differ":     replaced(`"rawId":"`, `"rawId":"AAAA`),
		"another type":        replaced(`"public-key"`, `"password"`),
		"number for a text":   replaced(`"clientDataJSON":"`, `"clientDataJSON":1,"x":"`),
		"client data is none": replaced(`"clientDataJSON":"`, `"clientDataJSON":"AAAA","x":"`),
		"over the limit":      replaced(`{`, `{"x":"`+strings.Repeat("x", 32<<10)+`",`),
	}
}

func TestW1ARegistrationAfterItsExpiryIsRefused(t *testing.T) {
	t.Parallel()
	r := parties(t)
	options, c, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	response := newDevice(t).create(t, options, nil)
	if _, err := r.FinishRegistration(c, response, now.Add(passkey.Lifetime-1)); err != nil {
		t.Errorf("in the last moment: %v", err)
	}
	_, err = r.FinishRegistration(c, response, now.Add(passkey.Lifetime))
	refused(t, err, passkey.ErrExpired, "")
}

func TestARegistrationForARelyingPartyThatIsGoneIsRefused(t *testing.T) {
	t.Parallel()
	options, c, err := parties(t).BeginRegistration(&random{}, registrationOf(passkey.Passkey))
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	others, err := passkey.New(map[string][]string{"example.org": nil})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	_, err = others.FinishRegistration(c, newDevice(t).create(t, options, nil), now)
	refused(t, err, passkey.ErrRelyingParty, "")
}

func TestClaimedTransportsAreBounded(t *testing.T) {
	t.Parallel()
	r := parties(t)
	options, c, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	claim := `["usb","","BLE","` + strings.Repeat("x", 33) + `","smart-card","a b"` + strings.Repeat(`,"future"`, 20) + `]`
	text := strings.Replace(string(newDevice(t).create(t, options, nil)), `["internal","hybrid"]`, claim, 1)
	credential, err := r.FinishRegistration(c, []byte(text), now)
	if err != nil {
		t.Fatalf("FinishRegistration: %v", err)
	}
	want := []string{"usb", "smart-card", "future", "future", "future", "future", "future", "future"}
	if diff := cmp.Diff(want, credential.Transports); diff != "" {
		t.Errorf("transports (-want +got):\n%s", diff)
	}
}
