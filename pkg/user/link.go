package user

import (
	"context"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/paging"
)

// Link ties a user to an account at an external identity provider. Provider and external
// id together are the account: two providers may use one id for two people (row S13).
type Link struct {
	ProviderID, ExternalID string
	// Name is how the account is called there.
	Name string
}

func (l Link) same(other Link) bool {
	return l.ProviderID == other.ProviderID && l.ExternalID == other.ExternalID
}

// MaxLinks is how many accounts a user can be linked to.
const MaxLinks = 20

// Faults of links.
var (
	// ErrLinkTaken refuses an account that somebody is linked to already.
	ErrLinkTaken   = fault.New(fault.AlreadyExists, "STEPUP-idp-link-taken", "External account is already linked")
	errLinkMissing = fault.New(fault.NotFound, "STEPUP-idp-link", "External account is not linked")
	errLinkCount   = fault.New(fault.FailedPrecondition, "STEPUP-idp-link-count", "Maximum number of linked accounts exceeded")
	errLinkEmpty   = fault.New(fault.InvalidArgument, "STEPUP-idp-link-empty", "idp_link must name a provider, an account and its name")
)

// Linked reports whether the user is linked to the account.
func (u *User) Linked(providerID, externalID string) bool {
	return slices.ContainsFunc(u.Links, Link{ProviderID: providerID, ExternalID: externalID}.same)
}

// link adds an account.
func (s *Service) link(u *User, l Link) error {
	switch {
	case l.ProviderID == "" || l.ExternalID == "" || l.Name == "":
		return errLinkEmpty
	case !s.c.Providers.Knows(l.ProviderID):
		return idp.ErrUnknown
	case u.Linked(l.ProviderID, l.ExternalID):
		return ErrLinkTaken
	case len(u.Links) >= MaxLinks:
		return errLinkCount
	}
	u.Links = append(u.Links, l)
	return nil
}

// LinkPage returns a part of the links; a limit of 0 means all from the offset on.
func (u *User) LinkPage(offset, limit int) []Link {
	return paging.Cut(u.Links, pageOf(offset, limit)).Rows
}

// AddLink links the user to an account. The caller needs user.credential.write and
// vouches that the account is the user's: nothing here proves it, so users cannot do it
// for themselves. It returns idp.ErrUnknown for a provider that is not configured,
// ErrLinkTaken for an account that somebody is linked to, and a fault of kind
// FailedPrecondition when there are MaxLinks.
func (s *Service) AddLink(ctx context.Context, caller access.Caller, userID string, l Link) (*User, error) {
	if err := caller.RequireAnywhere(access.UserCredential); err != nil {
		return nil, err
	}
	return s.enrol(ctx, target{caller: caller, id: userID, permission: access.UserCredential}, func(u *User, _ time.Time) error {
		return s.link(u, l)
	})
}

// RemoveLink takes a link away. No intent of that account can be used for the user from
// then on (row T7). It returns a fault of kind NotFound when there is no such link.
func (s *Service) RemoveLink(ctx context.Context, caller access.Caller, userID string, l Link) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: userID, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		at := slices.IndexFunc(u.Links, l.same)
		if at < 0 {
			return errLinkMissing
		}
		u.Links = slices.Delete(u.Links, at, at+1)
		return nil
	})
}
