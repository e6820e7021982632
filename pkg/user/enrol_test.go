package user_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// outcome fails the test unless err is a fault with the id; the empty id wants none.
func outcome(t *testing.T, what string, err error, id string) {
	t.Helper()
	got := ""
	if err != nil {
		got = fault.From(err).ID
	}
	if got != id {
		t.Errorf("%s: got %v, want %q", what, err, id)
	}
}

func newcomer(t *testing.T, s *apptest.Service, verified bool) string {
	t.Helper()
	u, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: "ada@example.com",
		Profile:  user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:    user.Contact{Address: "ada@example.com", Verified: verified},
		Phone:    user.Contact{Address: "+41446681800", Verified: verified},
		Password: user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// authenticatorApp registers an app and returns its seed.
func authenticatorApp(t *testing.T, s *apptest.Service, id string) []byte {
	t.Helper()
	_, app, err := s.Users.RegisterTOTP(t.Context(), apptest.Admin(), id)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := otp.ParseSecret(app.Secret)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func TestAuthenticatorAppIsConfirmedByItsCode(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, true)
	verify := func(code string) error {
		_, err := s.Users.VerifyTOTP(ctx, admin, id, code)
		return err
	}
	outcome(t, "verify before registration", verify("000000"), "COMMAND-3Mif9s")
	authenticatorApp(t, s, id)
	seed := authenticatorApp(t, s, id) // an unconfirmed seed is replaced
	right := otp.Code(seed, s.Clock.Now())
	outcome(t, "verify with a wrong code", verify(otp.Code(seed, s.Clock.Now().Add(time.Hour))), "EVENT-8isk2")
	outcome(t, "verify", verify(right), "")
	outcome(t, "verify again", verify(right), "COMMAND-qx4ls")
	_, _, err := s.Users.RegisterTOTP(ctx, admin, id)
	outcome(t, "register again", err, "COMMAND-do9se")
	_, err = s.Users.RemoveTOTP(ctx, admin, id)
	outcome(t, "remove", err, "")
	_, err = s.Users.RemoveTOTP(ctx, admin, id)
	outcome(t, "remove again", err, "COMMAND-3Mif9s")
}

// TestWrongCodesOfARegistrationCountForNothing, and nobody may try them who may not register
// a seed of their own instead.
func TestWrongCodesOfARegistrationCountForNothing(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, id := t.Context(), newcomer(t, s, true)
	authenticatorApp(t, s, id)
	for _, caller := range []access.Caller{{}, {ID: "login", Role: access.IAMLoginClient}, {UserID: id}, {UserID: "grace"}, apptest.Admin()} {
		_, guessing := s.Users.VerifyTOTP(ctx, caller, id, "0")
		_, _, registering := s.Users.RegisterTOTP(ctx, caller, id)
		if errors.Is(guessing, user.ErrTOTPWrong) != (registering == nil) {
			t.Errorf("%+v: verify %v, register %v", caller, guessing, registering)
		}
	}
	seed := authenticatorApp(t, s, id)
	for range 101 {
		_, err := s.Users.VerifyTOTP(ctx, apptest.Admin(), id, "0")
		outcome(t, "verify with a wrong code", err, "EVENT-8isk2")
	}
	_, err := s.Users.VerifyTOTP(ctx, apptest.Admin(), id, otp.Code(seed, s.Clock.Now()))
	outcome(t, "verify", err, "")
}

func TestAnImportedAuthenticatorAppStepsUpAtOnce(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ada := user.Registration{
		Username:   "ada",
		Profile:    user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		TOTPSecret: "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", // of RFC 6238, appendix B
	}
	u, err := s.Users.Create(t.Context(), apptest.Admin(), ada)
	outcome(t, "create", err, "")
	step := apptest.Named(u.ID)
	step.Checks.TOTP = &session.CheckCode{Code: otp.Code([]byte("12345678901234567890"), s.Clock.Now())}
	_, err = s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: step})
	outcome(t, "sign in", err, "")
	ada.Username, ada.TOTPSecret = "grace", "not base32!"
	_, err = s.Users.Create(t.Context(), apptest.Admin(), ada)
	outcome(t, "create with a secret that is none", err, otp.ErrSecret.ID)
}

