package passkey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
)

func TestAssertionOptionsHaveTheShapeOfTheContract(t *testing.T) {
	t.Parallel()
	credentials := []passkey.Credential{
		{ID: []byte("one"), RPID: rpID, Kind: passkey.Passkey},
		{ID: []byte("two"), RPID: "example.org", Kind: passkey.Passkey},
		{ID: []byte("three"), RPID: rpID, Kind: passkey.U2F, Transports: []string{"usb"}},
		{ID: []byte("four"), RPID: rpID, Kind: passkey.Passkey},
	}
	const first = `{"publicKey":{"challenge":"%","timeout":300000,"rpId":"example.com",`
	tests := []struct {
		name    string
		request passkey.AssertionRequest
		kind    passkey.Kind
		want    string
	}{
		{
			"required asks for passkeys",
			passkey.AssertionRequest{Verification: passkey.Required, Credentials: credentials}, passkey.Passkey,
			`"allowCredentials":[{"type":"public-key","id":"b25l"},{"type":"public-key","id":"Zm91cg"}],"userVerification":"required"}}`,
		},
		{
			"preferred asks for U2F",
			passkey.AssertionRequest{Verification: passkey.Preferred, Credentials: credentials}, passkey.U2F,
			`"allowCredentials":[{"type":"public-key","id":"dGhyZWU","transports":["usb"]}],"userVerification":"preferred"}}`,
		},
		{
			"discouraged asks for U2F",
			passkey.AssertionRequest{Verification: passkey.Discouraged, Credentials: credentials}, passkey.U2F,
			`"allowCredentials":[{"type":"public-key","id":"dGhyZWU","transports":["usb"]}],"userVerification":"discouraged"}}`,
		},
		{
			"discoverable asks for any passkey",
			passkey.AssertionRequest{Verification: passkey.Required, Discoverable: true, Credentials: credentials}, passkey.Passkey,
			`"userVerification":"required"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			options, c := begin(t, tt.request)
			want := strings.Replace(first, "%", b64(c.Value), 1) + tt.want
			if diff := cmp.Diff(decoded(t, []byte(want)), decoded(t, options)); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			wantChallenge := passkey.Challenge{
				Value: c.Value, RPID: rpID, Kind: tt.kind, Verification: tt.request.Verification,
				Discoverable: tt.request.Discoverable, Expires: now.Add(passkey.Lifetime),
			}
			if diff := cmp.Diff(wantChallenge, c); diff != "" || len(c.Value) != 32 {
				t.Errorf("challenge (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBeginAssertionRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	mine := []passkey.Credential{{ID: []byte("one"), RPID: rpID, Kind: passkey.Passkey}}
	tests := []struct {
		name    string
		request passkey.AssertionRequest
		want    error
	}{
		{"unknown relying party", passkey.AssertionRequest{RPID: "evil.com", Verification: passkey.Required, Credentials: mine}, passkey.ErrRelyingParty},
		{"no credential", passkey.AssertionRequest{RPID: rpID, Verification: passkey.Required}, passkey.ErrNoCredential},
		{"none of the kind", passkey.AssertionRequest{RPID: rpID, Verification: passkey.Preferred, Credentials: mine}, passkey.ErrNoCredential},
		{"none of the relying party", passkey.AssertionRequest{RPID: "example.org", Verification: passkey.Required, Credentials: mine}, passkey.ErrNoCredential},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := parties(t).BeginAssertion(&random{}, tt.request)
			if !errors.Is(err, tt.want) || fault.From(err).Kind.HTTPStatus() != 400 {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
	broken := errors.New("entropy is out")
	q := passkey.AssertionRequest{RPID: rpID, Verification: passkey.Required, Credentials: mine}
	if _, _, err := parties(t).BeginAssertion(iotest.ErrReader(broken), q); !errors.Is(err, broken) {
		t.Errorf("error %v, want the cause", err)
	}
}

// required is the request for one of the credentials with user verification.
func required(credentials ...passkey.Credential) passkey.AssertionRequest {
	return passkey.AssertionRequest{Verification: passkey.Required, Credentials: credentials}
}

func TestARightAssertionIsVerifiedWithEveryKeyType(t *testing.T) {
	t.Parallel()
	ec, rsa := newDevice(t), newDevice(t)
	rsa.key = rsaKey()
	for name, d := range map[string]device{"EC2": ec, "RSA": rsa} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			credential := register(t, d, passkey.Passkey)
			options, c := begin(t, required(credential))
			proof, err := finish(t, c, d.get(t, options, nil), credential)
			if err != nil {
				t.Fatalf("FinishAssertion: %v", err)
			}
			if diff := cmp.Diff(passkey.Assertion{Credential: credential, UserVerified: true}, proof); diff != "" {
				t.Errorf("assertion (-want +got):\n%s", diff)
			}
		})
	}
}

func TestW7AWrongAssertionIsRejected(t *testing.T) {
	t.Parallel()
	other := *passkeytest.Key(9)
	tests := []struct {
		name  string
		bend  func(*draft)
		cause string
	}{
		{"W1 another challenge", func(d *draft) { d.client.Challenge = b64(make([]byte, 32)) }, "another challenge"},
		{"W1 no challenge", func(d *draft) { d.client.Challenge = "" }, "another challenge"},
		{"W1 padded challenge", func(d *draft) { d.client.Challenge += "=" }, "another challenge"},
		{"W2 registration instead", func(d *draft) { d.client.Type = "webauthn.create" }, "ceremony type"},
		{"W2 evil origin with right RP id hash", func(d *draft) { d.client.Origin = "https://evil.com" }, "origin"},
		{"W2 subdomain", func(d *draft) { d.client.Origin = "https://user-content.example.com" }, "origin"},
		{"W2 without TLS", func(d *draft) { d.client.Origin = "http://example.com" }, "origin"},
		{"W2 another port", func(d *draft) { d.client.Origin = "https://example.com:8443" }, "origin"},
		{"W2 origin with path", func(d *draft) { d.client.Origin = "https://example.com/" }, "origin"},
		{"W2 no origin", func(d *draft) { d.client.Origin = "" }, "origin"},
		{"W2 origin of another relying party", func(d *draft) { d.client.Origin = "https://example.org" }, "origin"},
		{"W2 another app", func(d *draft) { d.client.Origin = "android:apk-key-hash:AAAA" }, "origin"},
		{"W2 in a frame", func(d *draft) { d.client.CrossOrigin = true }, "cross origin"},
		{"W2 in a frame of ours", func(d *draft) { d.client.CrossOrigin, d.client.TopOrigin = true, origin }, "cross origin"},
		{"W2 below another page", func(d *draft) { d.client.TopOrigin = "https://evil.com" }, "topOrigin"},
		{"W2 another relying party", func(d *draft) { d.rpID = "example.org" }, "RP Hash"},
		{"without user", func(d *draft) { d.flags &^= up }, "User presence"},
		{"W3 without verification", func(d *draft) { d.flags &^= uv }, "User verification"},
		{"another key", func(d *draft) { d.key = other }, "signature"},
		{"no signature", func(d *draft) { d.sign = func([]byte) []byte { return nil } }, "signature"},
		{"signature with a bit flipped", func(d *draft) {
			d.sign = func(genuine []byte) []byte { genuine[len(genuine)-1] ^= 1; return genuine }
		}, "signature"},
		{"signature with a byte more", func(d *draft) {
			d.sign = func(genuine []byte) []byte { return append(genuine, 0) }
		}, "signature"},
		{"W5 eligible all of a sudden", func(d *draft) { d.flags |= be }, "eligibility changed"},
		{"W5 backed up but not eligible", func(d *draft) { d.flags |= bs }, "without being eligible"},
		{"W6 another user's handle", func(d *draft) { d.handle = []byte("someone-else") }, "user handle"},
		{"W6 handle with a byte more", func(d *draft) { d.handle = append(bytes.Clone(handle), 0) }, "user handle"},
	}
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			options, c := begin(t, required(credential))
			proof, err := finish(t, c, d.get(t, options, tt.bend), credential)
			refused(t, err, passkey.ErrRejected, tt.cause)
			if f := fault.From(err); f.Kind != fault.InvalidArgument || f.Message() != "Error on validate login credentials (WEBAU-3M9si)" {
				t.Errorf("fault %v %q", f.Kind, f.Message())
			}
			if diff := cmp.Diff(passkey.Assertion{}, proof); diff != "" {
				t.Errorf("a rejected assertion yields %s", diff)
			}
		})
	}
}

func TestW5ASyncedPasskeyStaysEligible(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	d.flags = up | uv | be
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, required(credential))
	_, err := finish(t, c, d.get(t, options, func(out *draft) { out.flags &^= be }), credential)
	refused(t, err, passkey.ErrRejected, "eligibility changed")

	proof, err := finish(t, c, d.get(t, options, func(out *draft) { out.flags |= bs }), credential)
	if err != nil || !proof.Credential.BackupState || !proof.Credential.BackupEligible {
		t.Errorf("first backup: %+v, %v; want the new state", proof, err)
	}
	proof, err = finish(t, c, d.get(t, options, nil), proof.Credential)
	if err != nil || proof.Credential.BackupState {
		t.Errorf("backup removed: %+v, %v; want the new state", proof, err)
	}
}

func TestW4ACounterThatDoesNotGrowIsAClone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		stored, sent uint32
		cloned       bool
	}{
		{0, 0, false},
		{0, 1, false},
		{5, 6, false},
		{5, 4294967295, false},
		{5, 3, true},
		{5, 5, true},
		{5, 0, true},
		{4294967295, 0, true},
	}
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	for _, tt := range tests {
		credential.SignCount = tt.stored
		options, c := begin(t, required(credential))
		proof, err := finish(t, c, d.get(t, options, func(out *draft) { out.counter = tt.sent }), credential)
		if tt.cloned {
			refused(t, err, passkey.ErrRejected, "counter")
			if !errors.Is(err, passkey.ErrCloned) {
				t.Errorf("%d after %d: %v, want ErrCloned as the cause", tt.sent, tt.stored, err)
			}
			continue
		}
		if err != nil || proof.Credential.SignCount != tt.sent {
			t.Errorf("%d after %d: %+v, %v; want the new counter", tt.sent, tt.stored, proof, err)
		}
	}
}

// Whoever has neither key nor a recorded answer must not raise the clone alarm.
func TestW4AForgedAssertionIsNoClone(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	credential.SignCount = 5
	options, c := begin(t, required(credential))
	_, err := finish(t, c, d.get(t, options, func(out *draft) { out.key = *passkeytest.Key(9) }), credential)
	refused(t, err, passkey.ErrRejected, "signature")
	if errors.Is(err, passkey.ErrCloned) {
		t.Errorf("error %v has ErrCloned in its chain", err)
	}
}

func TestW1AnAnswerIsGoodForItsOwnChallengeOnly(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	d.counter = 1
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, required(credential))
	d.counter = 2
	answer := d.get(t, options, nil)
	proof, err := finish(t, c, answer, credential)
	if err != nil {
		t.Fatalf("first use: %v", err)
	}
	// The caller forgot the challenge and opened another one.
	next := c
	next.Value = bytes.Repeat([]byte{1}, 32)
	_, err = finish(t, next, answer, proof.Credential)
	refused(t, err, passkey.ErrRejected, "another challenge")
	// The caller did not forget it: the counter, where there is one, still tells.
	_, err = finish(t, c, answer, proof.Credential)
	refused(t, err, passkey.ErrRejected, "counter")
}

func TestW1AnAssertionAfterItsExpiryIsRefused(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, required(credential))
	answer, err := passkey.ParseAssertion(d.get(t, options, nil))
	if err != nil {
		t.Fatalf("ParseAssertion: %v", err)
	}
	owner := passkey.Owner{Handle: handle, Credentials: []passkey.Credential{credential}}
	if _, err := parties(t).FinishAssertion(c, answer, owner, now.Add(passkey.Lifetime-1)); err != nil {
		t.Errorf("in the last moment: %v", err)
	}
	_, err = parties(t).FinishAssertion(c, answer, owner, now.Add(passkey.Lifetime))
	refused(t, err, passkey.ErrExpired, "")
}

// A challenge that lost its fields on the way to the store and back must not open
// anything.
func TestAnEmptyChallengeIsNeverAnswered(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	options, whole := begin(t, required(credential))
	empty := d.get(t, options, func(out *draft) { out.client.Challenge = "" })
	unverified := d.get(t, options, func(out *draft) { out.flags &^= uv })
	tests := []struct {
		name   string
		lose   func(*passkey.Challenge)
		answer []byte
		want   error
	}{
		{"value", func(c *passkey.Challenge) { c.Value = nil }, empty, passkey.ErrRejected},
		{"relying party", func(c *passkey.Challenge) { c.RPID = "" }, empty, passkey.ErrRelyingParty},
		{"kind", func(c *passkey.Challenge) { c.Kind = "" }, empty, passkey.ErrUnknownCredential},
		{"verification", func(c *passkey.Challenge) { c.Verification = "" }, unverified, passkey.ErrRejected},
		{"everything", func(c *passkey.Challenge) { *c = passkey.Challenge{} }, empty, passkey.ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := whole
			tt.lose(&c)
			_, err := finish(t, c, tt.answer, credential)
			refused(t, err, tt.want, "")
		})
	}
}

func TestW3VerificationIsReportedAndEnforcedOnlyWhereItIsRequired(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.U2F)
	for _, verification := range []passkey.Verification{passkey.Preferred, passkey.Discouraged} {
		for _, flags := range []byte{up, up | uv} {
			options, c := begin(t, passkey.AssertionRequest{Verification: verification, Credentials: []passkey.Credential{credential}})
			proof, err := finish(t, c, d.get(t, options, func(out *draft) { out.flags = flags }), credential)
			if err != nil || proof.UserVerified != (flags&uv != 0) {
				t.Errorf("%s with flags %02x: %+v, %v", verification, flags, proof, err)
			}
		}
	}
}

func TestACredentialOfAnotherKindOrRelyingPartyIsNotFound(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, required(credential))
	u2f, elsewhere, other := credential, credential, credential
	u2f.Kind = passkey.U2F
	elsewhere.RPID = "example.org"
	other.ID = []byte("credential-2")
	for name, list := range map[string][]passkey.Credential{
		"none": nil, "kind": {u2f}, "relying party": {elsewhere}, "id": {other}, "all three": {u2f, elsewhere, other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := finish(t, c, d.get(t, options, nil), list...)
			refused(t, err, passkey.ErrUnknownCredential, "")
			if f := fault.From(err); f.Kind != fault.FailedPrecondition || f.ID != "COMMAND-Aej7i" {
				t.Errorf("fault %v %s", f.Kind, f.ID)
			}
		})
	}
	if _, err := finish(t, c, d.get(t, options, nil), u2f, elsewhere, other, credential); err != nil {
		t.Errorf("the right one among others: %v", err)
	}
}
