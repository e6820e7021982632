package passkey_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
)

// The device of the other tests was written beside the code under test. This one was
// not: it reads the options by itself and answers with a packed self attestation.
func TestAVirtualAuthenticatorRegistersAndSignsIn(t *testing.T) {
	t.Parallel()
	keys := map[string]virtualwebauthn.Key{"EC2": *passkeytest.Key(3), "RSA": rsaKey()}
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := parties(t)
			rp := virtualwebauthn.RelyingParty{ID: rpID, Name: "Example", Origin: "https://login.example.com"}
			authenticator := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: handle})
			held := virtualwebauthn.Credential{ID: []byte(name), Key: &key}

			options, c, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
			if err != nil {
				t.Fatalf("BeginRegistration: %v", err)
			}
			creation, err := virtualwebauthn.ParseAttestationOptions(string(options))
			if err != nil {
				t.Fatalf("options %s: %v", options, err)
			}
			if creation.UserID != string(handle) || creation.UserName != "mini@mouse.com" || creation.RelyingPartyID != rpID {
				t.Errorf("options read as %+v", creation)
			}
			response := virtualwebauthn.CreateAttestationResponse(rp, authenticator, held, *creation)
			credential, err := r.FinishRegistration(c, []byte(response), now)
			if err != nil {
				t.Fatalf("FinishRegistration: %v", err)
			}
			if credential.AttestationFormat != "packed" || credential.AAGUID != authenticator.Aaguid {
				t.Errorf("credential %+v", credential)
			}

			options, c = begin(t, required(credential))
			request, err := virtualwebauthn.ParseAssertionOptions(string(options))
			if err != nil {
				t.Fatalf("options %s: %v", options, err)
			}
			if !held.IsAllowedForAssertion(*request) || request.RelyingPartyID != rpID {
				t.Errorf("options read as %+v", request)
			}
			held.Counter++
			response = virtualwebauthn.CreateAssertionResponse(rp, authenticator, held, *request)
			proof, err := finish(t, c, []byte(response), credential)
			if err != nil || !proof.UserVerified || proof.Credential.SignCount != 1 {
				t.Errorf("FinishAssertion = %+v, %v", proof, err)
			}
		})
	}
}

// vector is one of the examples in section 16 of Web Authentication Level 3, in hex.
type vector struct {
	Section      string
	Name         string
	CredentialID string
	Registration struct {
		Challenge, ClientDataJSON, AttestationObject string
	}
	Authentication struct {
		Challenge, ClientDataJSON, AuthenticatorData, Signature string
	}
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/webauthn-3-section-16.json")
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("vectors: %v", err)
	}
	return all
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatalf("hex: %v", err)
	}
	return raw
}

// answers returns the two challenges of a vector and what was answered to them.
func (v vector) answers(t testing.TB) (create, get passkey.Challenge, created, got []byte) {
	t.Helper()
	base := passkey.Challenge{
		RPID: "example.org", Kind: passkey.U2F, Verification: passkey.Preferred, Expires: now.Add(passkey.Lifetime),
	}
	create, get = base, base
	create.Value, get.Value = unhex(t, v.Registration.Challenge), unhex(t, v.Authentication.Challenge)
	id := unhex(t, v.CredentialID)
	created = response(t, id, map[string]any{
		"clientDataJSON":    b64(unhex(t, v.Registration.ClientDataJSON)),
		"attestationObject": b64(unhex(t, v.Registration.AttestationObject)),
	})
	got = response(t, id, map[string]any{
		"clientDataJSON":    b64(unhex(t, v.Authentication.ClientDataJSON)),
		"authenticatorData": b64(unhex(t, v.Authentication.AuthenticatorData)),
		"signature":         b64(unhex(t, v.Authentication.Signature)),
	})
	return create, get, created, got
}

// Section 16 says how its random values are made, so that a vector proves by itself
// that it was not invented here.
func TestVectorsAreThoseOfTheSpecification(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		want := unhex(t, v.Registration.Challenge)
		got, err := hkdf.Key(sha256.New, []byte("WebAuthn test vectors"), []byte{0}, v.Name, len(want))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s %s: challenge %x, derived %x, %v", v.Section, v.Name, want, got, err)
		}
	}
}

// specified has the relying party of the vectors.
func specified(t testing.TB) *passkey.RelyingParties {
	t.Helper()
	r, err := passkey.New(map[string][]string{"example.org": nil})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return r
}

func TestVectorsOfTheSpecificationRegister(t *testing.T) {
	t.Parallel()
	// refusals are the vectors that this service does not take, with why: frames are
	// not allowed, and some formats demand a chain to a maker's root, which an example
	// cannot have. Attestation of any format is not asked for.
	refusals := map[string]string{
		"none.ES256.crossOrigin": "cross origin",
		"none.ES256.topOrigin":   "cross origin",
		"tpm.ES256":              "TPM manufacturer",
		"android-key.ES256":      "cert chain",
		"apple.ES256":            "cert chain",
	}
	all := vectors(t)
	if len(all) != 14 {
		t.Fatalf("%d vectors, want 14", len(all))
	}
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			c, _, answer, _ := v.answers(t)
			credential, err := specified(t).FinishRegistration(c, answer, now)
			if cause, ok := refusals[v.Name]; ok {
				refused(t, err, passkey.ErrRegistrationRejected, cause)
				return
			}
			want := v.credential(t)
			want.AAGUID, want.AttestationFormat = credential.AAGUID, credential.AttestationFormat
			if diff := cmp.Diff(want, credential); diff != "" || err != nil {
				t.Errorf("FinishRegistration: %v; (-want +got):\n%s", err, diff)
			}
		})
	}
}

// credential reads what was registered from the end of the attestation object, where
// the authenticator data stands: flags, counter, AAGUID, the id behind its size, key.
func (v vector) credential(t testing.TB) passkey.Credential {
	t.Helper()
	object, id := unhex(t, v.Registration.AttestationObject), unhex(t, v.CredentialID)
	start := bytes.LastIndex(object, id)
	flags := object[start-2-16-4-1]
	return passkey.Credential{
		ID: id, PublicKey: object[start+len(id):], RPID: "example.org", Kind: passkey.U2F,
		BackupEligible: flags&be != 0, BackupState: flags&bs != 0, UserVerified: flags&uv != 0,
	}
}

func TestVectorsOfTheSpecificationSignIn(t *testing.T) {
	t.Parallel()
	inFrames := []string{"none.ES256.crossOrigin", "none.ES256.topOrigin"}
	for _, v := range vectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			_, c, _, response := v.answers(t)
			credential := v.credential(t)
			answer, err := passkey.ParseAssertion(response)
			if err != nil {
				t.Fatalf("ParseAssertion: %v", err)
			}
			proof, err := specified(t).FinishAssertion(c, answer, passkey.Owner{Credentials: []passkey.Credential{credential}}, now)
			if slices.Contains(inFrames, v.Name) {
				refused(t, err, passkey.ErrRejected, "cross origin")
				return
			}
			flags := unhex(t, v.Authentication.AuthenticatorData)[32]
			credential.BackupState = flags&bs != 0
			want := passkey.Assertion{Credential: credential, UserVerified: flags&uv != 0}
			if diff := cmp.Diff(want, proof); diff != "" || err != nil {
				t.Errorf("FinishAssertion: %v; (-want +got):\n%s", err, diff)
			}
		})
	}
}
