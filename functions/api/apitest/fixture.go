package apitest

import (
	"context"
	"crypto/sha3"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Keyring holds a master key that guards nothing: the bytes 0 to 31.
const Keyring = `{"current":"k1","keys":{"k1":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}`

// SignerARN is the IAM role whose sessions Deploy lets in, as IAM_LOGIN_CLIENT.
const SignerARN = "arn:aws:iam::123456789012:role/service/login"

// The users. UserID and FactorsID are active, and UserID has the Password.
const (
	UserID    = "demo"
	LoginName = "demo@example.com"
	Password  = "correct horse battery"
	LockedID  = "locked"
	// FactorsID has an app that is not confirmed, codes by SMS and mail, recovery codes,
	// and a passkey and a U2F key that are begun.
	FactorsID = "factors"
	// UnprovedID has addresses that are not verified.
	UnprovedID = "unproved"
	InactiveID = "inactive"
)

// What Seed draws. The randomness is fixed, so that the events can name it; Seed
// fails when one of these is no longer what comes out.
const (
	// APIKey has the role IAM_OWNER.
	APIKey = "stepup_AQJrMWh7myxwpcZlzrJ_spdh7tkWiGUIUTj9bhLBM2LXEf9BMMlpQ3j8gMfPT7gMzRgG8QRzdYB04nUHwENk9dJYsaFcTLvMMGBDxc-GMLy4nMXu"
	// SessionID is a session in which user and password are checked.
	SessionID    = "z4dc5797wtq918bnpdw9ax5ef8"
	SessionToken = "AQJrMfkawp0n5q6QoXWzeJV0rnpLvLeLIKyLKa8mdhjYCbNmP-VdTXF9q7u0Jof1nBMIVLbceh_Mon2Ofq5ABNOHr6M"
	// FactorsSessionID is a session of FactorsID, RecoveryCode one of their codes.
	FactorsSessionID = "dwf5zft2d101z6a6tppfh0n5d0"
	RecoveryCode     = "ttyk-pk55-ccma-yzx2"
	// PasskeyID and U2FID are keys of FactorsID whose registration has begun.
	PasskeyID = "5nr9zd8jv3b1f8kphds0qwc090"
	U2FID     = "g5aw0kqrrdjzpejfxvm4vy8894"
	// ExpiredSessionID is a session whose lifetime is over.
	ExpiredSessionID = "gc6a4pm34vtrrtz15sa478yw1c"
)

// epoch is when the fixture was made: long ago, for a function with a real clock.
func epoch() time.Time { return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) }

// Seed fills the table. Each part has randomness of its own, so that a new draw in
// one moves nothing in another.
func Seed(ctx context.Context, t table.Table) error {
	parts := []struct {
		name string
		seed func(context.Context, *app.App) error
	}{
		{"key", seedKey},
		{"users", seedUsers},
		{"session", seedSession},
		{"expired session", seedExpiredSession},
		{"factors", seedFactors},
	}
	var problems []error
	for _, part := range parts {
		a, err := service(repeatable{t}, part.name) //nolint:contextcheck // nothing is called yet
		if err == nil {
			err = part.seed(ctx, a)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("seed the %s: %w", part.name, err))
		}
	}
	return errors.Join(problems...)
}

// service puts the service together as the function does, but with a clock that
// stands still and randomness that hangs on the label alone.
func service(t table.Table, label string) (*app.App, error) {
	c, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	ring, err := keyring.Parse([]byte(Keyring))
	if err != nil {
		return nil, err
	}
	random := sha3.NewSHAKE128()
	_, _ = random.Write([]byte(label)) // a hash's Write never fails
	return app.New(app.Parts{
		Config: c, Table: t, Ring: ring, Now: epoch, Random: random,
		Logger: slog.New(slog.DiscardHandler),
	})
}

