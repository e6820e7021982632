package session_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

const rpID = "example.com"

// holder is a user with a key, the browser that they use it in, and a session bound to
// them.
type holder struct {
	*enrolled
	kind    passkey.Kind
	keyID   string
	browser virtualwebauthn.RelyingParty
	device  virtualwebauthn.Authenticator
	held    virtualwebauthn.Credential
}

func newKeyService(t *testing.T, tb table.Table) *apptest.Service {
	t.Helper()
	return apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{
		"STEPUP_RELYING_PARTIES": rpID + "=https://login.example.com",
	}})
}

func hold(t *testing.T, s *apptest.Service, kind passkey.Kind, loginName string) *holder {
	t.Helper()
	return holdMade(t, s, heldKey{kind: kind, loginName: loginName})
}

// heldKey describes a key and whose it is.
type heldKey struct {
	kind      passkey.Kind
	synced    bool
	loginName string
}

func holdMade(t *testing.T, s *apptest.Service, k heldKey) *holder {
	t.Helper()
	kind, loginName := k.kind, k.loginName
	u, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: loginName,
		Profile:  user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:    user.Contact{Address: loginName, Verified: true},
	})
	check(t, err)
	h := &holder{enrolled: &enrolled{Service: s, t: t, user: u.User}, kind: kind}
	h.browser = virtualwebauthn.RelyingParty{ID: rpID, Name: rpID, Origin: "https://login.example.com"}
	h.device = virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{
		UserHandle: u.KeyHandle(), UserNotVerified: kind == passkey.U2F, BackupEligible: k.synced,
	})
	h.held = passkeytest.Credential(7)
	h.keyID = h.register(h.held)
	h.session = h.start()
	return h
}

// register adds a key of the holder's kind and returns its id.
func (h *holder) register(c virtualwebauthn.Credential) string {
	h.t.Helper()
	ctx, admin := h.t.Context(), apptest.Admin()
	_, made, err := h.Users.RegisterKey(ctx, admin, h.user.ID, user.KeyRequest{Kind: h.kind, RPID: rpID})
	check(h.t, err)
	options, err := virtualwebauthn.ParseAttestationOptions(string(made.Options))
	check(h.t, err)
	_, err = h.Users.VerifyKey(ctx, admin, h.user.ID, user.KeyProof{
		Kind: h.kind, ID: made.ID, Name: "laptop",
		Response: []byte(virtualwebauthn.CreateAttestationResponse(h.browser, h.device, c, *options)),
	})
	check(h.t, err)
	return made.ID
}

func asks(v passkey.Verification) session.Step {
	return session.Step{Challenges: session.RequestChallenges{Key: &session.RequestKey{RPID: rpID, Verification: v}}}
}

// demand opens a challenge for keys of the holder's kind and returns its options.
func (h *holder) demand() []byte {
	h.t.Helper()
	verification := passkey.Required
	if h.kind == passkey.U2F {
		verification = passkey.Preferred
	}
	r, err := h.set(asks(verification))
	check(h.t, err)
	return r.KeyOptions
}

// sign answers the options as the browser and the device do.
func (h *holder) sign(options []byte) session.Step {
	h.t.Helper()
	asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
	check(h.t, err)
	answer := virtualwebauthn.CreateAssertionResponse(h.browser, h.device, h.held, *asked)
	return session.Step{Checks: session.Checks{Key: &session.CheckKey{Answer: []byte(answer)}}}
}

func (h *holder) stored() user.SecurityKey {
	h.t.Helper()
	u, err := h.Users.Get(h.t.Context(), apptest.Admin(), h.user.ID)
	check(h.t, err)
	for _, k := range u.Keys {
		if k.ID == h.keyID {
			return k
		}
	}
	h.t.Fatal("the key is gone")
	return user.SecurityKey{}
}

