package user_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// coseKey is an ES256 key in CBOR, another for every seed.
func coseKey(t *testing.T, seed byte) []byte {
	t.Helper()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), slices.Repeat([]byte{seed}, 32))
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := point[1:33], point[33:]
	return slices.Concat([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 0x20}, x, []byte{0x22, 0x58, 0x20}, y)
}

func securityKey(t *testing.T, id string, seed byte) user.SecurityKey {
	t.Helper()
	return user.SecurityKey{ID: id, Name: "key " + id, Kind: passkey.Passkey, Credential: passkey.Credential{
		ID: []byte("credential " + id), PublicKey: coseKey(t, seed), RPID: "localhost", Kind: passkey.Passkey, SignCount: 3,
		AAGUID: [16]byte{1, 2}, Transports: []string{"internal", "hybrid"}, BackupEligible: true, UserVerified: true,
		AttestationFormat: "none",
	}}
}

// everything is a user with all that a user can have.
func everything(t *testing.T, s *apptest.Service) user.Portable {
	t.Helper()
	mac, err := otp.NewRecoveryMAC(s.Ring, "ada", "7zk3-01mq-x8vd-4n2c")
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := s.Ring.Fingerprint(mac.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	return user.Portable{
		ID: "ada", Organization: "default", Username: "ada", State: user.StateInactive,
		Created: apptest.Epoch().Add(-time.Hour),
		Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace", NickName: "A", DisplayName: "Countess", Language: "en", Gender: 1},
		Email:   user.Contact{Address: "ada@example.com", Verified: true}, EmailCodes: true,
		Phone: user.Contact{Address: "+41446681800", Verified: true}, SMSCodes: true,
		Password: user.PortablePassword{
			Hash: apptest.CheapHash(t, apptest.Password), ChangeRequired: true, Changed: apptest.Epoch().Add(-time.Minute),
		},
		TOTP:          user.PortableTOTP{Secret: "JBSWY3DPEHPK3PXP", LastStep: 7},
		Keys:          []user.SecurityKey{securityKey(t, "a", 1), securityKey(t, "b", 2)},
		Links:         []user.Link{account("one", "ada"), account("two", "ada")},
		RecoveryCodes: []user.PortableCode{{RecoveryMAC: mac, Fingerprint: fingerprint}},
	}
}

func TestExportedUserIsWhatWasImported(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		want := everything(t, s)
		created, err := s.Users.Import(t.Context(), apptest.Admin(), want)
		if err != nil || !created {
			t.Fatalf("Import = %t, %v", created, err)
		}
		got, err := s.Users.Export(t.Context(), apptest.Admin(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-imported +exported):\n%s", diff)
		}
		ids, err := s.Users.UserIDs(t.Context(), apptest.Admin())
		if err != nil || !slices.Equal(ids, []string{want.ID}) {
			t.Errorf("UserIDs = %q, %v", ids, err)
		}
		if sent := s.Inbox.Messages(); len(sent) > 0 {
			t.Errorf("the import sent %d messages", len(sent))
		}
	})
}

func TestWhatIsUnderWayIsNotExported(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	id := newcomer(t, s, true)
	if _, _, err := s.Users.RegisterTOTP(t.Context(), apptest.Admin(), id); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Users.RegisterKey(t.Context(), apptest.Admin(), id, user.KeyRequest{Kind: passkey.Passkey, RPID: "localhost"}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Users.Export(t.Context(), apptest.Admin(), id)
	if err != nil || got.TOTP != (user.PortableTOTP{}) || got.Keys != nil {
		t.Errorf("Export = %+v, %v", got, err)
	}
	if got, err := s.Users.Export(t.Context(), apptest.Admin(), "unknown"); got != nil || err != nil {
		t.Errorf("Export of nobody = %+v, %v", got, err)
	}
}

func TestImportAgainChangesNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		p := everything(t, s)
		if _, err := s.Users.Import(t.Context(), apptest.Admin(), p); err != nil {
			t.Fatal(err)
		}
		before := get(t, s, p.ID)
		s.Clock.Advance(time.Hour)
		slices.Reverse(p.Keys)
		slices.Reverse(p.Links)
		p.Created, p.Password.Changed, p.Organization = time.Time{}, time.Time{}, ""
		p.Phone.Address = "+41 44 668 18 00"
		p.TOTP.LastStep, p.Keys[0].Credential.SignCount, p.Keys[1].Credential.BackupState = 9, 9, true
		created, err := s.Users.Import(t.Context(), apptest.Admin(), p)
		if err != nil || created {
			t.Errorf("Import again = %t, %v", created, err)
		}
		if diff := cmp.Diff(before, get(t, s, p.ID)); diff != "" {
			t.Errorf("it changed the user:\n%s", diff)
		}
	})
}

