package user_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// enrolment registers keys for one user, always with the same private key, because
// only their ids matter here.
type enrolment struct {
	*apptest.Service
	t      *testing.T
	userID string
	key    *virtualwebauthn.Key
}

func newEnrolment(t *testing.T) enrolment {
	t.Helper()
	s := apptest.New(t, apptest.Options{})
	return enrolment{s, t, newcomer(t, s, true), passkeytest.Key(7)}
}

func (e enrolment) begin(kind passkey.Kind) (user.NewKey, error) {
	_, made, err := e.Users.RegisterKey(e.t.Context(), apptest.Admin(), e.userID, user.KeyRequest{Kind: kind, RPID: "localhost"})
	return made, err
}

// must begins a registration that has to be let in.
func (e enrolment) must(kind passkey.Kind) user.NewKey {
	e.t.Helper()
	made, err := e.begin(kind)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

// finish answers with a credential of the id.
func (e enrolment) finish(made user.NewKey, kind passkey.Kind, credentialID string) error {
	e.t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(string(made.Options))
	if err != nil {
		e.t.Fatal(err)
	}
	browser := virtualwebauthn.RelyingParty{ID: "localhost", Origin: "http://localhost:8080"}
	held := virtualwebauthn.Credential{ID: []byte(credentialID), Key: e.key}
	_, err = e.Users.VerifyKey(e.t.Context(), apptest.Admin(), e.userID, user.KeyProof{
		Kind: kind, ID: made.ID, Name: credentialID,
		Response: []byte(virtualwebauthn.CreateAttestationResponse(browser, virtualwebauthn.NewAuthenticator(), held, *options)),
	})
	return err
}

func (e enrolment) load() *user.User {
	e.t.Helper()
	u, err := e.Users.Get(e.t.Context(), apptest.Admin(), e.userID)
	if err != nil {
		e.t.Fatal(err)
	}
	return u
}

func (e enrolment) names(kind passkey.Kind) []string {
	e.t.Helper()
	var names []string
	for _, k := range e.load().KeysOf(kind, e.Clock.Now()) {
		names = append(names, k.Name)
	}
	return names
}

func TestAKeyCountsOnceItIsVerified(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	for _, kind := range []passkey.Kind{passkey.Passkey, passkey.U2F} {
		made := e.must(kind)
		if e.load().HasSecondFactor() != (kind == passkey.U2F) { // the passkey is ready by then
			t.Errorf("a %s in the making is a second factor", kind)
		}
		outcome(t, "verify as the other kind", e.finish(made, map[passkey.Kind]passkey.Kind{
			passkey.Passkey: passkey.U2F, passkey.U2F: passkey.Passkey,
		}[kind], "x"), "STEPUP-webauthn-key")
		outcome(t, "verify", e.finish(made, kind, string(kind)), "")
		outcome(t, "verify again", e.finish(made, kind, "another"), "STEPUP-webauthn-ready")
	}
	u := e.load()
	want := []user.Authenticator{user.AuthPassword, user.AuthPasskey, user.AuthU2F}
	if diff := cmp.Diff(want, u.Methods()); diff != "" || !u.HasSecondFactor() {
		t.Errorf("second factor %v, methods (-want +got):\n%s", u.HasSecondFactor(), diff)
	}
	if diff := cmp.Diff([]user.Authenticator{user.AuthPassword}, u.MethodsAt("example.com")); diff != "" {
		t.Errorf("methods at another relying party (-want +got):\n%s", diff)
	}
}

func TestAnUnfinishedKeyGivesWayToTheNext(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	first, other := e.must(passkey.Passkey), e.must(passkey.U2F)
	second := e.must(passkey.Passkey)
	outcome(t, "verify the first", e.finish(first, passkey.Passkey, "first"), "STEPUP-webauthn-key")
	outcome(t, "verify the second", e.finish(second, passkey.Passkey, "second"), "")
	outcome(t, "verify the other kind", e.finish(other, passkey.U2F, "other"), "")
}

func TestAnUnfinishedKeyExpires(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	made := e.must(passkey.Passkey)
	e.Clock.Advance(passkey.Lifetime)
	outcome(t, "verify", e.finish(made, passkey.Passkey, "late"), passkey.ErrExpired.ID)
	if names := e.names(passkey.Passkey); names != nil {
		t.Errorf("listed %q", names)
	}
	e.must(passkey.U2F)
	if n := len(e.load().Keys); n != 1 {
		t.Errorf("%d keys are kept, want only the new one", n)
	}
}

func TestAUserHasTwentyKeysAtMost(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	for i := range user.MaxKeys {
		outcome(t, "verify", e.finish(e.must(passkey.Passkey), passkey.Passkey, strings.Repeat("k", i+1)), "")
	}
	_, err := e.begin(passkey.U2F)
	outcome(t, "one more", err, "STEPUP-webauthn-count")
	removed := user.KeyName{Kind: passkey.Passkey, ID: e.load().Keys[4].ID}
	_, err = e.Users.RemoveKey(t.Context(), apptest.Admin(), e.userID, removed)
	outcome(t, "remove", err, "")
	_, err = e.Users.RemoveKey(t.Context(), apptest.Admin(), e.userID, removed)
	outcome(t, "remove again", err, "STEPUP-webauthn-key")
	e.must(passkey.U2F)
	_, err = e.Users.Delete(t.Context(), apptest.Admin(), e.userID) // one write has room for all of it
	outcome(t, "delete the user", err, "")
}

func TestOnlyThoseWithTheRightChangeKeys(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	now := e.Clock.Now()
	self := access.Caller{ID: e.userID, UserID: e.userID, AuthenticatedAt: now}
	stale := self
	stale.AuthenticatedAt = now.Add(-16 * 60 * 1e9)
	for name, c := range map[string]struct {
		caller access.Caller
		id     string
	}{
		"self":         {self, ""},
		"stale self":   {stale, user.ErrReauthenticate.ID},
		"another user": {access.Caller{ID: "bob", UserID: "bob", AuthenticatedAt: now}, access.ErrForbidden.ID},
		"viewer":       {access.Caller{ID: "v", Role: access.IAMOwnerViewer}, access.ErrForbidden.ID},
		"login client": {access.Caller{ID: "l", Role: access.IAMLoginClient}, ""},
	} {
		_, _, err := e.Users.RegisterKey(t.Context(), c.caller, e.userID, user.KeyRequest{Kind: passkey.Passkey, RPID: "localhost"})
		outcome(t, name, err, c.id)
	}
}

func TestAKeyIsRegisteredForAConfiguredDomainOnly(t *testing.T) {
	t.Parallel()
	e := newEnrolment(t)
	_, _, err := e.Users.RegisterKey(t.Context(), apptest.Admin(), e.userID, user.KeyRequest{Kind: passkey.Passkey, RPID: "evil.example"})
	outcome(t, "register", err, passkey.ErrRelyingParty.ID)
	if n := len(e.load().Keys); n != 0 {
		t.Errorf("%d keys were kept", n)
	}
}

func TestAUserHandleIsShortAndStable(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100)
	for id, size := range map[string]int{"ada": 3, strings.Repeat("a", 64): 64, strings.Repeat("a", 65): 32, long: 32} {
		u := &user.User{ID: id}
		if got := u.KeyHandle(); len(got) != size || !bytes.Equal(got, u.KeyHandle()) {
			t.Errorf("handle of %d bytes has %d, want %d", len(id), len(got), size)
		}
	}
	if bytes.Equal((&user.User{ID: long}).KeyHandle(), (&user.User{ID: long + "a"}).KeyHandle()) {
		t.Error("two users share a handle")
	}
}