func TestO12_CodesNeedAVerifiedAddressAndAreAddedOnce(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, false)
	_, err := s.Users.AddSMSCodes(ctx, admin, id)
	outcome(t, "O12: an unverified phone", err, "COMMAND-Q54j2")
	_, err = s.Users.AddEmailCodes(ctx, admin, id)
	outcome(t, "an unverified address", err, "COMMAND-KLJ2d")
	_, err = s.Users.Update(ctx, admin, id, user.Update{
		Email: &user.Contact{Address: "ada@example.com", Verified: true},
		Phone: &user.Contact{Address: "+41446681800", Verified: true},
	})
	outcome(t, "verify both", err, "")
	for _, step := range []struct {
		what string
		call func() (*user.User, error)
		id   string
	}{
		{"add SMS", func() (*user.User, error) { return s.Users.AddSMSCodes(ctx, admin, id) }, ""},
		{"add SMS again", func() (*user.User, error) { return s.Users.AddSMSCodes(ctx, admin, id) }, "COMMAND-Ad3g2"},
		{"remove SMS", func() (*user.User, error) { return s.Users.RemoveSMSCodes(ctx, admin, id) }, ""},
		{"remove SMS again", func() (*user.User, error) { return s.Users.RemoveSMSCodes(ctx, admin, id) }, "COMMAND-Sr3h3"},
		{"add mail", func() (*user.User, error) { return s.Users.AddEmailCodes(ctx, admin, id) }, ""},
		{"add mail again", func() (*user.User, error) { return s.Users.AddEmailCodes(ctx, admin, id) }, "COMMAND-MKL2s"},
		{"remove mail", func() (*user.User, error) { return s.Users.RemoveEmailCodes(ctx, admin, id) }, ""},
		{"remove mail again", func() (*user.User, error) { return s.Users.RemoveEmailCodes(ctx, admin, id) }, "COMMAND-b312D"},
	} {
		_, err := step.call()
		outcome(t, step.what, err, step.id)
	}
}

func TestT6_RecoveryCodesAreShownOnceAndNeverMoreThanTen(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, true)
	_, codes, err := s.Users.GenerateRecoveryCodes(ctx, admin, id, 4)
	outcome(t, "generate four", err, "")
	if len(codes) != 4 {
		t.Errorf("%d codes, want 4", len(codes))
	}
	_, more, err := s.Users.GenerateRecoveryCodes(ctx, admin, id, 6)
	outcome(t, "generate six more", err, "")
	seen := make(map[string]bool)
	for _, c := range append(codes, more...) {
		seen[c] = true
	}
	if len(seen) != 10 {
		t.Errorf("%d different codes, want 10", len(seen))
	}
	_, _, err = s.Users.GenerateRecoveryCodes(ctx, admin, id, 1)
	outcome(t, "generate an eleventh", err, "COMMAND-8f2k9")
	_, _, err = s.Users.GenerateRecoveryCodes(ctx, admin, id, 11)
	outcome(t, "generate eleven", err, "COMMAND-8f2k9")
	for range 2 {
		_, err = s.Users.RemoveRecoveryCodes(ctx, admin, id)
		outcome(t, "remove", err, "")
	}
	_, codes, err = s.Users.GenerateRecoveryCodes(ctx, admin, id, 0)
	if err != nil || len(codes) != user.MaxRecoveryCodes {
		t.Errorf("%d codes and %v, want the default number", len(codes), err)
	}
}

