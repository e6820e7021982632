package user

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// ErrDiffers refuses the import of a user whom there is already, with something else.
var ErrDiffers = fault.New(fault.AlreadyExists, "STEPUP-import-differs", "User exists already and differs")

// CheckImport returns what Import would return for a user whom nobody stands in the way
// of, and changes nothing.
func (s *Service) CheckImport(caller access.Caller, p Portable) error {
	if err := caller.RequireAnywhere(access.UserWrite); err != nil {
		return err
	}
	_, err := s.fromPortable(caller, &p)
	return err
}

// Import stores a user from elsewhere, in one write and under the conditions of Create,
// and reports whether that was needed: it is false when the user is there already and is
// the same. The caller needs user.write and user.credential.write. Nothing is sent.
//
// A user who is there is never changed, since they may have changed their password or
// lost a factor since they were exported. It returns ErrDiffers for one who is not as
// they would be imported, whatever has counted up since (TOTP steps, signature counters
// and backup states) left aside; a FieldError with a fault of kind InvalidArgument,
// NotFound, AlreadyExists or FailedPrecondition in its chain for bad input; and
// ErrLoginNameTaken, ErrCredentialTaken and ErrLinkTaken.
func (s *Service) Import(ctx context.Context, caller access.Caller, p Portable) (created bool, err error) {
	if err := errors.Join(caller.RequireAnywhere(access.UserWrite), caller.RequireAnywhere(access.UserCredential)); err != nil {
		return false, err
	}
	u, err := s.fromPortable(caller, &p)
	if err != nil {
		return false, err
	}
	err = s.c.Store.SaveUser(ctx, Change{New: u})
	if life, late := errors.AsType[*FormerLife](err); late { // a clock was behind, and nothing else has to be decided again
		u.Guard.Epoch = life.Epoch + 1
		err = s.c.Store.SaveUser(ctx, Change{New: u})
	}
	if !errors.Is(err, ErrExists) {
		return err == nil, err
	}
	stored, err := s.c.Store.User(ctx, p.ID)
	switch {
	case err != nil:
		return false, err
	case stored == nil: // deleted in between
		return false, fault.Conflict
	}
	return false, s.same(u, stored, &p)
}

// same returns ErrDiffers with the names of the fields that differ.
func (s *Service) same(wanted, stored *User, p *Portable) error {
	want, err := s.portable(wanted)
	if err != nil {
		return err
	}
	got, err := s.portable(stored)
	if err != nil {
		return err
	}
	if p.Created.IsZero() {
		want.Created = got.Created
	}
	if p.Password.Changed.IsZero() {
		want.Password.Changed = got.Password.Changed
	}
	if names := want.differs(got); len(names) > 0 {
		return ErrDiffers.Wrap(fmt.Errorf("in %s", strings.Join(names, ", ")))
	}
	return nil
}

// differs names the fields in which two users differ that do not change by being used.
func (p *Portable) differs(other *Portable) []string {
	var names []string
	for _, c := range []struct {
		field    string
		one, two any
	}{
		{"organization", p.Organization, other.Organization},
		{fieldUsername, p.Username, other.Username},
		{"state", p.State, other.State},
		{"created", p.Created, other.Created},
		{"profile", p.Profile, other.Profile},
		{"email", []any{p.Email, p.EmailCodes}, []any{other.Email, other.EmailCodes}},
		{"phone", []any{p.Phone, p.SMSCodes}, []any{other.Phone, other.SMSCodes}},
		{"password", p.Password, other.Password},
		{"totp", p.TOTP.Secret, other.TOTP.Secret},
		{"keys", unused(p.Keys), unused(other.Keys)},
		{"links", p.Links, other.Links},
		{"recoveryCodes", p.RecoveryCodes, other.RecoveryCodes},
	} {
		if !reflect.DeepEqual(c.one, c.two) {
			names = append(names, c.field)
		}
	}
	return names
}

// unused returns the keys without what counts their use.
func unused(keys []SecurityKey) []SecurityKey {
	keys = slices.Clone(keys)
	for i := range keys {
		keys[i].Credential.SignCount, keys[i].Credential.BackupState = 0, false
		if len(keys[i].Credential.Transports) == 0 {
			keys[i].Credential.Transports = nil // stores tell no empty list from none
		}
	}
	return keys
}

// UserIDs returns the id of every user, in order. The caller needs user.read in the whole
// instance. On DynamoDB it reads an index, which lags behind by less than a second.
func (s *Service) UserIDs(ctx context.Context, caller access.Caller) ([]string, error) {
	if err := caller.Require(access.UserRead, ""); err != nil {
		return nil, err
	}
	var ids []string
	for id, err := range s.c.Store.UserIDs(ctx, false) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// Export returns a user with all that proves them, or nil when there is none. No role
// below user.read and user.credential.write in the user's organization can do that, and
// no call of the API does.
func (s *Service) Export(ctx context.Context, caller access.Caller, id string) (*Portable, error) {
	if err := errors.Join(caller.RequireAnywhere(access.UserRead), caller.RequireAnywhere(access.UserCredential)); err != nil {
		return nil, err
	}
	u, err := s.c.Store.User(ctx, id)
	if err != nil || u == nil {
		return nil, err
	}
	for _, p := range []access.Permission{access.UserRead, access.UserCredential} {
		if err := caller.Require(p, u.Organization); err != nil {
			return nil, err
		}
	}
	return s.portable(u)
}

// portable opens what is sealed, and puts what has no order into one.
func (s *Service) portable(u *User) (*Portable, error) {
	p := &Portable{
		ID: u.ID, Organization: u.Organization, Username: u.Username, State: u.Guard.State, Created: u.Created,
		Profile: u.Profile, Email: u.Email, Phone: u.Phone, SMSCodes: u.SMSCodes, EmailCodes: u.EmailCodes,
		Links: slices.Clone(u.Links),
	}
	if u.Password.Hash != "" {
		p.Password = PortablePassword{u.Password.Hash, u.Password.ChangeRequired, u.Guard.PasswordChanged}
	}
	if u.TOTP.Confirmed {
		seed, err := u.totpSeed(s.c.Ring)
		if err != nil {
			return nil, err
		}
		p.TOTP = PortableTOTP{otp.EncodeSecret(seed), u.Guard.TOTPStep}
	}
	for _, k := range u.Keys {
		if k.Ready() {
			p.Keys = append(p.Keys, k)
		}
	}
	for _, c := range u.Guard.RecoveryCodes {
		fingerprint, err := s.c.Ring.Fingerprint(c.KeyID)
		if err != nil {
			return nil, fmt.Errorf("recovery code of user %s: %w", u.ID, err)
		}
		p.RecoveryCodes = append(p.RecoveryCodes, PortableCode{c, fingerprint})
	}
	p.sort()
	return p, nil
}

func (p *Portable) sort() {
	slices.SortFunc(p.Keys, func(a, b SecurityKey) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(p.Links, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.ProviderID, b.ProviderID), cmp.Compare(a.ExternalID, b.ExternalID))
	})
	slices.SortFunc(p.RecoveryCodes, func(a, b PortableCode) int {
		return cmp.Or(cmp.Compare(a.KeyID, b.KeyID), slices.Compare(a.Sum[:], b.Sum[:]))
	})
}
