package migration_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/migration"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/passkey/passkeytest"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/user"
)

// deployment is a service with a relying party and an identity provider.
func deployment(t *testing.T, tb table.Table, ring *keyring.Ring) *apptest.Service {
	t.Helper()
	return apptest.New(t, apptest.Options{
		Table: tb, Ring: ring, Env: map[string]string{"STEPUP_RELYING_PARTIES": "example.com", "STEPUP_ORGANIZATIONS": "default,acme"},
		Providers: []idp.Provider{{ID: "one", Name: "One", Issuer: "https://one.example", ClientID: "c", ClientSecret: "s"}},
	})
}

// person is somebody with every factor that an import takes along.
type person struct {
	id, loginName string
	seed          []byte
	recovery      []string
	browser       virtualwebauthn.RelyingParty
	device        virtualwebauthn.Authenticator
	held          virtualwebauthn.Credential
}

func newPerson(t *testing.T, s *apptest.Service) *person {
	t.Helper()
	ctx, admin := t.Context(), apptest.Admin()
	u := s.NewUserCheap(t, "ada@example.com")
	p := &person{
		id: u.ID, loginName: u.LoginName(),
		browser: virtualwebauthn.RelyingParty{ID: "example.com", Origin: "https://example.com"},
		device:  virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: u.KeyHandle()}),
		held:    passkeytest.Credential(7),
	}
	_, app, err := s.Users.RegisterTOTP(ctx, admin, p.id)
	check(t, err)
	p.seed, err = otp.ParseSecret(app.Secret)
	check(t, err)
	_, err = s.Users.VerifyTOTP(ctx, admin, p.id, otp.Code(p.seed, s.Clock.Now()))
	check(t, err)
	_, p.recovery, err = s.Users.GenerateRecoveryCodes(ctx, admin, p.id, 2)
	check(t, err)
	_, key, err := s.Users.RegisterKey(ctx, admin, p.id, user.KeyRequest{Kind: passkey.Passkey, RPID: "example.com"})
	check(t, err)
	options, err := virtualwebauthn.ParseAttestationOptions(string(key.Options))
	check(t, err)
	answer := virtualwebauthn.CreateAttestationResponse(p.browser, p.device, p.held, *options)
	_, err = s.Users.VerifyKey(ctx, admin, p.id, user.KeyProof{Kind: passkey.Passkey, ID: key.ID, Name: "phone", Response: []byte(answer)})
	check(t, err)
	s.Link(t, p.id, "one", "ada")
	return p
}

// stepUp proves the person to a new session with all they have.
func (p *person) stepUp(t *testing.T, s *apptest.Service) {
	t.Helper()
	made := s.NewSession(t, session.Create{Step: session.Step{
		Checks:     session.Checks{User: &session.CheckUser{LoginName: p.loginName}},
		Challenges: session.RequestChallenges{Key: &session.RequestKey{RPID: "example.com", Verification: passkey.Required}},
	}})
	options, err := virtualwebauthn.ParseAssertionOptions(string(made.KeyOptions))
	check(t, err)
	p.device.AddCredential(p.held)
	answer := virtualwebauthn.CreateAssertionResponse(p.browser, p.device, p.held, *options)
	code := otp.Code(p.seed, s.Clock.Now().Add(otp.Step)) // the one before verified the app
	for _, checks := range []session.Checks{
		{Password: &session.CheckPassword{Plain: apptest.Password}},
		{TOTP: &session.CheckCode{Code: code}},
		{Key: &session.CheckKey{Answer: []byte(answer)}},
		{Recovery: &session.CheckCode{Code: p.recovery[0]}},
	} {
		s.Set(t, made.SessionID, session.Step{Checks: checks})
	}
	_, err = s.TrySet(made.SessionID, session.Step{Checks: session.Checks{Recovery: &session.CheckCode{Code: p.recovery[0]}}})
	apptest.WantFault(t, err, user.ErrRecoveryWrong)
	_, err = s.TrySet(made.SessionID, session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: otp.Code(p.seed, s.Clock.Now())}}})
	apptest.WantFault(t, err, user.ErrTOTPReused)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// export writes all users of a service.
func export(t *testing.T, s *apptest.Service, withoutSecrets bool) string {
	t.Helper()
	var out bytes.Buffer
	job := migration.Export{Users: s.Users, Caller: apptest.Admin(), Parallel: 4, WithoutSecrets: withoutSecrets}
	_, err := job.Run(t.Context(), &out)
	check(t, err)
	return out.String()
}

// imported reads a text into a service and returns the counts and who was refused.
func imported(t *testing.T, s *apptest.Service, f migration.Format, text string) (migration.Counts, []migration.Failure) {
	t.Helper()
	source, err := migration.Open(f, strings.NewReader(text))
	check(t, err)
	var refused []migration.Failure
	job := newImport(s.Users, &refused)
	counts, err := job.Run(t.Context(), source)
	check(t, err)
	return counts, refused
}

func newImport(users migration.Users, refused *[]migration.Failure) *migration.Import {
	return &migration.Import{
		Users: users, Caller: apptest.Admin(), Parallel: 4, Sleep: retry.Sleep,
		Report: func(f migration.Failure) error { *refused = append(*refused, f); return nil },
	}
}