func TestAKeyStepsTheSessionUp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind  passkey.Kind
		multi bool
	}{{passkey.Passkey, true}, {passkey.U2F, false}} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				h := hold(t, newKeyService(t, tb), c.kind, "ada@example.com")
				h.held.Counter = 7
				_, err := h.set(h.sign(h.demand()))
				check(t, err)
				f := h.factors()
				want := session.KeyFactor{VerifiedAt: h.Clock.Now(), UserVerified: c.multi, Kind: c.kind, DeviceBound: true}
				if diff := cmp.Diff(want, f.Key); diff != "" {
					t.Error(diff)
				}
				if !f.Authenticated() || f.MultiFactor() != c.multi {
					t.Errorf("authenticated %v, multi-factor %v", f.Authenticated(), f.MultiFactor())
				}
				if n := h.stored().Credential.SignCount; n != 7 {
					t.Errorf("stored counter %d, want 7", n)
				}
			})
		})
	}
}

func TestAPasskeySessionIsABearerAndMayChangeFactors(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	r, err := h.set(h.sign(h.demand()))
	check(t, err)
	caller, err := h.Sessions.Authenticate(t.Context(), r.Token)
	check(t, err)
	_, _, err = h.Users.RegisterKey(t.Context(), caller, h.user.ID, user.KeyRequest{Kind: passkey.U2F, RPID: rpID})
	check(t, err)
	h.Clock.Advance(16 * time.Minute) // row S9
	_, _, err = h.Users.RegisterKey(t.Context(), caller, h.user.ID, user.KeyRequest{Kind: passkey.U2F, RPID: rpID})
	refused(t, err, user.ErrReauthenticate.ID)
}

func TestS10_AnUnverifiedKeyAloneIsNoBearer(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.U2F, "ada@example.com")
	r, err := h.set(h.sign(h.demand()))
	check(t, err)
	_, err = h.Sessions.Authenticate(t.Context(), r.Token)
	refused(t, err, "AUTHZ-Kl3p0")
}

func TestW1_OneOf200ParallelAnswersPasses(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		for _, counter := range []uint32{0, 9} { // without a counter only the session tells
			h := hold(t, newKeyService(t, tb), passkey.Passkey, "ada@"+string('a'+rune(counter))+".example")
			h.held.Counter = counter
			if n := h.race([]string{h.session}, h.sign(h.demand()), "COMMAND-Ioqu5"); n != 1 {
				t.Errorf("one answer with counter %d passed %d times", counter, n)
			}
		}
	})
}

func TestW7_AWrongAnswerIsTheCallersFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*holder)
		mend func(answer string) string
		want string
	}{
		"origin W2":    {bend: func(h *holder) { h.browser.Origin = "https://evil.example" }, want: "WEBAU-3M9si"},
		"rp id hash":   {bend: func(h *holder) { h.browser.ID = "evil.example" }, want: "WEBAU-3M9si"},
		"unverified":   {bend: func(h *holder) { h.device.Options.UserNotVerified = true }, want: "WEBAU-3M9si"},
		"not present":  {bend: func(h *holder) { h.device.Options.UserNotPresent = true }, want: "WEBAU-3M9si"},
		"backup W5":    {bend: func(h *holder) { h.device.Options.BackupEligible = true }, want: "WEBAU-3M9si"},
		"user handle":  {bend: func(h *holder) { h.device.Options.UserHandle = []byte("bob") }, want: "WEBAU-3M9si"},
		"counter W4":   {bend: func(h *holder) { h.held.Counter = 5 }, want: "WEBAU-3M9si"},
		"other key":    {bend: func(h *holder) { h.held.Key = passkeytest.Credential(3).Key }, want: "WEBAU-3M9si"},
		"unknown id":   {bend: func(h *holder) { h.held.ID = []byte("nobody has this") }, want: "COMMAND-Aej7i"},
		"no assertion": {mend: func(string) string { return `{"id":"x"}` }, want: "WEBAU-ADgv4"},
		"signature":    {mend: badSignature, want: "WEBAU-3M9si"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
			h.held.Counter = 5
			_, err := h.set(h.sign(h.demand()))
			check(t, err)
			h.held.Counter = 6
			options := h.demand()
			before, intact := h.View(t, h.session), *h
			if c.bend != nil {
				c.bend(h)
			}
			step := h.sign(options)
			if c.mend != nil {
				step.Checks.Key.Answer = []byte(c.mend(string(step.Checks.Key.Answer)))
			}
			_, err = h.set(step)
			if f := refused(t, err, c.want); f.Kind.HTTPStatus() >= 500 {
				t.Errorf("answered with status %d", f.Kind.HTTPStatus())
			}
			if diff := cmp.Diff(seen(before), seen(h.View(t, h.session))); diff != "" {
				t.Errorf("session (-before +after):\n%s", diff)
			}
			u, err := h.Users.Get(t.Context(), apptest.Admin(), h.user.ID)
			check(t, err)
			if n := u.Guard.Attempts[user.AuthPasskey].Failures; n != 1 {
				t.Errorf("%d failures were counted, want 1", n)
			}
			_, err = h.set(intact.sign(options)) // the challenge is still open
			check(t, err)
		})
	}
}

