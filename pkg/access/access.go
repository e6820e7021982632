// Package access owns callers: who is calling, which role they have, what the role
// permits and where. It also owns API keys, the credential of a login service, and
// which callers with AWS credentials are let in.
//
// A Caller is an explicit argument of every operation of the domain, so that an
// operation without an identity does not compile.
package access

import (
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Permission is one right. The names are those of the wire contract, section 1.2.
type Permission string

// The permissions that the session and user services ask for.
const (
	SessionRead    Permission = "session.read"
	SessionWrite   Permission = "session.write"
	SessionDelete  Permission = "session.delete"
	UserRead       Permission = "user.read"
	UserWrite      Permission = "user.write"
	UserDelete     Permission = "user.delete"
	UserCredential Permission = "user.credential.write"
	UserPasskey    Permission = "user.passkey.write"
)

// Role is a named set of permissions.
type Role string

// The roles, with the meaning that the wire contract gives them in section 1.2.
// Those that begin with ORG_ count in one organization only.
const (
	IAMOwner       Role = "IAM_OWNER"
	IAMOwnerViewer Role = "IAM_OWNER_VIEWER"
	IAMOrgManager  Role = "IAM_ORG_MANAGER"
	IAMUserManager Role = "IAM_USER_MANAGER"
	IAMLoginClient Role = "IAM_LOGIN_CLIENT"
	OrgOwner       Role = "ORG_OWNER"
	OrgUserManager Role = "ORG_USER_MANAGER"
)

type grant struct {
	permissions []Permission
	perOrg      bool
}

// grants is the whole role mapping. Only an owner and a login client may write
// sessions: whoever may write one can check factors of any user.
var grants = map[Role]grant{
	IAMOwner: {permissions: []Permission{
		SessionRead, SessionWrite, SessionDelete, UserRead, UserWrite, UserDelete, UserCredential, UserPasskey,
	}},
	IAMOwnerViewer: {permissions: []Permission{SessionRead, UserRead}},
	IAMOrgManager:  {permissions: manageUsers},
	IAMUserManager: {permissions: manageUsers},
	IAMLoginClient: {permissions: []Permission{
		SessionRead, SessionWrite, SessionDelete, UserRead, UserWrite, UserCredential, UserPasskey,
	}},
	OrgOwner:       {permissions: manageUsers, perOrg: true},
	OrgUserManager: {permissions: manageUsers, perOrg: true},
}

var manageUsers = []Permission{
	SessionRead, SessionDelete, UserRead, UserWrite, UserDelete, UserCredential, UserPasskey,
}

// Roles returns every role in alphabetical order.
func Roles() []Role {
	all := make([]Role, 0, len(grants))
	for r := range grants {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

// Valid reports whether the role exists.
func (r Role) Valid() bool {
	_, ok := grants[r]
	return ok
}

// PerOrganization reports whether the role counts in one organization only.
func (r Role) PerOrganization() bool { return grants[r].perOrg }

// Caller is an authenticated identity. The zero Caller may do nothing.
type Caller struct {
	// ID identifies the caller in records: an API key's id, a user's id, or the ARN of
	// an IAM user or role.
	ID string
	// Role is what an API key was issued with, or what an ARN is mapped to. A user who
	// calls with a session token has none: they may act on what is their own.
	Role Role
	// Organization is where an ORG_ role counts, and the user's own organization
	// for a session token.
	Organization string
	// UserID and SessionID are set when the caller presented a session token.
	UserID    string
	SessionID string
	// AuthenticatedAt is when the caller's session last verified a factor; zero
	// for all other callers.
	AuthenticatedAt time.Time
	// AgentID is the fingerprint of the user agent that the caller's session
	// belongs to; empty for all other callers.
	AgentID string
}

// Faults of a missing permission. The first means that no role gives it, the second
// that it is given for another organization.
var (
	ErrForbidden      = fault.New(fault.PermissionDenied, "AUTH-AWfge", "No matching permissions found")
	ErrForbiddenScope = fault.New(fault.PermissionDenied, "AUTH-Swrgg2", "No matching permissions found")
)

// Holds reports whether the caller has the permission at least somewhere. It needs
// no look-up, so an operation can ask it before it touches the store and a caller
// without the right cannot tell what exists.
func (c Caller) Holds(p Permission) bool {
	return slices.Contains(grants[c.Role].permissions, p)
}

// Can reports whether the caller has the permission in the organization; the empty
// organization means the whole instance, for which a role per organization is not
// enough.
func (c Caller) Can(p Permission, organization string) bool {
	if !c.Holds(p) {
		return false
	}
	if !grants[c.Role].perOrg {
		return true
	}
	return organization != "" && organization == c.Organization
}

// Require returns nil when Can, ErrForbiddenScope when the permission is only held
// elsewhere, and ErrForbidden when it is not held at all.
func (c Caller) Require(p Permission, organization string) error {
	switch {
	case c.Can(p, organization):
		return nil
	case c.Holds(p):
		return ErrForbiddenScope
	default:
		return ErrForbidden
	}
}

// RequireAnywhere returns ErrForbidden when the permission is not held at all.
func (c Caller) RequireAnywhere(p Permission) error {
	if c.Holds(p) {
		return nil
	}
	return ErrForbidden
}

// IsUser reports whether the caller presented a session of this user.
func (c Caller) IsUser(id string) bool { return id != "" && c.UserID == id }
