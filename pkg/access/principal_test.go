package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
)

const (
	account  = "123456789012"
	iam      = "arn:aws:iam::" + account + ":"
	sts      = "arn:aws:sts::" + account + ":"
	loginARN = iam + "role/login"
	opsARN   = iam + "user/ops"
	teamARN  = iam + "user/team/ops"
)

// principals knows a role and two users of the usual partition, and a role of each other.
func principals(t testing.TB) access.Principals {
	t.Helper()
	p, err := access.NewPrincipals([]access.Mapping{
		{ARN: iam + "role/service/eu/login", Role: access.IAMLoginClient},
		{ARN: opsARN, Role: access.IAMOwner},
		{ARN: teamARN, Role: access.OrgOwner, Organization: "acme"},
		{ARN: iam + "role/_a+b=c,d.e@f-1", Role: access.IAMOwnerViewer},
		{ARN: "arn:aws-cn:iam::" + account + ":role/china", Role: access.IAMOwnerViewer},
		{ARN: "arn:aws-us-gov:iam::" + account + ":role/gov", Role: access.IAMOwnerViewer},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestASignerHasTheRoleOfTheirPrincipal(t *testing.T) {
	t.Parallel()
	known := principals(t)
	login := access.Caller{ID: loginARN, Role: access.IAMLoginClient}
	for name, tc := range map[string]struct {
		arn  string
		want access.Caller
	}{
		"a user":                      {opsARN, access.Caller{ID: opsARN, Role: access.IAMOwner}},
		"a user with a path":          {teamARN, access.Caller{ID: teamARN, Role: access.OrgOwner, Organization: "acme"}},
		"a session of a role":         {sts + "assumed-role/login/ci", login},
		"another session of the role": {sts + "assumed-role/login/i-0123456789abcdef0", login},
		"a session named like a role": {sts + "assumed-role/login/ops", login},
		"every sign that names may have": {
			sts + "assumed-role/_a+b=c,d.e@f-1/ada@example.com", access.Caller{ID: iam + "role/_a+b=c,d.e@f-1", Role: access.IAMOwnerViewer},
		},
		"China": {
			"arn:aws-cn:sts::" + account + ":assumed-role/china/ci",
			access.Caller{ID: "arn:aws-cn:iam::" + account + ":role/china", Role: access.IAMOwnerViewer},
		},
		"GovCloud": {
			"arn:aws-us-gov:sts::" + account + ":assumed-role/gov/ci",
			access.Caller{ID: "arn:aws-us-gov:iam::" + account + ":role/gov", Role: access.IAMOwnerViewer},
		},
	} {
		got, err := known.Authenticate(tc.arn)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, caller (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestASignerWithoutARoleIsForbidden(t *testing.T) {
	t.Parallel()
	known := principals(t)
	for name, arn := range map[string]string{
		"nothing":                               "",
		"garbage":                               "garbage",
		"the root user":                         iam + "root",
		"the account":                           account,
		"a federated user":                      sts + "federated-user/login",
		"a federated user named like a user":    sts + "federated-user/ops",
		"a service":                             "lambda.amazonaws.com",
		"another user":                          iam + "user/other",
		"the user's name below another path":    iam + "user/other/ops",
		"the user's name below a longer path":   iam + "user/team/eu/ops",
		"a user named like the role":            iam + "user/login",
		"a role named like the user":            sts + "assumed-role/ops/ci",
		"the role itself, which nobody calls":   loginARN,
		"the role in another account":           "arn:aws:sts::210987654321:assumed-role/login/ci",
		"the user in another account":           "arn:aws:iam::210987654321:user/ops",
		"the role in another partition":         "arn:aws-cn:sts::" + account + ":assumed-role/login/ci",
		"the user in another partition":         "arn:aws-us-gov:iam::" + account + ":user/ops",
		"a role of China in the usual one":      sts + "assumed-role/china/ci",
		"the role in capitals":                  sts + "assumed-role/LOGIN/ci",
		"a longer name":                         sts + "assumed-role/login2/ci",
		"a shorter name":                        sts + "assumed-role/logi/ci",
		"a session without a name":              sts + "assumed-role/login/",
		"a role without a session":              sts + "assumed-role/login",
		"the path where STS has none":           sts + "assumed-role/service/eu/login/ci",
		"the role's name as a session":          sts + "assumed-role/other/login",
		"a session of IAM":                      iam + "assumed-role/login/ci",
		"a user of STS":                         sts + "user/ops",
		"a region":                              "arn:aws:sts:eu-central-1:" + account + ":assumed-role/login/ci",
		"an account that is too short":          "arn:aws:sts::12345678901:assumed-role/login/ci",
		"no account":                            "arn:aws:sts:::assumed-role/login/ci",
		"no partition":                          "arn::sts::" + account + ":assumed-role/login/ci",
		"a wildcard":                            sts + "assumed-role/*/ci",
		"a space before":                        " " + opsARN,
		"a line break after":                    opsARN + "\n",
		"a line break and another":              opsARN + "\n" + teamARN,
		"more after it":                         opsARN + ":more",
		"capitals of another alphabet":          iam + "user/оps", // the first letter is Cyrillic
		"a null byte":                           opsARN + "\x00",
		"a session of a role that is not known": sts + "assumed-role/unknown/ci",
	} {
		got, err := known.Authenticate(arn)
		if !errors.Is(err, access.ErrForbidden) || got != (access.Caller{}) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestTheLogLearnsWhoWasForbiddenAndNotTheirSession(t *testing.T) {
	t.Parallel()
	_, err := principals(t).Authenticate(sts + "assumed-role/unknown/ada@example.com")
	if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), iam+"role/unknown") ||
		strings.Contains(cause.Error(), "ada") {
		t.Errorf("cause: %v", cause)
	}
}

func TestWithoutMappingsNobodyIsKnown(t *testing.T) {
	t.Parallel()
	none, err := access.NewPrincipals(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []access.Principals{nil, none} {
		for _, arn := range []string{"", opsARN, sts + "assumed-role/login/ci"} {
			if got, err := p.Authenticate(arn); !errors.Is(err, access.ErrForbidden) || got != (access.Caller{}) {
				t.Errorf("%q: got %+v, %v", arn, got, err)
			}
		}
	}
}

func TestAMappingThatCouldMeanMoreIsRefused(t *testing.T) {
	t.Parallel()
	owner := func(arns ...string) (mappings []access.Mapping) {
		for _, arn := range arns {
			mappings = append(mappings, access.Mapping{ARN: arn, Role: access.IAMOwner})
		}
		return mappings
	}
	const noARN, twice = "entry 1 is not the ARN of an IAM user or role", "entry 2 is about the same user or role"
	for name, tc := range map[string]struct {
		mappings []access.Mapping
		want     string
	}{
		"nothing":                     {owner(""), noARN},
		"a name":                      {owner("login"), noARN},
		"the root user":               {owner(iam + "root"), noARN},
		"an account":                  {owner(account), noARN},
		"a group":                     {owner(iam + "group/admins"), noARN},
		"one session of a role":       {owner(sts + "assumed-role/login/ci"), noARN},
		"a federated user":            {owner(sts + "federated-user/ops"), noARN},
		"every role":                  {owner(iam + "role/*"), noARN},
		"every role of a path":        {owner(iam + "role/service/*"), noARN},
		"every path":                  {owner(iam + "role/*/login"), noARN},
		"any letter":                  {owner(iam + "role/logi?"), noARN},
		"every account":               {owner("arn:aws:iam::*:role/login"), noARN},
		"no account":                  {owner("arn:aws:iam:::role/login"), noARN},
		"every partition":             {owner("arn:*:iam::" + account + ":role/login"), noARN},
		"another cloud":               {owner("arn:other:iam::" + account + ":role/login"), noARN},
		"a region":                    {owner("arn:aws:iam:eu-central-1:" + account + ":role/login"), noARN},
		"a path alone":                {owner(iam + "role/service/"), noARN},
		"no name":                     {owner(iam + "role/"), noARN},
		"an empty part of a path":     {owner(iam + "role//login"), noARN},
		"a space":                     {owner(loginARN + " "), noARN},
		"too long an ARN":             {owner(iam + "user/" + strings.Repeat("p/", 100) + "ops"), "entry 1 has an ARN of more than 200"},
		"the same user again":         {owner(opsARN, opsARN), twice},
		"the same role again":         {owner(loginARN, loginARN), twice},
		"one role name and two paths": {owner(iam+"role/a/login", iam+"role/b/login"), twice},
		"an unknown role":             {[]access.Mapping{{ARN: opsARN, Role: "ROOT"}}, "entry 1 has an unknown role"},
		"no role":                     {[]access.Mapping{{ARN: opsARN}}, "entry 1 has an unknown role"},
		"a role per organization without one": {
			[]access.Mapping{{ARN: opsARN, Role: access.OrgOwner}}, "entry 1 needs an organization",
		},
		"an instance's role with one": {
			[]access.Mapping{{ARN: opsARN, Role: access.IAMOwner, Organization: "acme"}}, "entry 1 needs an organization",
		},
	} {
		got, err := access.NewPrincipals(tc.mappings)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || got != nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func TestAUserAndARoleOfOneNameAreTwo(t *testing.T) {
	t.Parallel()
	p, err := access.NewPrincipals([]access.Mapping{
		{ARN: iam + "role/login", Role: access.IAMLoginClient},
		{ARN: iam + "user/login", Role: access.IAMOwnerViewer},
		{ARN: "arn:aws:iam::210987654321:role/login", Role: access.IAMUserManager},
	})
	if err != nil {
		t.Fatal(err)
	}
	for arn, want := range map[string]access.Role{
		sts + "assumed-role/login/ci":                         access.IAMLoginClient,
		iam + "user/login":                                    access.IAMOwnerViewer,
		"arn:aws:sts::210987654321:assumed-role/login/ci":     access.IAMUserManager,
		"arn:aws:sts::210987654321:assumed-role/login/login2": access.IAMUserManager,
	} {
		if got, err := p.Authenticate(arn); err != nil || got.Role != want {
			t.Errorf("%s: got %+v, %v", arn, got, err)
		}
	}
}

// FuzzPrincipals holds that no other spelling of an ARN has a role.
func FuzzPrincipals(f *testing.F) {
	known := principals(f)
	for _, seed := range []string{
		opsARN, teamARN, sts + "assumed-role/login/ci", loginARN, iam + "root", sts + "federated-user/ops",
		sts + "assumed-role/service/eu/login/ci", "arn:aws-cn:sts::" + account + ":assumed-role/china/ci", "arn:aws:iam::", "::::::", "\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arn string) {
		caller, err := known.Authenticate(arn)
		if err != nil {
			if !errors.Is(err, access.ErrForbidden) || caller != (access.Caller{}) {
				t.Errorf("%q: got %+v, %v", arn, caller, err)
			}
			return
		}
		rest, isRole := strings.CutPrefix(strings.Replace(arn, ":sts:", ":iam:", 1), strings.Replace(caller.ID, ":role/", ":assumed-role/", 1)+"/")
		isSession := isRole && rest != "" && !strings.ContainsAny(rest, "/: \n*")
		if arn != caller.ID && !isSession || isSession && !strings.Contains(arn, ":sts::") {
			t.Errorf("%q is taken for %q", arn, caller.ID)
		}
	})
}

// FuzzMapping holds that what can be configured is one user or one role.
func FuzzMapping(f *testing.F) {
	for _, seed := range []string{opsARN, teamARN, iam + "role/service/eu/login", iam + "role/*", iam + "root", sts + "assumed-role/login/ci", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, arn string) {
		known, err := access.NewPrincipals([]access.Mapping{{ARN: arn, Role: access.IAMOwner}})
		if err != nil {
			return
		}
		for principal, caller := range known {
			prefix, name, ok := strings.Cut(principal, "/")
			same := principal == arn || strings.HasPrefix(arn, prefix+"/") && strings.HasSuffix(arn, "/"+name)
			if len(known) != 1 || caller.ID != principal || !ok || !same || len(principal) > 200 || strings.ContainsAny(principal, "*? ;\n") {
				t.Errorf("%q became %q", arn, principal)
			}
		}
	})
}
