package passkey_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
)

// The bits of the flags in authenticator data (WebAuthn section 6.1).
const (
	up = 1 << iota
	_
	uv
	be
	bs
	_
	at
	ed
)

const (
	rpID   = "example.com"
	origin = "https://example.com"
)

var (
	now    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	handle = []byte("01jxz0a9q4kk7v2m3n5p6r8st0")
)

func parties(t testing.TB) *passkey.RelyingParties {
	t.Helper()
	r, err := passkey.New(map[string][]string{
		rpID:          {"https://login.example.com", "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"},
		"example.org": nil,
		"localhost":   nil,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

// random is a source that gives other bytes on every read.
type random struct{ n uint64 }

func (r *random) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += sha256.Size {
		r.n++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, r.n))
		copy(p[i:], sum[:])
	}
	return len(p), nil
}

// rsaKey is made once, because that takes long. Keys are passed by value: using one
// changes it, which parallel tests must not see of each other.
var rsaKey = sync.OnceValue(func() virtualwebauthn.Key {
	made := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeRSA).Key
	return virtualwebauthn.Key{Type: made.Type, Data: made.Data}
})

// device is an authenticator and the browser in front of it, which do whatever a
// test asks for.
type device struct {
	key     virtualwebauthn.Key
	id      []byte
	flags   byte
	counter uint32
	aaguid  [16]byte
}

func newDevice(t testing.TB) device {
	t.Helper()
	return device{key: *passkeytest.Key(7), id: []byte("credential-1"), flags: up | uv, aaguid: [16]byte{1, 2, 3}}
}

// clientData is what the browser says, in the order of WebAuthn section 5.8.1.1.
type clientData struct {
	Type        string `json:"type"`
	Challenge   string `json:"challenge"`
	Origin      string `json:"origin"`
	CrossOrigin bool   `json:"crossOrigin"`
	TopOrigin   string `json:"topOrigin,omitempty"`
}

// draft is an answer before it is signed.
type draft struct {
	client   clientData
	rpID     string
	flags    byte
	counter  uint32
	id       []byte
	handle   []byte
	key      virtualwebauthn.Key
	authTail []byte // behind the counter
	// sign replaces the signature, when set.
	sign func(genuine []byte) []byte
	// object wraps the authenticator data of a registration.
	object func(authData []byte) []byte
}

type asked struct {
	PublicKey struct {
		Challenge        string
		RPID             string `json:"rpId"`
		RP               struct{ ID string }
		AllowCredentials []struct{ ID string }
	}
}

func (d device) draft(t testing.TB, kind string, options []byte, bend func(*draft)) draft {
	t.Helper()
	var q asked
	if err := json.Unmarshal(options, &q); err != nil {
		t.Fatalf("options %s: %v", options, err)
	}
	out := draft{
		client:  clientData{Type: kind, Challenge: q.PublicKey.Challenge, Origin: origin},
		rpID:    q.PublicKey.RPID + q.PublicKey.RP.ID,
		flags:   d.flags,
		counter: d.counter,
		id:      d.id,
		key:     d.key,
		sign:    func(genuine []byte) []byte { return genuine },
		object:  noAttestation,
	}
	if bend != nil {
		bend(&out)
	}
	return out
}

func (d draft) authData() []byte {
	sum := sha256.Sum256([]byte(d.rpID))
	data := append(sum[:], d.flags)
	data = binary.BigEndian.AppendUint32(data, d.counter)
	return append(data, d.authTail...)
}

func (d draft) clientJSON(t testing.TB) []byte {
	t.Helper()
	text, err := json.Marshal(d.client)
	if err != nil {
		t.Fatalf("client data: %v", err)
	}
	return text
}

// get answers navigator.credentials.get().
func (d device) get(t testing.TB, options []byte, bend func(*draft)) []byte {
	t.Helper()
	out := d.draft(t, "webauthn.get", options, bend)
	client, authData := out.clientJSON(t), out.authData()
	return response(t, out.id, map[string]any{
		"clientDataJSON":    b64(client),
		"authenticatorData": b64(authData),
		"signature":         b64(out.sign(signature(t, out.key, authData, client))),
		"userHandle":        b64(out.handle),
	})
}

func signature(t testing.TB, key virtualwebauthn.Key, authData, client []byte) []byte {
	t.Helper()
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(authData), hash[:]...))
	sig, err := key.Sign(digest[:])
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return sig
}

// create answers navigator.credentials.create().
func (d device) create(t testing.TB, options []byte, bend func(*draft)) []byte {
	t.Helper()
	out := d.draft(t, "webauthn.create", options, func(out *draft) {
		out.flags |= at
		out.authTail = attested(d.aaguid, d.id, d.key.AttestationData())
		if bend != nil {
			bend(out)
		}
	})
	return response(t, out.id, map[string]any{
		"clientDataJSON":    b64(out.clientJSON(t)),
		"attestationObject": b64(out.object(out.authData())),
		"transports":        []string{"internal", "hybrid"},
	})
}

func attested(aaguid [16]byte, id, key []byte) []byte {
	tail := append(aaguid[:], byte(len(id)>>8), byte(len(id)))
	return append(append(tail, id...), key...)
}

// noAttestation is the CBOR map {"fmt": "none", "attStmt": {}, "authData": …}.
func noAttestation(authData []byte) []byte {
	object := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59")
	object = binary.BigEndian.AppendUint16(object, uint16(len(authData)))
	return append(object, authData...)
}

func response(t testing.TB, id []byte, inner map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"id": b64(id), "rawId": b64(id), "type": "public-key", "response": inner,
		"clientExtensionResults": map[string]any{}, "authenticatorAttachment": "platform",
	})
	if err != nil {
		t.Fatalf("encode response: %v", err)
	}
	return text
}

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func registrationOf(kind passkey.Kind) passkey.RegistrationRequest {
	return passkey.RegistrationRequest{
		RPID: rpID, UserHandle: handle, LoginName: "mini@mouse.com", DisplayName: "Mini Mouse", Kind: kind, Now: now,
	}
}

// register runs a whole registration that must succeed.
func register(t testing.TB, d device, kind passkey.Kind) passkey.Credential {
	t.Helper()
	r := parties(t)
	options, c, err := r.BeginRegistration(&random{}, registrationOf(kind))
	if err != nil {
		t.Fatalf("BeginRegistration: %v", err)
	}
	credential, err := r.FinishRegistration(c, d.create(t, options, nil), now)
	if err != nil {
		t.Fatalf("FinishRegistration: %v", err)
	}
	return credential
}

func begin(t testing.TB, q passkey.AssertionRequest) (options []byte, c passkey.Challenge) {
	t.Helper()
	if q.RPID == "" {
		q.RPID = rpID
	}
	q.Now = now
	options, c, err := parties(t).BeginAssertion(&random{}, q)
	if err != nil {
		t.Fatalf("BeginAssertion: %v", err)
	}
	return options, c
}

// finish reads and verifies an answer, as a caller does.
func finish(t testing.TB, c passkey.Challenge, response []byte, credentials ...passkey.Credential) (passkey.Assertion, error) {
	t.Helper()
	answer, err := passkey.ParseAssertion(response)
	if err != nil {
		return passkey.Assertion{}, err
	}
	return parties(t).FinishAssertion(c, answer, passkey.Owner{Handle: handle, Credentials: credentials}, now)
}

// refused fails the test unless err is the fault, and its cause has the words.
func refused(t testing.TB, err, want error, cause string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), cause) {
		t.Errorf("error %q does not say %q", err, cause)
	}
}
