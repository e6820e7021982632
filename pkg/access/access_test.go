package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
)

var permissions = []access.Permission{
	access.SessionRead, access.SessionWrite, access.SessionDelete,
	access.UserRead, access.UserWrite, access.UserDelete, access.UserCredential, access.UserPasskey,
}

// held is the whole mapping, written a second time: which role holds which of the
// permissions above, and whether everywhere or in one organization.
var held = map[access.Role]struct {
	permissions string
	perOrg      bool
}{
	//                      session/user/credential and passkey link
	access.IAMOwner:       {"rwd/rwd/cp", false},
	access.IAMOwnerViewer: {"r--/r--/--", false},
	access.IAMOrgManager:  {"r-d/rwd/cp", false},
	access.IAMUserManager: {"r-d/rwd/cp", false},
	access.IAMLoginClient: {"rwd/rw-/cp", false},
	access.OrgOwner:       {"r-d/rwd/cp", true},
	access.OrgUserManager: {"r-d/rwd/cp", true},
	"":                    {"---/---/--", false},
	"UNKNOWN":             {"---/---/--", false},
}

// scopes are the organizations that a question may be about, for a caller of "own";
// inOrg tells whether a role per organization reaches it.
var scopes = []struct {
	name, organization string
	inOrg              bool
}{
	{"instance", "", false},
	{"own organization", "own", true},
	{"other organization", "other", false},
}

func TestEveryRoleHoldsWhatTheTableSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	for role, row := range held {
		caller := access.Caller{ID: "key", Role: role}
		if row.perOrg {
			caller.Organization = "own"
		}
		marks := strings.ReplaceAll(row.permissions, "/", "")
		for i, p := range permissions {
			holds := marks[i] != '-'
			for _, scope := range scopes {
				t.Run(string(role)+"/"+string(p)+"/"+scope.name, func(t *testing.T) {
					t.Parallel()
					question{caller, p, scope.organization}.check(t, holds, holds && (!row.perOrg || scope.inOrg))
				})
			}
		}
	}
}

// question is whether a caller may do something somewhere.
type question struct {
	caller       access.Caller
	permission   access.Permission
	organization string
}

// check asks it in all four ways.
func (q question) check(t *testing.T, holds, can bool) {
	t.Helper()
	caller, p := q.caller, q.permission
	if got := caller.Holds(p); got != holds {
		t.Errorf("Holds: got %v", got)
	}
	if got := caller.Can(p, q.organization); got != can {
		t.Errorf("Can: got %v", got)
	}
	var want error
	switch {
	case !holds:
		want = access.ErrForbidden
	case !can:
		want = access.ErrForbiddenScope
	}
	if got := caller.Require(p, q.organization); !errors.Is(got, want) {
		t.Errorf("Require: got %v, want %v", got, want)
	}
	if got := caller.RequireAnywhere(p); (got == nil) != holds || got != nil && !errors.Is(got, access.ErrForbidden) {
		t.Errorf("RequireAnywhere: got %v", got)
	}
}

func TestARolePerOrganizationWithoutOneReachesNothing(t *testing.T) {
	t.Parallel()
	caller := access.Caller{ID: "key", Role: access.OrgOwner}
	for _, scope := range scopes {
		if caller.Can(access.UserRead, scope.organization) {
			t.Errorf("it reaches the %s", scope.name)
		}
	}
}

func TestRolesListsExactlyTheValidOnes(t *testing.T) {
	t.Parallel()
	want := []access.Role{
		access.IAMLoginClient, access.IAMOrgManager, access.IAMOwner, access.IAMOwnerViewer, access.IAMUserManager,
		access.OrgOwner, access.OrgUserManager,
	}
	if diff := cmp.Diff(want, access.Roles()); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	for role, row := range held {
		if known := row.permissions != held[""].permissions; role.Valid() != known {
			t.Errorf("%q: Valid is %v", role, role.Valid())
		}
		if role.PerOrganization() != row.perOrg {
			t.Errorf("%q: PerOrganization is %v", role, role.PerOrganization())
		}
	}
}

func TestNobodyIsTheUserWithoutAnID(t *testing.T) {
	t.Parallel()
	ada := access.Caller{ID: "ada", UserID: "ada"}
	key := access.Caller{ID: "ada", Role: access.IAMOwner}
	for _, tc := range []struct {
		name   string
		caller access.Caller
		id     string
		want   bool
	}{
		{"themselves", ada, "ada", true},
		{"another user", ada, "bob", false},
		{"a key whose id is that of a user", key, "ada", false},
		{"a key and no id", key, "", false},
		{"the zero caller and no id", access.Caller{}, "", false},
	} {
		if got := tc.caller.IsUser(tc.id); got != tc.want {
			t.Errorf("%s: got %v", tc.name, got)
		}
	}
}