// seen is what of a session anybody can see.
func seen(v session.View) any {
	return []any{v.Sequence, v.TokenID, v.Changed, v.Factors, v.Challenges, v.Metadata}
}

func badSignature(answer string) string {
	var a map[string]any
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		return err.Error()
	}
	response := a["response"].(map[string]any)
	raw, _ := base64.RawURLEncoding.DecodeString(response["signature"].(string))
	raw[len(raw)-1] ^= 1
	response["signature"] = base64.RawURLEncoding.EncodeToString(raw)
	text, err := json.Marshal(a)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func TestW1_AReplayFindsNoChallenge(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	step := h.sign(h.demand())
	_, err := h.set(step)
	check(t, err)
	_, err = h.set(step)
	refused(t, err, "COMMAND-Ioqu5")
	h.demand() // another challenge does not let it in either
	_, err = h.set(step)
	refused(t, err, "WEBAU-3M9si")
}

func TestW1_AnExpiredChallengeIsNobodysFailure(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	late := h.sign(h.demand())
	h.Clock.Advance(passkey.Lifetime)
	for range 20 {
		_, err := h.set(late)
		refused(t, err, passkey.ErrExpired.ID)
	}
	_, err := h.set(h.sign(h.demand()))
	check(t, err)
}

func TestSeveralChallengesStayOpenUpToFive(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		h := hold(t, newKeyService(t, tb), passkey.Passkey, "ada@example.com")
		var steps []session.Step
		for range 6 {
			steps = append(steps, h.sign(h.demand()))
		}
		_, err := h.set(steps[0])
		refused(t, err, "WEBAU-3M9si") // gave way to the sixth
		for _, i := range []int{3, 1, 5, 2, 4} {
			_, err := h.set(steps[i])
			check(t, err)
		}
		_, err = h.set(steps[5])
		refused(t, err, "COMMAND-Ioqu5")
	})
}

func TestVerificationSelectsTheKindOfKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind passkey.Kind
		ask  passkey.Verification
		id   string
	}{
		{passkey.Passkey, passkey.Required, ""},
		{passkey.Passkey, passkey.Preferred, "WEBAU-4G8sw"},
		{passkey.Passkey, passkey.Discouraged, "WEBAU-4G8sw"},
		{passkey.U2F, passkey.Required, "WEBAU-4G8sw"},
		{passkey.U2F, passkey.Preferred, ""},
		{passkey.U2F, passkey.Discouraged, ""},
	} {
		t.Run(string(c.kind)+" "+string(c.ask), func(t *testing.T) {
			t.Parallel()
			h := hold(t, newKeyService(t, nil), c.kind, "ada@example.com")
			r, err := h.set(asks(c.ask))
			if c.id != "" {
				refused(t, err, c.id)
				return
			}
			check(t, err)
			listed := base64.RawURLEncoding.EncodeToString(h.held.ID)
			if !strings.Contains(string(r.KeyOptions), listed) {
				t.Errorf("options %s do not list the key %s", r.KeyOptions, listed)
			}
		})
	}
}