func TestExportedUserCanStepUpAfterTheImportIntoTheOtherKindOfStore(t *testing.T) {
	t.Parallel()
	for name, stores := range map[string][2]func(t *testing.T) table.Table{
		"from a file to DynamoDB": {newBolt, newDynamo},
		"from DynamoDB to a file": {newDynamo, newBolt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := deployment(t, stores[0](t), nil)
			p := newPerson(t, from)
			text := export(t, from, false)
			to := deployment(t, stores[1](t), from.Ring)
			counts, refused := imported(t, to, migration.Stepup, text)
			if counts.Created != 1 || len(refused) > 0 {
				t.Fatalf("%+v, refused %v", counts, refused)
			}
			if again := export(t, to, false); again != text {
				t.Errorf("exported again it is\n%s and was\n%s", again, text)
			}
			counts, refused = imported(t, to, migration.Stepup, text)
			if counts.Unchanged != 1 || counts.Created != 0 || len(refused) > 0 {
				t.Errorf("imported again: %+v, refused %v", counts, refused)
			}
			p.stepUp(t, to)
			if sent := to.Inbox.Messages(); len(sent) > 0 {
				t.Errorf("the import sent %d messages", len(sent))
			}
			if found, err := to.Users.Get(t.Context(), apptest.Admin(), p.id); err != nil || !found.Linked("one", "ada") {
				t.Errorf("the link did not come along: %v", err)
			}
		})
	}
}

func newBolt(t *testing.T) table.Table   { return apptest.Bolt(t) }
func newDynamo(t *testing.T) table.Table { return apptest.Dynamo(t, dynamo.Options{}) }

func TestRecoveryCodesStayWithTheKeyringThatMadeThem(t *testing.T) {
	t.Parallel()
	from := deployment(t, newBolt(t), nil)
	p := newPerson(t, from)
	text := export(t, from, false)
	to := deployment(t, newBolt(t), nil) // its own keyring, whose key has the same id
	counts, refused := imported(t, to, migration.Stepup, text)
	if counts.Created != 0 || len(refused) != 1 || !strings.HasPrefix(refused[0].Reason, "recoveryCodes[0].key: ") {
		t.Fatalf("%+v, refused %+v", counts, refused)
	}
	source, err := migration.Open(migration.Stepup, strings.NewReader(text))
	check(t, err)
	job := newImport(to.Users, &refused)
	job.Alter = func(p *user.Portable) { p.RecoveryCodes = nil }
	counts, err = job.Run(t.Context(), source)
	if err != nil || counts.Created != 1 {
		t.Fatalf("without them: %+v, %v", counts, err)
	}
	s := to.NewSession(t, session.Create{Step: apptest.NamedGuess(p.id, apptest.Password)})
	code := otp.Code(p.seed, to.Clock.Now().Add(otp.Step))
	to.Set(t, s.SessionID, session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}})
}

func TestExportWithoutSecretsHasNone(t *testing.T) {
	t.Parallel()
	from := deployment(t, newBolt(t), nil)
	p := newPerson(t, from)
	with, without := export(t, from, false), export(t, from, true)
	for _, secret := range []string{"$pbkdf2", otp.EncodeSecret(p.seed), "recoveryCodes", "totp", "hash"} {
		if !strings.Contains(with, secret) || strings.Contains(without, secret) {
			t.Errorf("%.8s… is in the export with secrets: %t, and in the one without: %t",
				secret, strings.Contains(with, secret), strings.Contains(without, secret))
		}
	}
	to := deployment(t, newBolt(t), nil)
	if counts, refused := imported(t, to, migration.Stepup, without); counts.Created != 1 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
}

func TestExportHasEveryUserOnceInOrder(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := deployment(t, tb, nil)
		var text strings.Builder
		for n := range 150 {
			text.WriteString(plainLine(n))
		}
		counts, refused := imported(t, s, migration.Stepup, text.String())
		if counts.Created != 150 {
			t.Fatalf("%+v, refused %v", counts, refused)
		}
		var out bytes.Buffer
		var seen []int
		job := migration.Export{
			Users: s.Users, Caller: apptest.Admin(), Parallel: 8,
			Progress: func(c migration.Counts) { seen = append(seen, c.Done) },
		}
		exported, err := job.Run(t.Context(), &out)
		check(t, err)
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if exported.Done != 150 || len(lines) != 150 || len(seen) != 3 {
			t.Errorf("%+v, %d lines, progress %v", exported, len(lines), seen)
		}
		for n, line := range lines {
			if !strings.HasPrefix(line, strings.TrimSuffix(plainLine(n), `,"profile":{"givenName":"A","familyName":"B"}}`+"\n")[:25]) {
				t.Errorf("line %d is %.60s", n+1, line)
			}
		}
	})
}

func TestExportNeedsTheWholeInstance(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	job := migration.Export{Users: s.Users, Caller: access.Caller{Role: access.OrgOwner, Organization: "acme"}, Parallel: 1}
	_, err := job.Run(context.WithoutCancel(t.Context()), &bytes.Buffer{})
	apptest.WantFault(t, err, access.ErrForbiddenScope)
}
