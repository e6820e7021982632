package user_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

func TestListSelectsOrdersAndCuts(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_ORGANIZATIONS": "red,blue"}})
		for _, name := range []string{"ada", "bob", "cyd", "dan"} {
			n := human(name)
			n.ID = name
			n.Email.Address = "Team@example.com"
			if name > "bob" {
				n.Organization, n.Email.Address = "blue", name+"@example.com"
			}
			create(t, s, n)
			s.Clock.Advance(time.Second)
		}
		byName := func(a, b *user.User) int { return cmp.Compare(a.Username, b.Username) }
		blueManager := access.Caller{Role: access.OrgUserManager, Organization: "blue"}
		for name, c := range map[string]struct {
			caller access.Caller
			filter user.Filter
			total  int
			want   []string
		}{
			"all":               {apptest.Admin(), user.Filter{}, 4, []string{"dan", "cyd", "bob", "ada"}},
			"by name":           {apptest.Admin(), user.Filter{Before: byName}, 4, []string{"ada", "bob", "cyd", "dan"}},
			"page":              {apptest.Admin(), user.Filter{Offset: 1, Limit: 2}, 4, []string{"cyd", "bob"}},
			"page past the end": {apptest.Admin(), user.Filter{Offset: 9, Limit: 2}, 4, []string{}},
			"ids":               {apptest.Admin(), user.Filter{IDs: []string{"ada", "ada", "dan", "nobody", ""}}, 2, []string{"dan", "ada"}},
			"ids that are none": {apptest.Admin(), user.Filter{IDs: []string{strings.Repeat("x", 5000), "\xff"}}, 0, []string{}},
			"no ids":            {apptest.Admin(), user.Filter{IDs: []string{}}, 0, []string{}},
			"login name":        {apptest.Admin(), user.Filter{LoginName: "BOB"}, 1, []string{"bob"}},
			"no such name":      {apptest.Admin(), user.Filter{LoginName: "eve"}, 0, []string{}},
			"shared address":    {apptest.Admin(), user.Filter{Email: "team@EXAMPLE.com"}, 2, []string{"bob", "ada"}},
			"predicate": {apptest.Admin(), user.Filter{Match: func(u *user.User) bool { return u.ID > "bob" }}, 2,
				[]string{"dan", "cyd"}},
			"own organization": {blueManager, user.Filter{}, 2, []string{"dan", "cyd"}},
			"outside of it":    {blueManager, user.Filter{LoginName: "ada"}, 0, []string{}},
			"oneself":          {self("ada"), user.Filter{}, 1, []string{"ada"}},
			"not others":       {self("ada"), user.Filter{IDs: []string{"bob"}, Match: func(u *user.User) bool { return u.ID == "bob" }}, 0, []string{}},
			"nobody":           {access.Caller{}, user.Filter{}, 0, []string{}},
		} {
			l, err := s.Users.List(t.Context(), c.caller, c.filter)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			got := []string{}
			for _, u := range l.Users {
				got = append(got, u.ID)
			}
			if diff := gocmp.Diff(c.want, got); diff != "" || l.Total != c.total {
				t.Errorf("%s: total %d (-want +got):\n%s", name, l.Total, diff)
			}
		}
	})
}

func TestS15_GetOfAnotherUserDoesNotTellWhoExists(t *testing.T) {
	t.Parallel()
	s := newService(t)
	n := human("ada")
	n.ID = "ada"
	create(t, s, n)
	for name, c := range map[string]struct {
		caller access.Caller
		kind   fault.Kind
		id     string
	}{
		"user":          {self("bob"), fault.PermissionDenied, "AUTH-AWfge"},
		"nobody":        {access.Caller{}, fault.PermissionDenied, "AUTH-AWfge"},
		"other manager": {access.Caller{Role: access.OrgOwner, Organization: "blue"}, fault.NotFound, "QUERY-Dfbg2"},
	} {
		for _, id := range []string{"ada", "nobody"} {
			_, err := s.Users.Get(t.Context(), c.caller, id)
			if err == nil {
				t.Errorf("%s reads %s", name, id)
			}
			wantID(t, err, c.kind, c.id)
		}
	}
	if u, err := s.Users.Get(t.Context(), self("ada"), "ada"); err != nil || u.Username != "ada" {
		t.Errorf("oneself: %v, %v", u, err)
	}
}

func TestSecondFactorIsAnythingBesideThePassword(t *testing.T) {
	t.Parallel()
	u := user.User{Password: user.Password{Hash: "x"}}
	if got := u.Methods(); !slices.Equal(got, []user.Authenticator{user.AuthPassword}) || u.HasSecondFactor() {
		t.Errorf("methods %v, second factor %t", got, u.HasSecondFactor())
	}
}