func TestImportOfAUserWhoDiffersNamesTheFieldsAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := linkable(t, apptest.Bolt(t))
	stored := everything(t, s)
	if _, err := s.Users.Import(t.Context(), apptest.Admin(), stored); err != nil {
		t.Fatal(err)
	}
	before := get(t, s, stored.ID)
	for field, alter := range map[string]func(*user.Portable){
		"username":      func(p *user.Portable) { p.Username = "other" },
		"state":         func(p *user.Portable) { p.State = user.StateActive },
		"created":       func(p *user.Portable) { p.Created = apptest.Epoch() },
		"profile":       func(p *user.Portable) { p.Profile.NickName = "B" },
		"email":         func(p *user.Portable) { p.EmailCodes = false },
		"phone":         func(p *user.Portable) { p.Phone.Verified, p.SMSCodes = false, false },
		"password":      func(p *user.Portable) { p.Password.Hash = apptest.CheapHash(t, "another password") },
		"totp":          func(p *user.Portable) { p.TOTP.Secret = "JBSWY3DPEHPK3PXQ" },
		"keys":          func(p *user.Portable) { p.Keys = p.Keys[:1] },
		"links":         func(p *user.Portable) { p.Links = nil },
		"recoveryCodes": func(p *user.Portable) { p.RecoveryCodes = nil },
	} {
		p := everything(t, s)
		p.Password.Hash = stored.Password.Hash
		alter(&p)
		created, err := s.Users.Import(t.Context(), apptest.Admin(), p)
		if created || !errors.Is(err, user.ErrDiffers) || !strings.HasSuffix(err.Error(), ": in "+field) {
			t.Errorf("%s: %t, %v", field, created, err)
		}
	}
	if diff := cmp.Diff(before, get(t, s, stored.ID)); diff != "" {
		t.Errorf("the user changed:\n%s", diff)
	}
}

func TestImportTakesNothingFromOthers(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		if _, err := s.Users.Import(t.Context(), apptest.Admin(), everything(t, s)); err != nil {
			t.Fatal(err)
		}
		bob := func() user.Portable {
			return user.Portable{ID: "bob", Username: "bob", State: user.StateActive, Profile: user.Profile{GivenName: "B", FamilyName: "B"}}
		}
		for id, alter := range map[string]func(*user.Portable){
			"STEPUP-login-name":     func(p *user.Portable) { p.Username = "ADA" },
			"STEPUP-webauthn-taken": func(p *user.Portable) { p.Keys = []user.SecurityKey{securityKey(t, "a", 1)} },
			"STEPUP-idp-link-taken": func(p *user.Portable) { p.Links = []user.Link{account("two", "ada")} },
		} {
			p := bob()
			alter(&p)
			_, err := s.Users.Import(t.Context(), apptest.Admin(), p)
			outcome(t, id, err, id)
		}
		if got, err := s.Users.Export(t.Context(), apptest.Admin(), "bob"); got != nil || err != nil {
			t.Errorf("half of a user is there: %+v, %v", got, err)
		}
		created, err := s.Users.Import(t.Context(), apptest.Admin(), bob())
		if err != nil || !created {
			t.Errorf("Import = %t, %v", created, err)
		}
	})
}

func TestParallelImportsOfOneUserMakeThemOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := linkable(t, tb)
		p := everything(t, s)
		var made atomic.Int64
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				created, err := s.Users.Import(t.Context(), apptest.Admin(), p)
				if err != nil {
					t.Error(err)
				}
				if created {
					made.Add(1)
				}
			})
		}
		all.Wait()
		if made.Load() != 1 {
			t.Errorf("%d imports say that they made the user", made.Load())
		}
	})
}

