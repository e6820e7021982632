package user_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

func newService(t *testing.T) *apptest.Service {
	return apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_ORGANIZATIONS": "red,blue"}})
}

// human is a registration that is accepted.
func human(username string) user.Registration {
	return user.Registration{Username: username, Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"}}
}

// wantID compares a fault's id and kind.
func wantID(t *testing.T, err error, kind fault.Kind, id string) {
	t.Helper()
	if f := fault.From(err); f == nil || f.ID != id || f.Kind != kind {
		t.Errorf("got %v, want %s (%s)", err, id, kind)
	}
}

func create(t *testing.T, s *apptest.Service, n user.Registration) *user.User {
	t.Helper()
	u, err := s.Users.Create(t.Context(), apptest.Admin(), n)
	if err != nil {
		t.Fatal(err)
	}
	return u.User
}

func get(t *testing.T, s *apptest.Service, id string) *user.User {
	t.Helper()
	u, err := s.Users.Get(t.Context(), apptest.Admin(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestCreatedUserIsReadAsItWasMade(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		now := apptest.Epoch()
		made := create(t, s, user.Registration{
			ID: "ada", Username: "Ada", Profile: user.Profile{
				GivenName: "Ada", FamilyName: "Lovelace", NickName: "A", DisplayName: "The Countess", Language: "en-GB", Gender: 1,
			},
			Email:    user.Contact{Address: "Ada@example.com", Verified: true},
			Phone:    user.Contact{Address: "+44 (20) 7946-0000", Verified: true},
			Password: user.NewPassword{Plain: apptest.Password, ChangeRequired: true},
		})
		want := &user.User{
			ID: "ada", Organization: "default", Username: "Ada", Created: now, Profile: made.Profile,
			Email:    user.Contact{Address: "Ada@example.com", Verified: true},
			Phone:    user.Contact{Address: "+442079460000", Verified: true},
			Password: user.Password{Hash: made.Password.Hash, ChangeRequired: true},
			Guard: user.Guard{
				UserID: "ada", Version: 1, Changed: now, State: user.StateActive, Epoch: made.Guard.Epoch, PasswordChanged: now,
			},
		}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, get(t, s, "ada")); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(made.Password.Hash, "$argon2id$") {
			t.Errorf("the hash is %.10s…", made.Password.Hash)
		}
	})
}

func TestCreateDefaults(t *testing.T) {
	t.Parallel()
	s := newService(t)
	n := human("")
	n.Email.Address = "ada@example.com"
	u := create(t, s, n)
	if u.Username != "ada@example.com" || u.DisplayName() != "Ada Lovelace" || u.Organization != "red" || u.Password.Hash != "" {
		t.Errorf("got %+v", u)
	}
	if len(u.ID) != 26 || len(u.Methods()) != 0 {
		t.Errorf("id %q, methods %v", u.ID, u.Methods())
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	first := human("taken")
	first.ID = "taken-id"
	create(t, s, first)
	with := func(alter func(*user.Registration)) user.Registration {
		n := human("free")
		alter(&n)
		return n
	}
	hash := func(h string) user.Registration {
		return with(func(n *user.Registration) { n.Password.Hash = h })
	}
	for name, c := range map[string]struct {
		n    user.Registration
		kind fault.Kind
		id   string
	}{
		"taken id":               {with(func(n *user.Registration) { n.ID = "taken-id" }), fault.FailedPrecondition, "COMMAND-k2unb"},
		"taken id and name":      {first, fault.FailedPrecondition, "COMMAND-k2unb"},
		"taken login name":       {human("taken"), fault.AlreadyExists, "STEPUP-login-name"},
		"taken, other case":      {human("TAKEN"), fault.AlreadyExists, "STEPUP-login-name"},
		"unknown organization":   {with(func(n *user.Registration) { n.Organization = "green" }), fault.InvalidArgument, "STEPUP-organization"},
		"no name at all":         {human(""), fault.InvalidArgument, "STEPUP-username"},
		"name with a blank end":  {human("ada "), fault.InvalidArgument, "STEPUP-username"},
		"name with a newline":    {human("a\nda"), fault.InvalidArgument, "STEPUP-username"},
		"name with a C1 control": {human("a\u0090da"), fault.InvalidArgument, "STEPUP-username"},
		"no given name":          {with(func(n *user.Registration) { n.Profile.GivenName = " " }), fault.InvalidArgument, "USER-UCej2"},
		"no family name":         {with(func(n *user.Registration) { n.Profile.FamilyName = "" }), fault.InvalidArgument, "USER-4hB7d"},
		"national phone":         {with(func(n *user.Registration) { n.Phone.Address = "079 123 45 67" }), fault.InvalidArgument, "STEPUP-phone"},
		"letters as phone":       {with(func(n *user.Registration) { n.Phone.Address = "+41 CALL ME" }), fault.InvalidArgument, "STEPUP-phone"},
		"long phone":             {with(func(n *user.Registration) { n.Phone.Address = "+1234567890123456" }), fault.InvalidArgument, "STEPUP-phone"},
		"P1 short password":      {with(func(n *user.Registration) { n.Password.Plain = "1234567" }), fault.InvalidArgument, "DOMAIN-HuJf6"},
		"P1 endless password":    {with(func(n *user.Registration) { n.Password.Plain = strings.Repeat("x", 201) }), fault.InvalidArgument, "STEPUP-password-long"},
		"P5 bcrypt cost 31":      {hash("$2b$31$abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm"), password.ErrUnsupported.Kind, password.ErrUnsupported.ID},
		"P5 unknown hash":        {hash("$md5$abc$def"), password.ErrUnsupported.Kind, password.ErrUnsupported.ID},
		"P5 plain text as hash":  {hash("correct horse"), password.ErrUnsupported.Kind, password.ErrUnsupported.ID},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Users.Create(t.Context(), apptest.Admin(), c.n)
			wantID(t, err, c.kind, c.id)
		})
	}
	l, err := s.Users.List(t.Context(), apptest.Admin(), user.Filter{})
	if err != nil || l.Total != 1 {
		t.Errorf("%d users exist, %v", l.Total, err)
	}
}