func TestAnUnknownRelyingPartyIsRefused(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	step := asks(passkey.Required)
	step.Challenges.Key.RPID = "login.example.com"
	_, err := h.set(step)
	refused(t, err, passkey.ErrRelyingParty.ID)
}

func TestT7_ARemovedKeyAnswersNoOpenChallenge(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		h := hold(t, newKeyService(t, tb), passkey.Passkey, "ada@example.com")
		step := h.sign(h.demand())
		_, err := h.Users.RemoveKey(t.Context(), apptest.Admin(), h.user.ID, user.KeyName{Kind: h.kind, ID: h.keyID})
		check(t, err)
		_, err = h.set(step)
		refused(t, err, "COMMAND-Aej7i")
		h.keyID = h.register(h.held) // nothing is left that would claim the credential
		_, err = h.set(step)
		check(t, err)
	})
}

func TestACredentialBelongsToOneUser(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := newKeyService(t, tb)
		ada, bob := hold(t, s, passkey.Passkey, "ada@example.com"), hold(t, s, passkey.Passkey, "bob@example.com")
		_, made, err := s.Users.RegisterKey(t.Context(), apptest.Admin(), bob.user.ID, user.KeyRequest{Kind: passkey.U2F, RPID: rpID})
		check(t, err)
		options, err := virtualwebauthn.ParseAttestationOptions(string(made.Options))
		check(t, err)
		for _, taken := range []virtualwebauthn.Credential{ada.held, bob.held} {
			_, err = s.Users.VerifyKey(t.Context(), apptest.Admin(), bob.user.ID, user.KeyProof{
				Kind: passkey.U2F, ID: made.ID, Name: "stolen",
				Response: []byte(virtualwebauthn.CreateAttestationResponse(bob.browser, bob.device, taken, *options)),
			})
			refused(t, err, user.ErrCredentialTaken.ID)
		}
		// Nor does Ada's answer pass in Bob's session.
		step := ada.sign(bob.demand())
		_, err = bob.set(step)
		refused(t, err, "COMMAND-Aej7i")
	})
}

func TestL4_WrongAnswersLockKeysAndNothingElse(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	options := h.demand()
	right := h.sign(options)
	h.browser.Origin = "https://evil.example"
	wrong := h.sign(options)
	for range 10 {
		_, err := h.set(wrong)
		refused(t, err, "WEBAU-3M9si")
	}
	_, err := h.set(right)
	if f := refused(t, err, user.ErrKeyLocked.ID); f.RetryAfter != 30*time.Second {
		t.Errorf("retry after %v, want 30s", f.RetryAfter)
	}
	_, err = h.set(asks(passkey.Required))
	refused(t, err, user.ErrKeyLocked.ID)
	h.Clock.Advance(30 * time.Second)
	_, err = h.set(right)
	check(t, err)
}

func TestAKeyWithoutItsPreconditionsIsRefused(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	_, err := h.set(session.Step{Checks: session.Checks{Key: &session.CheckKey{Answer: []byte("{}")}}})
	refused(t, err, "COMMAND-Ioqu5")
	h.anonymous()
	_, err = h.set(asks(passkey.Preferred))
	refused(t, err, "COMMAND-eeR2e")
	_, err = h.set(session.Step{Checks: session.Checks{Key: &session.CheckKey{Answer: []byte("{}")}}})
	refused(t, err, "WEBAU-ADgv4")
}

func TestAStepAnswersAnOldChallengeAndOpensANewOne(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.Passkey, "ada@example.com")
	step := h.sign(h.demand())
	step.Challenges = asks(passkey.Required).Challenges
	r, err := h.set(step)
	check(t, err)
	_, err = h.set(h.sign(r.KeyOptions))
	check(t, err)
}
