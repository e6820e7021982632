package app

import (
	"fmt"
	"os"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/password"
)

// passwordPolicy is what a new password must fulfil: the configured lengths, and not to
// be on the built-in blocklist or the operator's.
func passwordPolicy(c config.Config) (password.Policy, error) {
	policy, list := c.Passwords, password.Common()
	if c.PasswordBlocklist != "" {
		text, err := os.ReadFile(c.PasswordBlocklist)
		if err != nil {
			return password.Policy{}, fmt.Errorf("STEPUP_PASSWORD_BLOCKLIST: %w", err)
		}
		more, err := password.ParseBlocklist(text)
		if err != nil {
			return password.Policy{}, fmt.Errorf("STEPUP_PASSWORD_BLOCKLIST: %s: %w", c.PasswordBlocklist, err)
		}
		list = list.With(more)
	}
	policy.Blocked = list.Contains
	return policy, nil
}