// repeatable is a table whose writes are not remembered. Fixed randomness draws the
// same write tokens for every table, and DynamoDB would take the second write under
// one for a repetition of the first: it keeps them by account and not by table.
type repeatable struct{ table.Table }

// Write implements table.Table.
func (r repeatable) Write(ctx context.Context, w table.Write) error {
	w.Token = ""
	return r.Table.Write(ctx, w)
}

// operator is who seeds.
func operator() access.Caller { return access.Caller{ID: "operator", Role: access.IAMOwner} }

func seedKey(ctx context.Context, a *app.App) error {
	_, text, err := a.Keys.Issue(ctx, access.NewKey{Name: "events", Role: access.IAMOwner})
	if err != nil {
		return err
	}
	return same("APIKey", APIKey, text)
}

func seedUsers(ctx context.Context, a *app.App) error {
	for _, id := range []string{UserID, LockedID, InactiveID, FactorsID, UnprovedID} {
		r := user.Registration{
			ID:      id,
			Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace", Language: "en"},
			Email:   user.Contact{Address: id + "@example.com", Verified: id != UnprovedID},
			Phone:   user.Contact{Address: "+41446681800", Verified: id != UnprovedID},
		}
		if id == UserID {
			r.Password.Plain = Password
		}
		if _, err := a.Users.Create(ctx, operator(), r); err != nil {
			return err
		}
	}
	_, locked := a.Users.Lock(ctx, operator(), LockedID)
	_, deactivated := a.Users.Deactivate(ctx, operator(), InactiveID)
	return errors.Join(locked, deactivated)
}

func seedSession(ctx context.Context, a *app.App) error {
	r, err := a.Sessions.Create(ctx, operator(), session.Create{Step: session.Step{Checks: session.Checks{
		User:     &session.CheckUser{LoginName: LoginName},
		Password: &session.CheckPassword{Plain: Password},
	}}})
	if err != nil {
		return err
	}
	return errors.Join(same("SessionID", SessionID, r.SessionID), same("SessionToken", SessionToken, r.Token))
}

func seedExpiredSession(ctx context.Context, a *app.App) error {
	lifetime := time.Hour
	r, err := a.Sessions.Create(ctx, operator(), session.Create{Step: session.Step{
		Checks:   session.Checks{User: &session.CheckUser{ID: UserID}},
		Lifetime: &lifetime,
	}})
	if err != nil {
		return err
	}
	return same("ExpiredSessionID", ExpiredSessionID, r.SessionID)
}

func seedFactors(ctx context.Context, a *app.App) error {
	_, _, app := a.Users.RegisterTOTP(ctx, operator(), FactorsID)
	_, sms := a.Users.AddSMSCodes(ctx, operator(), FactorsID)
	_, email := a.Users.AddEmailCodes(ctx, operator(), FactorsID)
	_, codes, recovery := a.Users.GenerateRecoveryCodes(ctx, operator(), FactorsID, 1)
	_, first, platform := a.Users.RegisterKey(ctx, operator(), FactorsID, user.KeyRequest{Kind: passkey.Passkey, RPID: "localhost"})
	_, second, token := a.Users.RegisterKey(ctx, operator(), FactorsID, user.KeyRequest{Kind: passkey.U2F, RPID: "localhost"})
	s, bound := a.Sessions.Create(ctx, operator(), session.Create{Step: session.Step{Checks: session.Checks{
		User: &session.CheckUser{ID: FactorsID},
	}}})
	if err := errors.Join(app, sms, email, recovery, platform, token, bound); err != nil {
		return err
	}
	return errors.Join(
		same("RecoveryCode", RecoveryCode, codes[0]), same("PasskeyID", PasskeyID, first.ID), same("U2FID", U2FID, second.ID),
		same("FactorsSessionID", FactorsSessionID, s.SessionID),
	)
}

func same(name, constant, drawn string) error {
	if constant == drawn {
		return nil
	}
	return fmt.Errorf("the constant %s must be %q now; then write the events anew", name, drawn)
}