func TestP1_PasswordOf200CharactersIsVerifiedAsReceived(t *testing.T) {
	t.Parallel()
	s := newService(t)
	long := strings.Repeat("pässwörd ", 22) + "ab"
	n := human("ada")
	n.Password.Plain = long
	u := create(t, s, n)
	if err := signIn(t, s, u.ID, long[:len(long)-1]); err == nil {
		t.Error("the password without its last character is right")
	}
	if err := signIn(t, s, u.ID, long); err != nil {
		t.Error(err)
	}
}

func TestS15_WhoMayCreateUsersWhere(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, c := range map[string]struct {
		caller       access.Caller
		organization string
		want         string // organization, or the fault's id
	}{
		"login client, default":    {access.Caller{Role: access.IAMLoginClient}, "", "red"},
		"login client, anywhere":   {access.Caller{Role: access.IAMLoginClient}, "blue", "blue"},
		"org owner, own":           {access.Caller{Role: access.OrgOwner, Organization: "blue"}, "blue", "blue"},
		"org owner, default":       {access.Caller{Role: access.OrgOwner, Organization: "blue"}, "", "blue"},
		"org owner, elsewhere":     {access.Caller{Role: access.OrgOwner, Organization: "blue"}, "red", "AUTH-Swrgg2"},
		"viewer":                   {access.Caller{Role: access.IAMOwnerViewer}, "", "AUTH-AWfge"},
		"user":                     {access.Caller{UserID: "ada", Organization: "red"}, "", "AUTH-AWfge"},
		"viewer, unknown org":      {access.Caller{Role: access.IAMOwnerViewer}, "green", "AUTH-AWfge"},
		"nobody, with a bad phone": {access.Caller{}, "", "AUTH-AWfge"},
	} {
		n := human(name)
		n.Organization = c.organization
		u, err := s.Users.Create(t.Context(), c.caller, n)
		var got string
		if err != nil {
			got = fault.From(err).ID
		} else {
			got = u.Organization
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestParallelCreatesOfOneLoginNameMakeOneUser(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		errs := make([]error, 20)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = s.Users.Create(t.Context(), apptest.Admin(), human("ada")) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
				continue
			}
			wantID(t, err, fault.AlreadyExists, "STEPUP-login-name")
		}
		l, err := s.Users.List(t.Context(), apptest.Admin(), user.Filter{})
		if err != nil || won != 1 || l.Total != 1 {
			t.Errorf("%d creates succeeded, %d users exist, %v", won, l.Total, err)
		}
	})
}

// signIn checks a user's password on a new session.
func signIn(t *testing.T, s *apptest.Service, userID, plain string) error {
	t.Helper()
	_, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: apptest.NamedGuess(userID, plain)})
	return err
}

// imported are hashes of importedPlain, one of each kind. They were computed outside of
// this program; package password has more.
const importedPlain = "correct horse battery stäple"

var imported = map[string]string{
	"argon2id": "$argon2id$v=19$m=64,t=1,p=1$++++MDEyMzQ1Njc4OWFiYw$AbsuFRn02W2MHpKTvmQZI9cOxtJanr4fy0CUZsQ208c",
	"argon2i":  "$argon2i$v=19$m=256,t=2,p=4$++++MDEyMzQ1Njc4OWFiYw$QVC+NA/KsasB968sIVM9VkZ11WQsimv7Z4FuXwDHkIw",
	"bcrypt":   "$2a$04$abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm",
	"scrypt":   "$scrypt$ln=4,r=8,p=1$++++MDEyMzQ1Njc4OWFiYw$Opk7IOQdIBRLolQAIf5Cn/3NErVj1wxbLxc+NOt+vU4",
	"pbkdf2":   "$pbkdf2-sha256$1000$....MDEyMzQ1Njc4OWFiYw$OXvG08nAtkkEXT/6Rjd5t/SDBHNk2brLjlSeHdJJK5A",
}

func TestP5_ImportedHashVerifiesAndIsUpgradedBySuccess(t *testing.T) {
	t.Parallel()
	for name, hash := range imported {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			n := human("ada")
			n.Password.Hash = hash
			u := create(t, s, n)
			wantID(t, signIn(t, s, u.ID, "no"), fault.InvalidArgument, "COMMAND-3M0fs")
			if got := get(t, s, u.ID).Password.Hash; got != hash {
				t.Errorf("a failure changed the hash to %.20s…", got)
			}
			s.Clock.Advance(time.Minute)
			if err := signIn(t, s, u.ID, importedPlain); err != nil {
				t.Fatal(err)
			}
			after := get(t, s, u.ID)
			if !strings.HasPrefix(after.Password.Hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
				t.Errorf("after a success the hash is %.30s…", after.Password.Hash)
			}
			if !after.Guard.PasswordChanged.Equal(apptest.Epoch()) {
				t.Errorf("the upgrade counts as a change of password at %v", after.Guard.PasswordChanged)
			}
			if err := signIn(t, s, u.ID, importedPlain); err != nil {
				t.Errorf("with the upgraded hash: %v", err)
			}
			if again := get(t, s, u.ID).Password.Hash; again != after.Password.Hash {
				t.Error("the upgraded hash was replaced")
			}
		})
	}
}
