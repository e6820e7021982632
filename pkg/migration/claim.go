package migration

import (
	"fmt"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/user"
)

// claim is something that only one user can have.
type claim struct {
	// refusal is what a store says when somebody has it; nil for the id of a user.
	refusal *fault.Fault
	name    string
}

// claims are those of a file, with the lines of who has them.
type claims map[claim]int

// take takes all that the user needs, or returns what a store says of the first that
// another line has. A second line of one user takes nothing: a store would compare it with
// the user.
func (c claims) take(e *Entry) error {
	id := claim{name: e.User.ID}
	if _, again := c[id]; again {
		return nil
	}
	wanted := append(claimsOf(&e.User), id)
	for _, w := range wanted {
		if line, taken := c[w]; taken {
			return w.refusal.Wrap(fmt.Errorf("by line %d", line))
		}
	}
	for _, w := range wanted {
		c[w] = e.Line
	}
	return nil
}

func claimsOf(p *user.Portable) []claim {
	all := []claim{{user.ErrLoginNameTaken, user.LoginKey(p.Username)}}
	for _, k := range p.Keys {
		all = append(all, claim{user.ErrCredentialTaken, string(k.Credential.ID)})
	}
	for _, l := range p.Links {
		all = append(all, claim{user.ErrLinkTaken, fmt.Sprintf("%q %q", l.ProviderID, l.ExternalID)})
	}
	return all
}