func TestImportRefusesAFieldByItsName(t *testing.T) {
	t.Parallel()
	s := linkable(t, apptest.Bolt(t))
	long := strings.Repeat("ä", 201)
	for name, c := range map[string]struct {
		alter func(*user.Portable)
		field string
		id    string
	}{
		"no id":               {func(p *user.Portable) { p.ID = "" }, "id", "STEPUP-import-empty"},
		"long id":             {func(p *user.Portable) { p.ID = long }, "id", "STEPUP-import-long"},
		"id with line feed":   {func(p *user.Portable) { p.ID = "a\nb" }, "id", "STEPUP-import-control"},
		"organization":        {func(p *user.Portable) { p.Organization = "other" }, "organization", "STEPUP-organization"},
		"deleted":             {func(p *user.Portable) { p.State = user.StateDeleted }, "state", "STEPUP-import-state"},
		"no state":            {func(p *user.Portable) { p.State = 0 }, "state", "STEPUP-import-state"},
		"born tomorrow":       {func(p *user.Portable) { p.Created = apptest.Epoch().Add(time.Hour) }, "created", "STEPUP-import-time"},
		"born before 1970":    {func(p *user.Portable) { p.Created = time.Unix(-1, 0) }, "created", "STEPUP-import-time"},
		"no username":         {func(p *user.Portable) { p.Username = "" }, "username", "STEPUP-import-empty"},
		"space around":        {func(p *user.Portable) { p.Username = " ada" }, "username", "STEPUP-username"},
		"long username":       {func(p *user.Portable) { p.Username = long }, "username", "STEPUP-import-long"},
		"no given name":       {func(p *user.Portable) { p.Profile.GivenName = "" }, "profile.givenName", "STEPUP-import-empty"},
		"no family name":      {func(p *user.Portable) { p.Profile.FamilyName = "" }, "profile.familyName", "STEPUP-import-empty"},
		"blank family name":   {func(p *user.Portable) { p.Profile.FamilyName = " " }, "profile", "USER-4hB7d"},
		"long nick name":      {func(p *user.Portable) { p.Profile.NickName = long }, "profile.nickName", "STEPUP-import-long"},
		"long display name":   {func(p *user.Portable) { p.Profile.DisplayName = long }, "profile.displayName", "STEPUP-import-long"},
		"long language":       {func(p *user.Portable) { p.Profile.Language = "abcdefghijk" }, "profile.language", "STEPUP-import-long"},
		"no email address":    {func(p *user.Portable) { p.Email.Address = "ada" }, "email.address", "STEPUP-import-email"},
		"address with name":   {func(p *user.Portable) { p.Email.Address = "Ada <ada@example.com>" }, "email.address", "STEPUP-import-email"},
		"verified nothing":    {func(p *user.Portable) { p.Email.Address = "" }, "email.verified", "STEPUP-import-address"},
		"codes to unverified": {func(p *user.Portable) { p.Email.Verified = false }, "email.codes", "STEPUP-import-codes"},
		"phone":               {func(p *user.Portable) { p.Phone.Address = "0446681800" }, "phone.number", "STEPUP-phone"},
		"verified no phone":   {func(p *user.Portable) { p.Phone.Address = "" }, "phone.verified", "STEPUP-import-address"},
		"SMS to unverified":   {func(p *user.Portable) { p.Phone.Verified = false }, "phone.codes", "STEPUP-import-codes"},
		"hash":                {func(p *user.Portable) { p.Password.Hash = "$1$abc$def" }, "password.hash", "USER-JDk4t"},
		"costly hash": {func(p *user.Portable) {
			p.Password.Hash = "$2b$31$C9hB01.YxRSTcn/ZOOo4j.TW7xCKKFKBSF.C7E0xiUwumqIDqWUXG"
		}, "password.hash", "USER-JDk4t"},
		"changed tomorrow": {func(p *user.Portable) { p.Password.Changed = apptest.Epoch().Add(time.Hour) }, "password.changed", "STEPUP-import-time"},
		"seed":             {func(p *user.Portable) { p.TOTP.Secret = "short" }, "totp.secret", "STEPUP-totp-secret"},
		"step of tomorrow": {func(p *user.Portable) { p.TOTP.LastStep = 1 << 40 }, "totp.lastStep", "STEPUP-import-time"},
		"21 keys":          {func(p *user.Portable) { p.Keys = make([]user.SecurityKey, 21) }, "keys", "STEPUP-import-count"},
		"key without id":   {func(p *user.Portable) { p.Keys[0].ID = "" }, "keys[0].id", "STEPUP-import-empty"},
		"long key name":    {func(p *user.Portable) { p.Keys[0].Name = long }, "keys[0].name", "STEPUP-import-long"},
		"one key id twice": {func(p *user.Portable) { p.Keys[1].ID = "a" }, "keys[1]", "STEPUP-import-twice"},
		"one credential twice": {func(p *user.Portable) {
			p.Keys[1].Credential.ID = p.Keys[0].Credential.ID
		}, "keys[1]", "STEPUP-import-twice"},
		"relying party":     {func(p *user.Portable) { p.Keys[1].Credential.RPID = "evil.example" }, "keys[1].rpId", "WEBAU-UX9ta"},
		"kind":              {func(p *user.Portable) { p.Keys[1].Credential.Kind = "" }, "keys[1]", "STEPUP-webauthn-credential"},
		"no public key":     {func(p *user.Portable) { p.Keys[1].Credential.PublicKey = nil }, "keys[1]", "STEPUP-webauthn-credential"},
		"no credential id":  {func(p *user.Portable) { p.Keys[1].Credential.ID = nil }, "keys[1]", "STEPUP-webauthn-credential"},
		"no such provider":  {func(p *user.Portable) { p.Links[1].ProviderID = "three" }, "links[1]", "STEPUP-idp"},
		"one account twice": {func(p *user.Portable) { p.Links[1] = p.Links[0] }, "links[1]", "STEPUP-idp-link-taken"},
		"nameless account":  {func(p *user.Portable) { p.Links[0].Name = "" }, "links[0]", "STEPUP-import-empty"},
		"21 accounts": {func(p *user.Portable) {
			for n := range 21 {
				p.Links = append(p.Links, account("one", string(rune('a'+n))))
			}
		}, "links[20]", "STEPUP-idp-link-count"},
		"11 recovery codes": {func(p *user.Portable) { p.RecoveryCodes = make([]user.PortableCode, 11) }, "recoveryCodes", "STEPUP-import-count"},
		"one recovery code twice": {func(p *user.Portable) {
			p.RecoveryCodes = append(p.RecoveryCodes, p.RecoveryCodes[0])
		}, "recoveryCodes[1]", "STEPUP-import-twice"},
		"another key of this id": {func(p *user.Portable) {
			p.RecoveryCodes[0].Fingerprint = strings.Repeat("0", 32)
		}, "recoveryCodes[0].key", "STEPUP-import-keyring"},
		"a key that is not there": {func(p *user.Portable) { p.RecoveryCodes[0].KeyID = "k9" }, "recoveryCodes[0].key", "STEPUP-import-keyring"},
	} {
		p := everything(t, s)
		c.alter(&p)
		_, err := s.Users.Import(t.Context(), apptest.Admin(), p)
		outcome(t, name, err, c.id)
		if found, ok := errors.AsType[*user.FieldError](err); !ok || found.Field != c.field {
			t.Errorf("%s: %v does not name %s", name, err, c.field)
		}
		outcome(t, name+", only checked", s.Users.CheckImport(apptest.Admin(), p), c.id)
	}
	if err := s.Users.CheckImport(apptest.Admin(), everything(t, s)); err != nil {
		t.Errorf("a user with everything: %v", err)
	}
	if ids, err := s.Users.UserIDs(t.Context(), apptest.Admin()); err != nil || len(ids) > 0 {
		t.Errorf("there are users %q, %v", ids, err)
	}
}

