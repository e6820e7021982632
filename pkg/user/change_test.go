package user_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// self is the user as a caller with a session token.
func self(id string) access.Caller { return access.Caller{ID: id, UserID: id} }

func TestUpdateChangesWhatIsSetAndNothingElse(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		for name, c := range map[string]struct {
			update user.Update
			alter  func(*user.User)
		}{
			"nothing":  {user.Update{}, func(*user.User) {}},
			"username": {user.Update{Username: new("countess")}, func(u *user.User) { u.Username = "countess" }},
			"case of the username": {user.Update{Username: new("Countess")}, func(u *user.User) {
				u.Username = "Countess"
			}},
			"profile": {
				user.Update{Profile: &user.ProfileChange{GivenName: "A", FamilyName: "L"}},
				func(u *user.User) { u.Profile = user.Profile{GivenName: "A", FamilyName: "L"} },
			},
			"email": {
				user.Update{Email: &user.Contact{Address: "new@example.com"}},
				func(u *user.User) { u.Email = user.Contact{Address: "new@example.com"} },
			},
			"phone": {
				user.Update{Phone: &user.Contact{Address: "+41 79 123 45 67", Verified: true}},
				func(u *user.User) { u.Phone = user.Contact{Address: "+41791234567", Verified: true} },
			},
			"no phone": {user.Update{Phone: &user.Contact{}}, func(u *user.User) { u.Phone = user.Contact{} }},
		} {
			s.Clock.Advance(time.Second)
			want := get(t, s, u.ID)
			c.alter(want)
			want.Guard.Version++
			want.Guard.Changed = s.Clock.Now()
			got, err := s.Users.Update(t.Context(), apptest.Admin(), u.ID, c.update)
			if diff := cmp.Diff(want, got.User); err != nil || diff != "" {
				t.Errorf("%s: %v, answered (-want +got):\n%s", name, err, diff)
			}
			if diff := cmp.Diff(want, get(t, s, u.ID)); diff != "" {
				t.Errorf("%s: stored (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestRenamedUserIsFoundByTheNewNameAndTheOldIsFree(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUser(t, "ada@example.com")
	taken := s.NewUser(t, "bob@example.com")
	_, err := s.Users.Update(t.Context(), apptest.Admin(), u.ID, user.Update{Username: new("BOB@example.com")})
	wantID(t, err, fault.AlreadyExists, "STEPUP-login-name")
	_, err = s.Users.Update(t.Context(), apptest.Admin(), u.ID, user.Update{
		Username: new("countess"), Email: &user.Contact{Address: "countess@example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	found := func(f user.Filter) []string {
		l, err := s.Users.List(t.Context(), apptest.Admin(), f)
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, u := range l.Users {
			ids = append(ids, u.ID)
		}
		return ids
	}
	for name, c := range map[string]struct {
		filter user.Filter
		want   []string
	}{
		"new name":      {user.Filter{LoginName: "Countess"}, []string{u.ID}},
		"old name":      {user.Filter{LoginName: "ada@example.com"}, []string{}},
		"other's name":  {user.Filter{LoginName: "bob@example.com"}, []string{taken.ID}},
		"new address":   {user.Filter{Email: "COUNTESS@example.com"}, []string{u.ID}},
		"old address":   {user.Filter{Email: "ada@example.com"}, []string{}},
		"other's email": {user.Filter{Email: "bob@example.com"}, []string{taken.ID}},
	} {
		if diff := cmp.Diff(c.want, found(c.filter)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	create(t, s, human("ada@example.com"))
}

func TestUpdateRefusesAndChangesNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	other := s.NewUserCheap(t, "bob@example.com")
	before := get(t, s, u.ID)
	change := func(plain, current string) *user.PasswordChange {
		return &user.PasswordChange{New: user.NewPassword{Plain: plain}, Current: current}
	}
	viewer := access.Caller{Role: access.IAMOwnerViewer}
	stranger := access.Caller{Role: access.OrgOwner, Organization: "blue"}
	for name, c := range map[string]struct {
		caller access.Caller
		update user.Update
		kind   fault.Kind
		id     string
	}{
		"empty username":                      {apptest.Admin(), user.Update{Username: new("")}, fault.InvalidArgument, "STEPUP-username"},
		"empty family name":                   {apptest.Admin(), user.Update{Profile: &user.ProfileChange{GivenName: "A"}}, fault.InvalidArgument, "USER-4hB7d"},
		"bad phone":                           {apptest.Admin(), user.Update{Phone: &user.Contact{Address: "1"}}, fault.InvalidArgument, "STEPUP-phone"},
		"short password":                      {apptest.Admin(), user.Update{Password: change("short", "")}, fault.InvalidArgument, "DOMAIN-HuJf6"},
		"no new password":                     {apptest.Admin(), user.Update{Password: change("", "")}, fault.InvalidArgument, "STEPUP-password"},
		"policy before the current password":  {self(u.ID), user.Update{Password: change("short", "no")}, fault.InvalidArgument, "DOMAIN-HuJf6"},
		"own password without the current":    {self(u.ID), user.Update{Password: change("long enough", "")}, fault.PermissionDenied, "AUTH-AWfge"},
		"own username":                        {self(u.ID), user.Update{Username: new("me")}, fault.PermissionDenied, "AUTH-AWfge"},
		"own email":                           {self(u.ID), user.Update{Email: &user.Contact{Address: "me@example.com", Verified: true}}, fault.PermissionDenied, "AUTH-AWfge"},
		"own phone":                           {self(u.ID), user.Update{Phone: &user.Contact{Address: "+41791234567", Verified: true}}, fault.PermissionDenied, "AUTH-AWfge"},
		"another's profile":                   {self(other.ID), user.Update{Profile: &user.ProfileChange{GivenName: "A", FamilyName: "L"}}, fault.PermissionDenied, "AUTH-AWfge"},
		"another's password with the current": {self(other.ID), user.Update{Password: change("long enough", apptest.Password)}, fault.PermissionDenied, "AUTH-AWfge"},
		"viewer":                              {viewer, user.Update{Profile: &user.ProfileChange{GivenName: "A", FamilyName: "L"}}, fault.PermissionDenied, "AUTH-AWfge"},
		"other organization":                  {stranger, user.Update{Profile: &user.ProfileChange{GivenName: "A", FamilyName: "L"}}, fault.NotFound, "QUERY-Dfbg2"},
	} {
		_, err := s.Users.Update(t.Context(), c.caller, u.ID, c.update)
		if err == nil {
			t.Errorf("%s was accepted", name)
			continue
		}
		wantID(t, err, c.kind, c.id)
	}
	if diff := cmp.Diff(before, get(t, s, u.ID)); diff != "" {
		t.Errorf("changed (-before +after):\n%s", diff)
	}
	_, err := s.Users.Update(t.Context(), apptest.Admin(), "nobody", user.Update{})
	wantID(t, err, fault.NotFound, "QUERY-Dfbg2")
}

func TestUsersChangeTheirOwnProfile(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	full := user.Profile{GivenName: "Augusta", FamilyName: "King", NickName: "Ada", DisplayName: "The Countess", Language: "en", Gender: 1}
	for _, step := range []struct {
		name   string
		change user.ProfileChange
		want   user.Profile
	}{
		{"everything", user.ProfileChange{
			GivenName: "Augusta", FamilyName: "King", NickName: new("Ada"), DisplayName: new("The Countess"),
			Language: new("en"), Gender: new(user.Gender(1)),
		}, full},
		{"the names alone", user.ProfileChange{GivenName: "Ada", FamilyName: "Byron"}, user.Profile{
			GivenName: "Ada", FamilyName: "Byron", NickName: full.NickName, DisplayName: full.DisplayName,
			Language: full.Language, Gender: full.Gender,
		}},
		{"the rest cleared", user.ProfileChange{
			GivenName: "Ada", FamilyName: "Byron", NickName: new(""), DisplayName: new(""), Language: new(""), Gender: new(user.Gender(0)),
		}, user.Profile{GivenName: "Ada", FamilyName: "Byron"}},
	} {
		if _, err := s.Users.Update(t.Context(), self(u.ID), u.ID, user.Update{Profile: &step.change}); err != nil {
			t.Fatal(step.name, err)
		}
		if got := get(t, s, u.ID).Profile; got != step.want {
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
	}
}

func TestPasswordIsChangedWithTheCurrentOneAndAnyWrongOneCounts(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	const changed = "another good password"
	set := func(c access.Caller, current, plain string) error {
		_, err := s.Users.SetPassword(t.Context(), c, u.ID, user.PasswordChange{New: user.NewPassword{Plain: plain}, Current: current})
		return err
	}
	for n := 1; n <= 2; n++ {
		err := set(self(u.ID), "no", changed)
		wantID(t, err, fault.InvalidArgument, "COMMAND-3M0fs")
		if got := fault.From(err).FailedAttempts; got != n {
			t.Errorf("failure %d reports %d", n, got)
		}
	}
	wantID(t, signIn(t, s, u.ID, "no"), fault.InvalidArgument, "COMMAND-3M0fs")
	if got := get(t, s, u.ID).Guard.Attempts[user.AuthPassword].Failures; got != 3 {
		t.Errorf("%d failures are counted over both ways", got)
	}
	wantID(t, set(self(u.ID), apptest.Password, apptest.Password), fault.FailedPrecondition, "COMMAND-Aesh5")
	wantID(t, set(self(u.ID), "no", "never mind"), fault.InvalidArgument, "COMMAND-3M0fs")
	s.Clock.Advance(time.Second)
	if err := set(self(u.ID), apptest.Password, changed); err != nil {
		t.Fatal(err)
	}
	after := get(t, s, u.ID)
	if !after.Guard.PasswordChanged.Equal(s.Clock.Now()) || len(after.Guard.Attempts) != 0 {
		t.Errorf("changed at %v, attempts %v", after.Guard.PasswordChanged, after.Guard.Attempts)
	}
	wantID(t, signIn(t, s, u.ID, apptest.Password), fault.InvalidArgument, "COMMAND-3M0fs")
	if err := signIn(t, s, u.ID, changed); err != nil {
		t.Error(err)
	}
	if err := set(apptest.Admin(), "", apptest.Password); err != nil {
		t.Errorf("an administrator needs no current password: %v", err)
	}
	if err := signIn(t, s, u.ID, apptest.Password); err != nil {
		t.Error(err)
	}
}

func TestLockedPasswordCannotBeChangedByGuessingOn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	change := user.PasswordChange{New: user.NewPassword{Plain: "another good password"}, Current: "no"}
	for range 10 {
		_, err := s.Users.SetPassword(t.Context(), self(u.ID), u.ID, change)
		wantID(t, err, fault.InvalidArgument, "COMMAND-3M0fs")
	}
	change.Current = apptest.Password
	_, err := s.Users.SetPassword(t.Context(), self(u.ID), u.ID, change)
	wantID(t, err, fault.FailedPrecondition, "COMMAND-JLK35")
	if got := fault.From(err).RetryAfter; got != 30*time.Second {
		t.Errorf("to be tried again in %v", got)
	}
	if _, err := s.Users.SetPassword(t.Context(), apptest.Admin(), u.ID, user.PasswordChange{New: change.New}); err != nil {
		t.Errorf("by an administrator: %v", err)
	}
	if err := signIn(t, s, u.ID, "another good password"); err != nil {
		t.Errorf("the new password is locked too: %v", err)
	}
}
