package passkey_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
)

func TestW6ADiscoverableLoginTakesTheUserFromTheAnswer(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, passkey.AssertionRequest{Verification: passkey.Required, Discoverable: true})
	genuine := d.get(t, options, func(out *draft) { out.handle = handle })
	answer, err := passkey.ParseAssertion(genuine)
	if err != nil {
		t.Fatalf("ParseAssertion: %v", err)
	}
	if !bytes.Equal(answer.UserHandle(), handle) || !bytes.Equal(answer.CredentialID(), d.id) || !bytes.Equal(answer.Challenge(), c.Value) {
		t.Errorf("answer names user %q, credential %q, challenge %x", answer.UserHandle(), answer.CredentialID(), answer.Challenge())
	}
	if _, err := finish(t, c, genuine, credential); err != nil {
		t.Errorf("FinishAssertion: %v", err)
	}

	_, err = finish(t, c, d.get(t, options, nil), credential)
	refused(t, err, passkey.ErrRejected, "without a user handle")
	_, err = finish(t, c, d.get(t, options, func(out *draft) { out.handle = []byte("someone-else") }), credential)
	refused(t, err, passkey.ErrRejected, "not the owner's")
	// The caller looked up whom the answer names, and that user has no such credential.
	someone := passkey.Owner{Handle: []byte("someone-else")}
	swapped, err := passkey.ParseAssertion(d.get(t, options, func(out *draft) { out.handle = someone.Handle }))
	if err != nil {
		t.Fatalf("ParseAssertion: %v", err)
	}
	_, err = parties(t).FinishAssertion(c, swapped, someone, now)
	refused(t, err, passkey.ErrUnknownCredential, "")
}

func TestW7AnUnreadableAssertionIsTheCallersFault(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	options, _ := begin(t, passkey.AssertionRequest{Verification: passkey.Required, Discoverable: true})
	genuine := string(d.get(t, options, nil))
	if _, err := passkey.ParseAssertion([]byte(genuine)); err != nil {
		t.Fatalf("the answer that is bent here is not genuine: %v", err)
	}
	texts := unreadable(genuine)
	texts["short authenticator data"] = strings.Replace(genuine, `"authenticatorData":"`, `"authenticatorData":"AAAA","x":"`, 1)
	texts["data behind the authenticator data"] = string(d.get(t, options, func(out *draft) { out.authTail = []byte{0} }))
	texts["extensions announced"] = string(d.get(t, options, func(out *draft) { out.flags |= ed }))
	texts["extensions are no map"] = string(d.get(t, options, func(out *draft) { out.flags |= ed; out.authTail = []byte{0xff} }))
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer, err := passkey.ParseAssertion([]byte(text))
			refused(t, err, passkey.ErrUnreadable, "")
			if f := fault.From(err); f.Kind != fault.InvalidArgument || f.ID != "WEBAU-ADgv4" || answer != nil {
				t.Errorf("fault %v %s, answer %v", f.Kind, f.ID, answer)
			}
		})
	}
}

func TestAnAnswerWithoutChallengeNamesNone(t *testing.T) {
	t.Parallel()
	options, _ := begin(t, passkey.AssertionRequest{Verification: passkey.Required, Discoverable: true})
	for _, value := range []string{"", "*", "AA="} {
		text := newDevice(t).get(t, options, func(out *draft) { out.client.Challenge = value })
		answer, err := passkey.ParseAssertion(text)
		if err != nil {
			t.Fatalf("ParseAssertion: %v", err)
		}
		if got := answer.Challenge(); len(got) != 0 {
			t.Errorf("challenge %q names %x", value, got)
		}
	}
}

// What the log gets to read must not be what the authenticator signed.
func TestCausesQuoteNeitherChallengeNorSignature(t *testing.T) {
	t.Parallel()
	d := newDevice(t)
	credential := register(t, d, passkey.Passkey)
	options, c := begin(t, required(credential))
	bends := []func(*draft){
		func(out *draft) { out.client.Challenge = b64(bytes.Repeat([]byte{9}, 32)) },
		func(out *draft) { out.client.Origin = "https://evil.com/\n" + strings.Repeat("x", 500) },
		func(out *draft) { out.client.Type = strings.Repeat("y", 500) },
		func(out *draft) { out.key = *passkeytest.Key(9) },
		func(out *draft) { out.handle = []byte("someone-else") },
	}
	for i, bend := range bends {
		_, err := finish(t, c, d.get(t, options, bend), credential)
		refused(t, err, passkey.ErrRejected, "")
		text := err.Error()
		for _, secret := range []string{b64(c.Value), b64(bytes.Repeat([]byte{9}, 32)), string(handle), "someone-else"} {
			if strings.Contains(text, secret) {
				t.Errorf("%d: cause %q quotes %q", i, text, secret)
			}
		}
		if len(text) > 450 || strings.Contains(text, "\n") {
			t.Errorf("%d: cause of %d bytes: %q", i, len(text), text)
		}
	}
}
