package migration_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/crypto/scrypt"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/migration"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// read reads a whole text.
func read(t *testing.T, f migration.Format, text string) []migration.Entry {
	t.Helper()
	source, err := migration.Open(f, strings.NewReader(text))
	check(t, err)
	var all []migration.Entry
	for e, err := range source.Entries {
		check(t, err)
		all = append(all, e)
	}
	return all
}

const bcryptHash = "$2b$10$C9hB01.YxRSTcn/ZOOo4j.TW7xCKKFKBSF.C7E0xiUwumqIDqWUXG"

// zitadelUsers follows the guide "Migrate Users" and the reference of ExportData.
const zitadelUsers = `{"orgs":[{"orgId":"acme","org":{"name":"ACME"},"domainPolicy":{"userLoginMustBeDomain":true},
"humanUsers":[
{"userId":"104133391271651848","user":{"userName":"road","profile":{"firstName":"Road","lastName":"Runner","nickName":"rr",
 "displayName":"Road Runner","preferredLanguage":"de","gender":"GENDER_MALE"},"email":{"email":"road@acme.tld","isEmailVerified":true},
 "phone":{"phone":"+41446681800","isPhoneVerified":true},"hashedPassword":{"value":"` + bcryptHash + `","algorithm":"bcrypt"},
 "passwordChangeRequired":true,"otpCode":"JBSWY3DPEHPK3PXP","requestPasswordlessRegistration":true,
 "idps":[{"configId":"one","externalUserId":"e1","displayName":"n1"}],"recoveryCodes":[{"x":1}]}},
{"userId":"2","user":{"userName":"wile@test9","profile":{"firstName":"Wile E.","lastName":"Coyote","preferredLanguage":"und"},
 "email":{"email":"wile.e@acme.tld"}}},
{"userId":"3","user":{"userName":"plain","profile":{"firstName":"P","lastName":"P"},"email":{"email":"p@acme.tld"},"password":"secret"}},
{"userId":"4","user":{"userName":"new","profile":{"firstName":"P","lastName":"P"},"email":{"email":"q@acme.tld"},"passkeys":[]}}],
"userLinks":[{"userId":"2","idpId":"one","idpName":"One","providedUserId":"e2","providedUserName":"n2","idpType":"IDP_TYPE_OIDC"}]}]}`

func TestUsersOfZitadelAreReadAsDocumented(t *testing.T) {
	t.Parallel()
	export := read(t, migration.Zitadel, zitadelUsers)
	for _, body := range []string{`{"timeout":"10m","dataOrgs":` + zitadelUsers + `}`, `{"timeout":"10m","data_orgs":` + zitadelUsers + `}`} {
		if got := read(t, migration.Zitadel, body); len(got) != len(export) {
			t.Errorf("the body of an import has %d users, the export %d", len(got), len(export))
		}
	}
	road, wile := export[0].User, export[1].User
	if road.ID != "104133391271651848" || road.Organization != "acme" || road.Username != "road" || road.TOTP.Secret != "JBSWY3DPEHPK3PXP" ||
		road.Password.Hash != bcryptHash || !road.Password.ChangeRequired || !road.Email.Verified || !road.Phone.Verified ||
		road.Profile != (user.Profile{GivenName: "Road", FamilyName: "Runner", NickName: "rr", DisplayName: "Road Runner", Language: "de", Gender: 2}) ||
		!slices.Equal(road.Links, []user.Link{{ProviderID: "one", ExternalID: "e1", Name: "n1"}}) {
		t.Errorf("%+v", road)
	}
	if !slices.Equal(export[0].Lost, []string{"requestPasswordlessRegistration", "recoveryCodes"}) {
		t.Errorf("lost %v", export[0].Lost)
	}
	if wile.Profile.Language != "" || wile.Email.Verified || !slices.Equal(wile.Links, []user.Link{{ProviderID: "one", ExternalID: "e2", Name: "n2"}}) {
		t.Errorf("%+v", wile)
	}
	wantError(t, export[2], "user.password: is in plain text; only hashes are read")
	wantError(t, export[3], "user.passkeys: is an unknown field")
	counts, refused := imported(t, deployment(t, newBolt(t), nil), migration.Zitadel, zitadelUsers)
	if counts.Created != 2 || counts.Failed != 2 || counts.Total != 4 || counts.Lost["recoveryCodes"] != 1 || len(refused) != 2 || refused[0].Line != 3 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
}

