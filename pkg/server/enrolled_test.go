package server_test

import (
	"context"
	"testing"

	"github.com/descope/virtualwebauthn"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// phoneNumber is that of everybody who has one.
const phoneNumber = "+41446681800"

// enrolled is what a person can prove themselves with.
type enrolled struct {
	// totp is the app's code now, and later the next one.
	totp, later string
	recovery    []string
	// sms and email answer the open challenges of the person's session.
	sms, email string
	session    session.Result
}

// enrol creates a person with every one-time factor, and a session of theirs that
// waits for both kinds of codes.
func enrol(t *testing.T, s *apptest.Service, name string) enrolled {
	t.Helper()
	ctx, admin := context.Background(), apptest.Admin()
	seed := reachable(t, s, name)
	_, err := s.Users.VerifyTOTP(ctx, admin, name, otp.Code(seed, s.Clock.Now().Add(-otp.Step)))
	check(t, err)
	_, err = s.Users.AddSMSCodes(ctx, admin, name)
	check(t, err)
	_, err = s.Users.AddEmailCodes(ctx, admin, name)
	check(t, err)
	e := enrolled{totp: otp.Code(seed, s.Clock.Now()), later: otp.Code(seed, s.Clock.Now().Add(otp.Step))}
	_, e.recovery, err = s.Users.GenerateRecoveryCodes(ctx, admin, name, 2)
	check(t, err)
	ask := login(name, "")
	ask.Challenges = session.RequestChallenges{
		SMS: &session.RequestCode{ReturnCode: true}, Email: &session.RequestCode{ReturnCode: true},
	}
	e.session, err = s.Sessions.Create(ctx, admin, ask)
	check(t, err)
	e.sms, e.email = e.session.Codes[sending.SMS], e.session.Codes[sending.Email]
	return e
}

// reachable creates a person with a verified address and phone, and an app that is not
// confirmed. It returns the app's seed.
func reachable(t *testing.T, s *apptest.Service, name string) []byte {
	t.Helper()
	ctx, admin := context.Background(), apptest.Admin()
	_, err := s.Users.Create(ctx, admin, user.Registration{
		ID: name, Username: name + "@stepup.test", Profile: user.Profile{GivenName: name, FamilyName: "Test"},
		Email: user.Contact{Address: name + "@stepup.test", Verified: true},
		Phone: user.Contact{Address: phoneNumber, Verified: true},
	})
	check(t, err)
	_, app, err := s.Users.RegisterTOTP(ctx, admin, name)
	check(t, err)
	seed, err := otp.ParseSecret(app.Secret)
	check(t, err)
	return seed
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begun is a registration of a key that waits for the browser's answer.
type begun struct {
	id     string
	answer *structpb.Struct
}

// begin starts the registration of a key.
func begin(t *testing.T, s *apptest.Service, name string, kind passkey.Kind) begun {
	t.Helper()
	u, made, err := s.Users.RegisterKey(context.Background(), apptest.Admin(), name, user.KeyRequest{Kind: kind, RPID: "example.com"})
	check(t, err)
	options, err := virtualwebauthn.ParseAttestationOptions(string(made.Options))
	check(t, err)
	browser := virtualwebauthn.RelyingParty{ID: "example.com", Origin: "https://login.example.com"}
	device := virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: u.KeyHandle()})
	answer := &structpb.Struct{}
	check(t, answer.UnmarshalJSON([]byte(virtualwebauthn.CreateAttestationResponse(browser, device, passkeytest.Credential(7), *options))))
	return begun{made.ID, answer}
}