func TestImportAndExportAreForThoseWhoMayDoAll(t *testing.T) {
	t.Parallel()
	s := linkable(t, apptest.Bolt(t))
	p := everything(t, s)
	for _, role := range []access.Role{"", access.IAMOwnerViewer} {
		caller := access.Caller{ID: "k", Role: role}
		_, err := s.Users.Import(t.Context(), caller, p)
		outcome(t, "import", err, "AUTH-AWfge")
		outcome(t, "check", s.Users.CheckImport(caller, p), "AUTH-AWfge")
		_, err = s.Users.Export(t.Context(), caller, p.ID)
		outcome(t, "export", err, "AUTH-AWfge")
	}
	if _, err := s.Users.Import(t.Context(), apptest.Admin(), p); err != nil {
		t.Fatal(err)
	}
	elsewhere := access.Caller{ID: "k", Role: access.OrgOwner, Organization: "elsewhere"}
	_, err := s.Users.Export(t.Context(), elsewhere, p.ID)
	outcome(t, "export from another organization", err, "AUTH-Swrgg2")
	_, err = s.Users.Import(t.Context(), elsewhere, p)
	outcome(t, "import into another organization", err, "AUTH-Swrgg2")
	_, err = s.Users.UserIDs(t.Context(), elsewhere)
	outcome(t, "ids of the instance", err, "AUTH-Swrgg2")
	_, err = s.Users.UserIDs(t.Context(), access.Caller{})
	outcome(t, "ids for nobody", err, "AUTH-AWfge")
	own := access.Caller{ID: p.ID, UserID: p.ID}
	_, err = s.Users.Export(t.Context(), own, p.ID)
	outcome(t, "export of oneself", err, "AUTH-AWfge")
}
