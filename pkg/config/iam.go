package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/access"
)

// setIAMRoles reads pairs of an ARN and a role, separated by semicolons; a role that
// counts in one organization has that after an at sign:
// "arn:aws:iam::123456789012:role/login=IAM_LOGIN_CLIENT; arn:aws:iam::123456789012:user/ops=ORG_OWNER@acme".
// A name in an ARN may have an equals sign, a role has none, so the last one counts.
func setIAMRoles(c *Config, s string) (err error) {
	var mappings []access.Mapping
	for entry := range strings.SplitSeq(s, ";") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		at := strings.LastIndexByte(entry, '=')
		if at < 0 {
			return fmt.Errorf("entry %d %w", len(mappings)+1, errPair)
		}
		role, organization, _ := strings.Cut(entry[at+1:], "@")
		mappings = append(mappings, access.Mapping{ARN: entry[:at], Role: access.Role(role), Organization: organization})
	}
	c.IAMRoles, err = access.NewPrincipals(mappings)
	return err
}

var (
	errPair                = errors.New("is not an ARN and a role, such as arn:aws:iam::123456789012:role/login=IAM_LOGIN_CLIENT")
	errUnknownOrganization = errors.New("names an organization that STEPUP_ORGANIZATIONS lacks")
)

// checkIAMRoles looks for organizations that there are none of.
func (c Config) checkIAMRoles() error {
	for _, caller := range c.IAMRoles {
		if caller.Organization != "" && !slices.Contains(c.Organizations, caller.Organization) {
			return fmt.Errorf("STEPUP_IAM_ROLES: %w", errUnknownOrganization)
		}
	}
	return nil
}
