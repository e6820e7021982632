package prove_test

import (
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// heldKey is a key in somebody's hand, and its id at the service.
type heldKey struct {
	id         string
	device     virtualwebauthn.Authenticator
	credential virtualwebauthn.Credential
}

func site() virtualwebauthn.RelyingParty {
	return virtualwebauthn.RelyingParty{ID: relyingParty, Name: relyingParty, Origin: origin}
}

// newKey makes a key for the user.
func newKey(userID string) heldKey {
	return heldKey{
		device:     virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(userID)}),
		credential: passkeytest.Credential(7),
	}
}

// register answers the options for a new key, as a browser does.
func (h heldKey) register(t testing.TB, options []byte) string {
	t.Helper()
	asked, err := virtualwebauthn.ParseAttestationOptions(string(options))
	check(t, err)
	return virtualwebauthn.CreateAttestationResponse(site(), h.device, h.credential, *asked)
}

// sign answers the options for an assertion. Several clients may sign at once: what the
// library keeps in a key is each one's own.
func (h heldKey) sign(options []byte) string {
	h.credential.Key = &virtualwebauthn.Key{Type: h.credential.Key.Type, Data: h.credential.Key.Data}
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	if err != nil {
		panic(err) // the service made them
	}
	return virtualwebauthn.CreateAssertionResponse(site(), h.device, h.credential, *asked)
}

// hold registers a passkey for the user.
func (l *lab) hold(t testing.TB, userID string) heldKey {
	t.Helper()
	h := newKey(userID)
	_, made, err := l.Users.RegisterKey(t.Context(), apptest.Admin(), userID, user.KeyRequest{Kind: passkey.Passkey, RPID: relyingParty})
	check(t, err)
	h.id = made.ID
	_, err = l.Users.VerifyKey(t.Context(), apptest.Admin(), userID, user.KeyProof{
		Kind: passkey.Passkey, ID: made.ID, Name: "laptop", Response: []byte(h.register(t, made.Options)),
	})
	check(t, err)
	return h
}
