package passkey_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

// callersFault fails the test unless err blames the caller.
func callersFault(t *testing.T, err error) {
	t.Helper()
	if status := fault.From(err).Kind.HTTPStatus(); status < 400 || status > 499 {
		t.Errorf("status %d: %v", status, err)
	}
}

// FuzzFinishAssertion changes the parts that a genuine answer is made of. Nothing but
// the genuine parts may pass.
func FuzzFinishAssertion(f *testing.F) {
	d := newDevice(f)
	credential := register(f, d, passkey.Passkey)
	options, c := begin(f, required(credential))
	out := d.draft(f, "webauthn.get", options, nil)
	client, authData := out.clientJSON(f), out.authData()
	genuine := signature(f, d.key, authData, client)
	f.Add(client, authData, genuine, handle)
	f.Add(client, authData, genuine, []byte{})
	f.Add(client, append(bytes.Clone(authData), 0xa0), genuine, handle)
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Authentication.ClientDataJSON), unhex(f, v.Authentication.AuthenticatorData), unhex(f, v.Authentication.Signature), handle)
	}
	f.Fuzz(func(t *testing.T, gotClient, gotData, sig, user []byte) {
		proof, err := finish(t, c, response(t, d.id, map[string]any{
			"clientDataJSON": b64(gotClient), "authenticatorData": b64(gotData), "signature": b64(sig), "userHandle": b64(user),
		}), credential)
		if err != nil {
			callersFault(t, err)
			return
		}
		if !bytes.Equal(gotClient, client) || !bytes.Equal(gotData, authData) || (len(user) != 0 && !bytes.Equal(user, handle)) {
			t.Errorf("accepted client data %q, authenticator data %x, user %q: %+v", gotClient, gotData, user, proof)
		}
	})
}

// FuzzFinishRegistration changes the attestation object, whose formats are many, and
// the client data.
func FuzzFinishRegistration(f *testing.F) {
	r := specified(f)
	var open []passkey.Challenge
	for i, v := range vectors(f) {
		create, _, _, _ := v.answers(f)
		open = append(open, create)
		f.Add(byte(i), unhex(f, v.CredentialID), unhex(f, v.Registration.ClientDataJSON), unhex(f, v.Registration.AttestationObject))
	}
	f.Fuzz(func(t *testing.T, which byte, id, client, object []byte) {
		c := open[int(which)%len(open)]
		credential, err := r.FinishRegistration(c, response(t, id, map[string]any{
			"clientDataJSON": b64(client), "attestationObject": b64(object),
		}), now)
		if err != nil {
			callersFault(t, err)
			return
		}
		if !bytes.Equal(credential.ID, id) || credential.RPID != c.RPID || len(credential.PublicKey) > 1024 {
			t.Errorf("credential %+v", credential)
		}
		if !bytes.Contains(client, []byte(b64(c.Value))) {
			t.Errorf("accepted client data %q without the challenge", client)
		}
	})
}

// FuzzResponses feeds whole texts, as they come from outside, to both parsers.
func FuzzResponses(f *testing.F) {
	d := newDevice(f)
	r := parties(f)
	creation, registration, err := r.BeginRegistration(&random{}, registrationOf(passkey.Passkey))
	if err != nil {
		f.Fatalf("BeginRegistration: %v", err)
	}
	f.Add(d.create(f, creation, nil))
	f.Add(d.get(f, creation, nil))
	for _, text := range unreadable(string(d.get(f, creation, nil))) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if credential, err := r.FinishRegistration(registration, text, now); err != nil {
			callersFault(t, err)
			if diff := cmp.Diff(passkey.Credential{}, credential); diff != "" {
				t.Errorf("a refused registration yields %s", diff)
			}
		}
		answer, err := passkey.ParseAssertion(text)
		if err != nil {
			callersFault(t, err)
			return
		}
		if len(answer.CredentialID()) == 0 || len(answer.CredentialID())+len(answer.UserHandle())+len(answer.Challenge()) > len(text) {
			t.Errorf("answer names credential %x, user %x, challenge %x", answer.CredentialID(), answer.UserHandle(), answer.Challenge())
		}
	})
}
