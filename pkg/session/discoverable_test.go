package session_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// anonymous starts a session without a user and a challenge for whoever has a passkey.
func (h *holder) anonymous() []byte {
	h.t.Helper()
	r := h.NewSession(h.t, session.Create{Step: asks(passkey.Required)})
	h.session = r.SessionID
	if bytes.Contains(r.KeyOptions, []byte("allowCredentials")) {
		h.t.Errorf("options for nobody list credentials: %s", r.KeyOptions)
	}
	return r.KeyOptions
}

func TestW6_ADiscoverableLoginNamesItsUser(t *testing.T) {
	t.Parallel()
	for name, userID := range map[string]string{"short": "", "long": strings.Repeat("ada", 60)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				s := newKeyService(t, tb)
				h := hold(t, s, passkey.Passkey, "ada@example.com")
				if userID != "" {
					h = holdAs(t, s, userID)
				}
				step := h.sign(h.anonymous())
				_, err := h.set(step)
				check(t, err)
				v := h.View(t, h.session)
				if v.Factors.User.ID != h.user.ID || v.LoginName != h.user.Username || !v.Factors.MultiFactor() {
					t.Errorf("session %+v", v)
				}
				_, err = h.set(step)
				refused(t, err, "COMMAND-Ioqu5")
				if n := h.race([]string{h.session}, h.sign(h.demand()), "COMMAND-Ioqu5"); n != 1 {
					t.Errorf("one answer passed %d times", n)
				}
			})
		})
	}
}

// holdAs is hold for a user with a chosen id.
func holdAs(t *testing.T, s *apptest.Service, id string) *holder {
	t.Helper()
	h := hold(t, s, passkey.Passkey, "template@example.com")
	u, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: id, Username: "chosen@example.com",
		Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:   user.Contact{Address: "chosen@example.com", Verified: true},
	})
	check(t, err)
	h.user = u.User
	h.device.Options.UserHandle = u.KeyHandle()
	h.held = passkeytest.Credential(7)
	h.keyID = h.register(h.held)
	return h
}

func TestW6_ADiscoverableLoginIsRefused(t *testing.T) {
	t.Parallel()
	admin := apptest.Admin()
	for name, c := range map[string]struct {
		bend func(t *testing.T, ada, bob *holder)
		want string
	}{
		"for a swapped user handle":    {func(_ *testing.T, a, b *holder) { a.device.Options.UserHandle = b.user.KeyHandle() }, "WEBAU-3M9si"},
		"without a user handle":        {func(_ *testing.T, a, _ *holder) { a.device.Options.UserHandle = nil }, "COMMAND-Aej7i"},
		"for an unknown credential":    {func(_ *testing.T, a, _ *holder) { a.held.ID = []byte("nobody has this") }, "COMMAND-Aej7i"},
		"with another's credential id": {func(_ *testing.T, a, b *holder) { a.held.ID = b.held.ID }, "WEBAU-3M9si"},
		"without verification":         {func(_ *testing.T, a, _ *holder) { a.device.Options.UserNotVerified = true }, "WEBAU-3M9si"},
		"of an inactive user": {func(t *testing.T, a, _ *holder) {
			_, err := a.Users.Deactivate(t.Context(), admin, a.user.ID)
			check(t, err)
		}, "SESSION-Gj4ko"},
		"of a deleted user": {func(t *testing.T, a, _ *holder) {
			_, err := a.Users.Delete(t.Context(), admin, a.user.ID)
			check(t, err)
		}, "COMMAND-Aej7i"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newKeyService(t, nil)
			ada, bob := hold(t, s, passkey.Passkey, "ada@example.com"), hold(t, s, passkey.Passkey, "bob@example.com")
			options := ada.anonymous()
			c.bend(t, ada, bob)
			_, err := ada.set(ada.sign(options))
			refused(t, err, c.want)
			if v := ada.View(t, ada.session); v.Bound() || v.Sequence != 1 {
				t.Errorf("the session changed: %+v", v)
			}
		})
	}
}

func TestAChallengeForNobodyServesTheUserWhoWasNamedSince(t *testing.T) {
	t.Parallel()
	s := newKeyService(t, nil)
	ada, bob := hold(t, s, passkey.Passkey, "ada@example.com"), hold(t, s, passkey.Passkey, "bob@example.com")
	options := ada.anonymous()
	_, err := ada.set(apptest.Named(ada.user.ID))
	check(t, err)
	_, err = ada.set(bob.sign(options))
	refused(t, err, "COMMAND-Aej7i")
	_, err = ada.set(ada.sign(options))
	check(t, err)
}

// A list of credentials would say that somebody exists: there is none for nobody, and a
// user who is unknown gets no challenge at all.
func TestW8_NoCredentialsAreListedForWhoIsNobody(t *testing.T) {
	t.Parallel()
	s := newKeyService(t, nil)
	h := hold(t, s, passkey.Passkey, "ada@example.com")
	h.anonymous()
	step := asks(passkey.Required)
	step.Checks.User = &session.CheckUser{LoginName: "eve@example.com"}
	r, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: step})
	refused(t, err, "QUERY-Dfbg2")
	if r.KeyOptions != nil {
		t.Errorf("options for somebody unknown: %s", r.KeyOptions)
	}
}
