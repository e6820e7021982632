package access

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
)

// Mapping gives a role to a principal of AWS.
type Mapping struct {
	// ARN is that of an IAM user or of an IAM role.
	ARN  string
	Role Role
	// Organization is required for roles that count in one organization.
	Organization string
}

// Principals says who the callers are that sign their requests with AWS credentials.
// The key is the principal, in the one form that principalOf gives it. It is made by
// NewPrincipals and read only; the zero value knows nobody.
type Principals map[string]Caller

// The names that IAM gives, and STS repeats, are made of these letters. Paths may have
// more; those that do are refused, so that nothing that looks like a wildcard or a
// separator is ever part of one.
const (
	arnPlace   = `(arn:aws[a-z-]*):%s::([0-9]{12}):`
	arnName    = `([\w+=,.@-]+)`
	arnPath    = `((?:[\w+=,.@-]+/)*)`
	maxARNSize = 200
)

// The forms of an ARN that are known here (IAM's "IAM ARNs"). Where nobody signs, they are
// never compiled.
var (
	userARN    = form("iam", `user/`+arnPath+arnName)
	roleARN    = form("iam", `role/`+arnPath+arnName)
	sessionARN = form("sts", `assumed-role/`+arnName+`/`+arnName)
)

func form(service, resource string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^` + fmt.Sprintf(arnPlace, service) + resource + `$`)
	})
}

// Problems of a mapping, which end a start and are never seen by a client.
var (
	errARN          = errors.New("is not the ARN of an IAM user or role, such as arn:aws:iam::123456789012:role/login")
	errARNSize      = errors.New("has an ARN of more than 200 characters")
	errRole         = errors.New("has an unknown role")
	errOrganization = errors.New("needs an organization for a role per organization, and must have none for any other")
	errTwice        = errors.New("is about the same user or role as one before")
)

// NewPrincipals returns the callers that the mappings describe. The error counts the
// mappings from 1 and does not repeat them. A principal may be named once: of two
// mappings for one, neither is the right one to pick.
func NewPrincipals(mappings []Mapping) (Principals, error) {
	known := Principals{}
	for i, m := range mappings {
		if err := known.add(m); err != nil {
			return nil, fmt.Errorf("entry %d %w", i+1, err)
		}
	}
	return known, nil
}

func (p Principals) add(m Mapping) error {
	principal, ok := mapped(m.ARN)
	_, twice := p[principal]
	switch {
	case len(m.ARN) > maxARNSize:
		return errARNSize
	case !ok:
		return errARN
	case twice:
		return errTwice
	case !m.Role.Valid():
		return errRole
	case m.Role.PerOrganization() != (m.Organization != ""):
		return errOrganization
	}
	p[principal] = Caller{ID: principal, Role: m.Role, Organization: m.Organization}
	return nil
}

// Authenticate returns the caller behind the ARN of whoever signed a request, as the
// gateway in front verified it. The caller's ID is the principal: a user's ARN, or a
// role's ARN without its path, whoever has assumed it. An ARN that no mapping is about,
// the root user and federated users among them, gets ErrForbidden: the signature is
// good, and gives no right.
func (p Principals) Authenticate(arn string) (Caller, error) {
	principal, ok := principalOf(arn)
	if !ok {
		return Caller{}, ErrForbidden.Wrap(fmt.Errorf("the signer %q is no user and no session of a role", arn))
	}
	caller, ok := p[principal]
	if !ok {
		return Caller{}, ErrForbidden.Wrap(fmt.Errorf("the signer %q has no role here", principal))
	}
	return caller, nil
}

// principalOf returns the principal behind the ARN that a caller has: a user's own, or
// the role of an assumed one. STS leaves a role's path out of the ARN, so it is no part
// of the principal; it need not be, because the name of a role is unique in its account
// whatever the path.
func principalOf(caller string) (string, bool) {
	if userARN().MatchString(caller) {
		return caller, true
	}
	part := sessionARN().FindStringSubmatch(caller)
	if part == nil {
		return "", false
	}
	return roleOf(part[1], part[2], part[3]), true
}

// mapped returns the principal that a mapping is about. The ARN of a session is none:
// it would look as if it gave the role to that session alone.
func mapped(arn string) (string, bool) {
	if userARN().MatchString(arn) {
		return arn, true
	}
	part := roleARN().FindStringSubmatch(arn)
	if part == nil {
		return "", false
	}
	return roleOf(part[1], part[2], part[4]), true
}

func roleOf(partition, account, name string) string {
	return partition + ":iam::" + account + ":role/" + name
}