func wantError(t *testing.T, e migration.Entry, text string) {
	t.Helper()
	if e.Err == nil || e.Err.Error() != text {
		t.Errorf("entry %d: %v, want %s", e.Line, e.Err, text)
	}
}

// The header and the first rows are of the form of the sample in the developer guide.
const cognitoUsers = `cognito:username,name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,website,email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,phone_number_verified,address,updated_at,cognito:mfa_enabled
John,,John,Doe,,,,,,,johndoe@example.com,TRUE,,02/01/1985,,,+12345550100,FALSE,123 Any Street,,FALSE
Jane,Jane Roe,,Roe,,,,,,,janeroe@example.com,true,Female,01/01/1985,,en-US,+41446681800,TRUE,100 Main Street\, Anytown,,TRUE
short,,A
"quoted",,A,B,,,,,,,q@example.com,TRUE,,,,,,,,,FALSE
maybe,,A,B,,,,,,,m@example.com,perhaps,,,,,,,,,FALSE
`

func TestUsersOfCognitoAreReadAsDocumented(t *testing.T) {
	t.Parallel()
	rows := read(t, migration.Cognito, cognitoUsers)
	jane := rows[1].User
	if jane.ID != "Jane" || jane.Username != "Jane" || jane.Profile != (user.Profile{GivenName: "Jane Roe", FamilyName: "Roe", DisplayName: "Jane Roe", Language: "en-US", Gender: 1}) ||
		!jane.Email.Verified || jane.Phone != (user.Contact{Address: "+41446681800", Verified: true}) || jane.SMSCodes || jane.Password.Hash != "" {
		t.Errorf("%+v", jane)
	}
	slices.Sort(rows[1].Lost)
	if !slices.Equal(rows[1].Lost, []string{"address", "birthdate", "cognito:mfa_enabled"}) || rows[1].Line != 3 {
		t.Errorf("line %d, lost %v", rows[1].Line, rows[1].Lost)
	}
	wantError(t, rows[2], "has 3 values, and the header 21; a comma in a value stands behind a backslash")
	wantError(t, rows[3], "cognito:username: begins with a quotation mark, and the format has none")
	wantError(t, rows[4], "email_verified: is neither TRUE nor FALSE")
	s := deployment(t, newBolt(t), nil)
	if counts, refused := imported(t, s, migration.Cognito, cognitoUsers); counts.Created != 2 || counts.Failed != 3 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
	for header, want := range map[string]string{
		"name,email\n":                   "cognito:username: is missing",
		"cognito:username,secret\n":      "secret: is an unknown column",
		"cognito:username,name,name\n":   "name: is there twice",
		"\ufeffcognito:username,email\n": "is an unknown column",
	} {
		if _, err := migration.Open(migration.Cognito, strings.NewReader(header)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// auth0Users has the examples of the import's schema, and hashes that can be verified.
func auth0Users(t *testing.T) string {
	t.Helper()
	key, err := scrypt.Key([]byte(apptest.Password), []byte("abc123"), 4096, 8, 1, 32)
	check(t, err)
	cheap := strings.Split(apptest.CheapHash(t, apptest.Password), "$") // "", algorithm, rounds, salt, hash
	return `[{"user_id":"auth0|1","email":"scrypt@contoso.com","email_verified":true,"given_name":"S","family_name":"C","app_metadata":{"plan":"premium"},
 "custom_password_hash":{"algorithm":"scrypt","hash":{"value":"` + hex.EncodeToString(key) + `","encoding":"hex"},"salt":{"value":"abc123","encoding":"utf8"},"keylen":32,"cost":4096}},
{"email":"pbkdf2@contoso.com","custom_password_hash":{"algorithm":"pbkdf2","hash":{"value":"$` + cheap[1] + `$i=1,l=32$` + cheap[3] + `$` + cheap[4] + `"}}},
{"email":"edward@contoso.com","username":"edward","blocked":true,"name":"Ed","custom_password_hash":{"algorithm":"argon2","hash":{
 "value":"$argon2id$v=19$m=65536,t=2,p=1$J6Q/82PCyaNpYKRELJyTZg$m04qUAB8rexWDR4+/0f+SFB+4XMFxt7YAvAq2UycYos"}}},
{"email":"velma@contoso.com","password_hash":"` + bcryptHash + `"},
{"email":"mfa@contoso.com","email_verified":true,"mfa_factors":[{"totp":{"secret":"JBTWY3DPEHPK3PNP"}},{"phone":{"value":"+41446681800"}},{"email":{"value":"MFA@contoso.com"}},{"email":{"value":"other@contoso.com"}}]},
{"email":"antoinette@contoso.com","custom_password_hash":{"algorithm":"md4","hash":{"value":"AbuUujgF0pPPkJPSFRTpmA==","encoding":"base64"}}},
{"email":"terrell@contoso.com","custom_password_hash":{"algorithm":"pbkdf2","hash":{"value":"$pbkdf2-md4$i=100000,l=64$+N375B8q0Fw$fp2R9KAM4hK/votGHC5Fu+jhqbxUD8+Nic/EMSGvNC3UP/k7wSHI0uXluHRSkZfl/BOheYqNOemayG90ZaSSQw","encoding":"utf8"}}},
{"email":"two@contoso.com","mfa_factors":[{"totp":{"secret":"JBTWY3DPEHPK3PNP"}},{"totp":{"secret":"JBTWY3DPEHPK3PNQ"}}]},
{"email":"new@contoso.com","passkeys":[]}]`
}

func TestUsersOfAuth0AreReadAsDocumented(t *testing.T) {
	t.Parallel()
	all := read(t, migration.Auth0, auth0Users(t))
	if p := all[2].User; p.Username != "edward" || p.ID != "edward" || p.State != user.StateLocked || p.Profile.GivenName != "Ed" || p.Profile.FamilyName != "Ed" {
		t.Errorf("%+v", p)
	}
	if p := all[4].User; p.TOTP.Secret != "JBTWY3DPEHPK3PNP" || !p.SMSCodes || !p.Phone.Verified || !p.EmailCodes {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(all[0].Lost, []string{"app_metadata"}) || !slices.Equal(all[4].Lost, []string{"mfa_factors.email"}) {
		t.Errorf("lost %v and %v", all[0].Lost, all[4].Lost)
	}
	wantError(t, all[5], "custom_password_hash.algorithm: is none of argon2, bcrypt, pbkdf2 and scrypt")
	wantError(t, all[7], "mfa_factors[1].totp: is a second one, and a user here has one")
	wantError(t, all[8], "passkeys: is an unknown field")
	s := deployment(t, newBolt(t), nil)
	counts, refused := imported(t, s, migration.Auth0, auth0Users(t))
	if counts.Created != 5 || counts.Failed != 4 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
	for _, id := range []string{"auth0|1", "pbkdf2@contoso.com"} {
		s.NewSession(t, session.Create{Step: apptest.NamedGuess(id, apptest.Password)})
	}
	lines := `{"user_id":"auth0|9","email":"x@contoso.com","created_at":"2020-01-02T03:04:05.678Z","identities":[{}],"logins_count":3,"name":null}` + "\n"
	if got := read(t, migration.Auth0, lines); got[0].Err != nil || got[0].User.Created.Year() != 2020 || len(got[0].Lost) != 2 {
		t.Errorf("an export: %+v", got)
	}
}

func TestFileOfAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	for f, text := range map[migration.Format]string{
		migration.Zitadel: `{"users":[]}`, migration.Cognito: `[]`, migration.Auth0: `email,name`, "keycloak": `{}`,
	} {
		if _, err := migration.Open(f, strings.NewReader(text)); err == nil {
			t.Errorf("%s takes %s", f, text)
		}
	}
}

func TestLinesAreReadStrictly(t *testing.T) {
	t.Parallel()
	line := func(more string) string {
		return `{"version":1,"id":"a","username":"a","profile":{"givenName":"A","familyName":"B"}` + more + `}`
	}
	for text, want := range map[string]string{
		line(`,"foo":1`):                                "foo: is an unknown field",
		line(`,"foo\u001b[31m":1`):                      `foo\x1b[31m: is an unknown field`,
		line(`,"ID":"b"`):                               "ID: is an unknown field",
		line(`,"id":"b"`):                               "id: is there twice",
		line(`,"email":"x"`):                            "email: is not an object",
		line(`,"email":{"address":7}`):                  "email.address: is not a string",
		line(`,"keys":{}`):                              "keys: is not an array",
		line(`,"keys":[{"id":"k","signCount":true}]`):   "keys[0].signCount: is not a number",
		line(`,"keys":[{"id":"k","signCount":-1}]`):     "keys.signCount: is a number out of range",
		line(`,"keys":[{"transports":["a",1]}]`):        "keys[0].transports[1]: is not a string",
		line(`,"keys":[{"credentialId":"a+b="}]`):       "keys[0].credentialId: is not base64url without padding",
		line(`,"keys":[{"aaguid":"00"}]`):               "keys[0].aaguid: is not 32 hexadecimal digits",
		line(`,"recoveryCodes":[{"mac":"AA"}]`):         "recoveryCodes[0].mac: is not 32 bytes",
		line(`,"state":"deleted"`):                      "state: is not active, inactive, locked or initial",
		line(`,"created":"yesterday"`):                  "created: is not a time of RFC 3339",
		line(`,"password":{"changeRequired":true}`):     "password.hash: is missing",
		strings.Replace(line(``), `:1,`, `:2,`, 1):      "version: is not 1",
		strings.Replace(line(``), `"A"`, "\"\xff\"", 1): "is not UTF-8",
		"null": ": is not an object", "[]": ": is not an object",
	} {
		wantError(t, read(t, migration.Stepup, text)[0], want)
	}
	for _, text := range []string{line(``) + `{}`, line(``) + ` x`, `{`, `{"id`} {
		if e := read(t, migration.Stepup, text)[0]; e.Err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// fuzz reads any bytes: nothing panics, and what is wrong is said in printable words that
// are valid UTF-8.
func fuzz(f *testing.F, format migration.Format, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		source, err := migration.Open(format, strings.NewReader(string(text)))
		if err != nil {
			return
		}
		last := 0
		for e, err := range source.Entries {
			if err != nil {
				t.Fatalf("a file in memory: %v", err)
			}
			if e.Line <= last {
				t.Fatalf("line %d after %d", e.Line, last)
			}
			last = e.Line
			if e.Err != nil && !utf8.ValidString(e.Err.Error()) {
				t.Errorf("the reason is %q", e.Err)
			}
		}
	})
}

func FuzzLines(f *testing.F) {
	fuzz(f, migration.Stepup, plainLine(1), plainLine(1)+"\n{}\n", `{"version":1,"keys":[{"credentialId":"AA"}]}`, fmt.Sprint("[", strings.Repeat("[", 99)))
}
func FuzzZitadel(f *testing.F) {
	fuzz(f, migration.Zitadel, zitadelUsers, `{"dataOrgs":{"orgs":[{}]}}`)
}
func FuzzCognito(f *testing.F) { fuzz(f, migration.Cognito, cognitoUsers, "cognito:username\na\\,b\n") }
func FuzzAuth0(f *testing.F) {
	fuzz(f, migration.Auth0, `[{"email":"a@b.c","custom_password_hash":{"algorithm":"pbkdf2","hash":{"value":"$pbkdf2-sha1$i=1$AA$AA"}}}]`,
		`{"email":"a@b.c","mfa_factors":[{"phone":{"value":"+1"}}]}`)
}