func TestMethodsTellTheTruthInEachState(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, true)
	has := func(want ...user.Authenticator) {
		t.Helper()
		u, err := s.Users.Get(ctx, admin, id)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[user.Authenticator]bool)
		for _, m := range u.Methods() {
			got[m] = true
		}
		for _, m := range want {
			if !got[m] {
				t.Errorf("methods %v, want %v", u.Methods(), want)
			}
		}
		if len(got) != len(want) {
			t.Errorf("methods %v, want %v", u.Methods(), want)
		}
	}
	has(user.AuthPassword)
	seed := authenticatorApp(t, s, id)
	has(user.AuthPassword) // not confirmed yet
	_, err := s.Users.VerifyTOTP(ctx, admin, id, otp.Code(seed, s.Clock.Now()))
	outcome(t, "verify", err, "")
	has(user.AuthPassword, user.AuthTOTP)
	_, err = s.Users.AddSMSCodes(ctx, admin, id)
	outcome(t, "add SMS", err, "")
	_, _, err = s.Users.GenerateRecoveryCodes(ctx, admin, id, 0)
	outcome(t, "generate", err, "")
	has(user.AuthPassword, user.AuthTOTP, user.AuthSMS, user.AuthRecovery)
	_, err = s.Users.RemoveTOTP(ctx, admin, id)
	outcome(t, "remove", err, "")
	has(user.AuthPassword, user.AuthSMS, user.AuthRecovery)
}

// signedIn returns the user as a caller with the token of a session that has the
// password checked.
func signedIn(t *testing.T, s *apptest.Service, id string) (access.Caller, string) {
	t.Helper()
	r, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.NamedGuess(id, apptest.Password)})
	if err != nil {
		t.Fatal(err)
	}
	caller, err := s.Sessions.Authenticate(t.Context(), r.Token)
	if err != nil {
		t.Fatal(err)
	}
	return caller, r.Token
}

func TestS9_UsersChangeTheirOwnFactorsOnlyAfterARecentCheck(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, id := t.Context(), newcomer(t, s, true)
	ada, _ := signedIn(t, s, id)
	_, err := s.Users.AddSMSCodes(ctx, ada, id)
	outcome(t, "with a fresh session", err, "")
	s.Clock.Advance(15*time.Minute + time.Second)
	_, err = s.Users.RemoveSMSCodes(ctx, ada, id)
	outcome(t, "with a stale session", err, "STEPUP-reauthenticate")
	_, err = s.Users.AddEmailCodes(ctx, ada, "somebody-else")
	outcome(t, "for somebody else", err, "AUTH-AWfge")
	viewer := access.Caller{ID: "viewer", Role: access.IAMOwnerViewer}
	_, err = s.Users.AddEmailCodes(ctx, viewer, id)
	outcome(t, "with a role that only reads", err, "AUTH-AWfge")
}

func TestS10_CVE_2025_64103_OneFactorDoesNotEnrolWhereTwoAreSetUp(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	_, token := signedIn(t, s, id)
	seed := authenticatorApp(t, s, id)
	_, err := s.Users.VerifyTOTP(t.Context(), apptest.Admin(), id, otp.Code(seed, s.Clock.Now()))
	outcome(t, "verify", err, "")
	_, err = s.Sessions.Authenticate(t.Context(), token)
	outcome(t, "a session with the password alone", err, "AUTHZ-Kl3p0")
}

func TestT7_ARemovedFactorIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	ctx, admin, id := t.Context(), apptest.Admin(), newcomer(t, s, true)
	_, err := s.Users.AddSMSCodes(ctx, admin, id)
	outcome(t, "add SMS", err, "")
	r, err := s.Sessions.Create(ctx, admin, session.Create{Step: session.Step{
		Checks:     session.Checks{User: &session.CheckUser{ID: id}},
		Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}},
	}})
	outcome(t, "challenge", err, "")
	_, err = s.Users.RemoveSMSCodes(ctx, admin, id)
	outcome(t, "remove SMS", err, "")
	_, err = s.TrySet(r.SessionID, session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: r.Codes["sms"]}}})
	outcome(t, "the open code of a removed factor", err, "COMMAND-d2r52")
}

func TestUsersGiveThemselvesNoPasswordThatNoPolicyHasSeen(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	ada, _ := signedIn(t, s, id)
	_, err := s.Users.SetPassword(t.Context(), ada, id, user.PasswordChange{
		New: user.NewPassword{Hash: apptest.CheapHash(t, "a")}, Current: apptest.Password,
	})
	outcome(t, "a hash", err, "AUTH-AWfge")
}
