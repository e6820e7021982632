package server_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// vector is one of the examples in section 16 of Web Authentication Level 3, in hex. Their
// relying party is example.org, at its own origin.
type vector struct {
	Name           string
	CredentialID   string
	Registration   ceremony
	Authentication ceremony
}

// ceremony is a challenge and what was answered to it.
type ceremony struct {
	Challenge, ClientDataJSON    string
	AttestationObject            string // of a registration
	AuthenticatorData, Signature string // of an authentication
}

func vectors(t testing.TB) []vector {
	t.Helper()
	text, err := os.ReadFile("../passkey/testdata/webauthn-3-section-16.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// credential is a PublicKeyCredential as a browser writes it, with the members of the
// response in turn as name and value.
func (v vector) credential(t testing.TB, members ...any) tree {
	t.Helper()
	response := tree{}
	for i := 0; i < len(members); i += 2 {
		response[members[i].(string)] = base64.RawURLEncoding.EncodeToString(members[i+1].([]byte))
	}
	id := base64.RawURLEncoding.EncodeToString(unhex(t, v.CredentialID))
	return tree{"id": id, "rawId": id, "type": "public-key", "response": response}
}

// attestation is what the specification prints.
func (v vector) attestation(t testing.TB) tree {
	return v.credential(t,
		"clientDataJSON", unhex(t, v.Registration.ClientDataJSON),
		"attestationObject", unhex(t, v.Registration.AttestationObject))
}

// unattested is the same credential from a browser that was asked for no attestation, on
// a page of its own, with a challenge of 32 bytes: what a registration with this service
// looks like.
func (v vector) unattested(t testing.TB) tree {
	client, err := json.Marshal(tree{
		"type": "webauthn.create", "origin": "https://example.org", "crossOrigin": false,
		"challenge": base64.RawURLEncoding.EncodeToString(unhex(t, v.Registration.Challenge)[:challengeSize]),
	})
	if err != nil {
		t.Fatal(err)
	}
	data := v.authenticatorData(t)
	object := []byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59")
	object = binary.BigEndian.AppendUint16(object, uint16(len(data)))
	return v.credential(t, "clientDataJSON", client, "attestationObject", append(object, data...))
}

// authenticatorData stands at the end of the attestation object, behind its name and its
// size in CBOR.
func (v vector) authenticatorData(t testing.TB) []byte {
	object, name := unhex(t, v.Registration.AttestationObject), []byte("authData")
	rest := object[bytes.LastIndex(object, name)+len(name):]
	if rest[0] == 0x58 { // a size of one byte follows, otherwise one of two
		return rest[2:]
	}
	return rest[3:]
}

func (v vector) assertion(t testing.TB, bend func(signature []byte)) tree {
	signature := unhex(t, v.Authentication.Signature)
	if bend != nil {
		bend(signature)
	}
	return tree{"checks": tree{"webAuthN": tree{"credentialAssertionData": v.credential(t,
		"clientDataJSON", unhex(t, v.Authentication.ClientDataJSON),
		"authenticatorData", unhex(t, v.Authentication.AuthenticatorData),
		"signature", signature)}}}
}

func bitFlipped(signature []byte) { signature[len(signature)-1] ^= 1 }

// challengeSize is the number of bytes of this service's challenges.
const challengeSize = 32

// scripted is randomness that yields the given challenges to whoever draws as many bytes
// as a challenge has, and real ones otherwise.
type scripted struct {
	mu         sync.Mutex
	challenges [][]byte
}

func (s *scripted) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(p) != challengeSize || len(s.challenges) == 0 {
		return rand.Read(p)
	}
	n := copy(p, s.challenges[0])
	s.challenges = s.challenges[1:]
	return n, nil
}

func (s *scripted) draw(challenge []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.challenges = append(s.challenges, challenge)
}

// vectorClient carries one vector through the REST API.
type vectorClient struct {
	keyClient
	vector vector
	random *scripted
	kind   keyKind
}

// keyKind is the REST name of a kind of key, and the requirement that asks for it.
type keyKind struct{ path, requirement string }

var (
	asSecondFactor = keyKind{"u2f", "DISCOURAGED"}
	asPasskey      = keyKind{"passkeys", "REQUIRED"}
)

func newVectorClient(t *testing.T, v vector, kind keyKind) *vectorClient {
	t.Helper()
	random := &scripted{}
	c := newREST(t, apptest.Options{Random: random, Env: map[string]string{"STEPUP_RELYING_PARTIES": "example.org"}})
	u := c.NewUserCheap(t, "ada@example.org")
	return &vectorClient{keyClient: keyClient{restClient: c, t: t, userID: u.ID}, vector: v, random: random, kind: kind}
}

// register opens a registration with the vector's challenge and answers it.
func (c *vectorClient) register(credential tree) answer {
	c.t.Helper()
	challenge := unhex(c.t, c.vector.Registration.Challenge)
	c.random.draw(challenge)
	path := "/v2/users/" + c.userID + "/" + c.kind.path
	made := c.must("POST", path, tree{"domain": "example.org"})
	c.drawn(challenge, made.PublicKeyCredentialCreationOptions)
	return c.send("POST", path+"/"+made.PasskeyID+made.U2fID, tree{
		"passkeyName": "vector", "tokenName": "vector", "publicKeyCredential": credential,
	})
}

// open opens a session and in it the vector's challenge, and returns the session's path.
func (c *vectorClient) open() string {
	c.t.Helper()
	made := c.must("POST", "/v2/sessions", tree{"checks": tree{"user": tree{"userId": c.userID}}})
	path := "/v2/sessions/" + made.SessionID
	challenge := unhex(c.t, c.vector.Authentication.Challenge)
	c.random.draw(challenge)
	c.drawn(challenge, c.ask(path))
	return path
}

// ask opens a challenge in the session and returns the options.
func (c *vectorClient) ask(path string) json.RawMessage {
	c.t.Helper()
	return c.must("PATCH", path, tree{"challenges": tree{"webAuthN": tree{
		"domain": "example.org", "userVerificationRequirement": "USER_VERIFICATION_REQUIREMENT_" + c.kind.requirement,
	}}}).Challenges.WebAuthN.PublicKeyCredentialRequestOptions
}

// drawn fails the test unless the options have the challenge, as far as it fits.
func (c *vectorClient) drawn(challenge []byte, options json.RawMessage) {
	c.t.Helper()
	want := base64.RawURLEncoding.EncodeToString(challenge[:challengeSize])
	if !strings.Contains(string(options), `"`+want+`"`) {
		c.t.Fatalf("options %s do not have the challenge %s", options, want)
	}
}

func (c *vectorClient) send(verb, path string, body tree) answer {
	c.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.do(verb, path, string(text))
}

// judge fails the test unless the call succeeded or, where there is a cause, was refused
// with the status and the id of the caller's own fault, and its log line tells the cause.
func (c *vectorClient) judge(a answer, id, cause string) {
	c.t.Helper()
	if cause == "" {
		if a.status != http.StatusOK {
			c.t.Fatalf("refused: %d %s\n%s", a.status, a.body, c.Logs)
		}
		return
	}
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"id":"`+id+`"`) {
		c.t.Errorf("got %d %s, want %s", a.status, a.body, id)
	}
	lines := strings.Split(strings.TrimSpace(c.Logs.String()), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, cause) {
		c.t.Errorf("the log does not say %q: %s", cause, last)
	}
}

// factor is what the session says of its key.
func (c *vectorClient) factor(path string) (verified, userVerified bool) {
	c.t.Helper()
	f := c.must("GET", path, nil).Session.Factors.WebAuthN
	return f.VerifiedAt != "", f.UserVerified
}

// failures is how many wrong answers have been counted for the user.
func (c *vectorClient) failures() int {
	c.t.Helper()
	u, err := c.Users.Get(c.t.Context(), apptest.Admin(), c.userID)
	if err != nil {
		c.t.Fatal(err)
	}
	return u.Guard.Attempts[user.AuthPasskey].Failures
}

// The causes for which vectors are refused. The service takes no answer from a frame; a
// maker's attestation, if there is one, has to hold, which the chain of an example cannot;
// challenges have 32 bytes, of the 128 of one vector only the first; and a passkey's user
// is verified both times.
const (
	inFrame      = "cross origin"
	longer       = "answer to another challenge"
	unopened     = "answer to a challenge that is not open"
	noUser       = "User verification required but flag not set"
	noMaker      = "TPM manufacturer"
	noChain      = "cert chain"
	registration = "WEBAU-3Vb9s"
	assertion    = "WEBAU-3M9si"
)

// verdict has the causes of what is refused: the registration as it is printed, and the
// assertion.
type verdict struct{ registration, assertion string }

// verdicts are the whole list. A registration that was refused is repeated without
// attestation, so that the assertion is tried with every vector.
var verdicts = map[string]struct{ secondFactor, passkey verdict }{
	"none.ES256":                    {verdict{}, verdict{registration: noUser}},
	"packed-self.ES256":             {verdict{}, verdict{assertion: noUser}},
	"none.ES256.crossOrigin":        {verdict{inFrame, inFrame}, verdict{inFrame, inFrame}},
	"none.ES256.topOrigin":          {verdict{inFrame, inFrame}, verdict{registration: inFrame}},
	"none.ES256.long-credential-id": {verdict{}, verdict{registration: noUser}},
	"packed.ES256":                  {verdict{}, verdict{}},
	"packed.ES384":                  {verdict{}, verdict{registration: noUser}},
	"packed.ES512":                  {verdict{longer, unopened}, verdict{longer, unopened}},
	"packed.RS256":                  {verdict{}, verdict{assertion: noUser}},
	"packed.EdDSA":                  {verdict{}, verdict{registration: noUser}},
	"tpm.ES256":                     {verdict{registration: noMaker}, verdict{registration: noMaker}},
	"android-key.ES256":             {verdict{registration: noChain}, verdict{registration: noChain, assertion: noUser}},
	"apple.ES256":                   {verdict{registration: noChain}, verdict{registration: noUser}},
	"fido-u2f.ES256":                {verdict{}, verdict{registration: noUser}},
}

// eachVector runs a test with every vector as a key of either kind, until its assertion
// is to be sent: registered as it is printed or, where that is refused, unattested. What
// cannot be a passkey at all is left out of the rest.
func eachVector(t *testing.T, test func(c *vectorClient, cause string)) {
	t.Helper()
	all := vectors(t)
	if len(all) != len(verdicts) {
		t.Fatalf("%d vectors, want %d", len(all), len(verdicts))
	}
	for _, v := range all {
		row, known := verdicts[v.Name]
		if !known {
			t.Errorf("vector %s has no verdict", v.Name)
		}
		for kind, want := range map[keyKind]verdict{asSecondFactor: row.secondFactor, asPasskey: row.passkey} {
			t.Run(fmt.Sprintf("%s/%s", v.Name, kind.path), func(t *testing.T) {
				t.Parallel()
				c := newVectorClient(t, v, kind)
				c.judge(c.register(v.attestation(t)), registration, want.registration)
				if want.registration == "" {
					test(c, want.assertion)
					return
				}
				a := c.register(v.unattested(t))
				if unverified := kind == asPasskey && v.authenticatorData(t)[32]&4 == 0; unverified {
					c.judge(a, registration, noUser)
					return
				}
				c.judge(a, registration, "")
				test(c, want.assertion)
			})
		}
	}
}

func TestW1W2_TheVectorsOfTheSpecificationStepASessionUpOnce(t *testing.T) {
	t.Parallel()
	eachVector(t, func(c *vectorClient, cause string) {
		path, answer := c.open(), c.vector.assertion(c.t, nil)
		c.judge(c.send("PATCH", path, answer), assertion, cause)
		accepted := cause == ""
		flagged := unhex(c.t, c.vector.Authentication.AuthenticatorData)[32]&4 != 0
		verified, userVerified := c.factor(path)
		if verified != accepted || userVerified != (accepted && flagged) {
			c.t.Errorf("verified %t, user verified %t; want %t, %t", verified, userVerified, accepted, accepted && flagged)
		}
		if accepted {
			c.judge(c.send("PATCH", path, answer), "COMMAND-Ioqu5", "COMMAND-Ioqu5") // nothing is open
			c.ask(path)
			c.judge(c.send("PATCH", path, answer), assertion, unopened)
		}
		if n := c.failures(); n != 1 {
			c.t.Errorf("%d failures were counted, want 1", n)
		}
	})
}

func TestW7_TheVectorsWithABitFlippedAreTheCallersFaultAndCount(t *testing.T) {
	t.Parallel()
	eachVector(t, func(c *vectorClient, cause string) {
		path := c.open()
		if cause == "" {
			cause = "Error validating the assertion signature"
		}
		c.judge(c.send("PATCH", path, c.vector.assertion(c.t, bitFlipped)), assertion, cause)
		if verified, _ := c.factor(path); verified || c.failures() != 1 {
			c.t.Errorf("verified %t, %d failures; want none and 1", verified, c.failures())
		}
	})
}
