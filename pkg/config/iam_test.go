package config_test

import (
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/config"
)

const loginARN = "arn:aws:iam::123456789012:role/login"

// iamRoles is the row of STEPUP_IAM_ROLES in settings.
var iamRoles = setting{
	good: "arn:aws:iam::123456789012:role/service/login=IAM_LOGIN_CLIENT;\n arn:aws:iam::123456789012:user/a=b@c=ORG_OWNER@default;",
	alter: func(c *config.Config) {
		c.IAMRoles = access.Principals{
			loginARN: {ID: loginARN, Role: access.IAMLoginClient},
			"arn:aws:iam::123456789012:user/a=b@c": {
				ID: "arn:aws:iam::123456789012:user/a=b@c", Role: access.OrgOwner, Organization: "default",
			},
		}
	},
	bad: []string{
		"canary", loginARN, loginARN + "=", loginARN + "=canary", loginARN + "=iam_owner", "=IAM_OWNER", "canary=IAM_OWNER",
		loginARN + " = IAM_OWNER", loginARN + "= IAM_OWNER", loginARN + "=IAM_OWNER,canary", loginARN + "=IAM_OWNER canary=IAM_OWNER",
		loginARN + "=IAM_OWNER@default", loginARN + "=ORG_OWNER", loginARN + "=ORG_OWNER@", loginARN + "=ORG_OWNER@canary",
		loginARN + "=IAM_OWNER;" + loginARN + "=IAM_OWNER", loginARN + "=IAM_OWNER;canary",
		"arn:aws:iam::123456789012:role/*=IAM_OWNER", "arn:aws:sts::123456789012:assumed-role/login/canary=IAM_OWNER",
	},
}

func TestTheEntryThatIsWrongIsCounted(t *testing.T) {
	t.Parallel()
	for _, second := range []string{"canary", "canary=IAM_OWNER", loginARN + "=canary", loginARN + "=ORG_OWNER", loginARN + "=IAM_OWNER"} {
		_, err := load("STEPUP_IAM_ROLES", loginARN+"=IAM_OWNER; ;"+second)
		if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_IAM_ROLES: entry 2 ") {
			t.Errorf("%s: got %v", second, err)
		}
	}
}
