package user

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

// Portable is a user on the way from one deployment to another: what is sealed at rest
// is in the clear here, because the other side has other keys. It holds secrets, and
// belongs nowhere but into an export.
//
// What is under way or counts is left behind: open codes, registrations that were not
// finished, failed attempts, sessions.
type Portable struct {
	ID           string
	Organization string
	Username     string
	// State is StateActive, StateInactive, StateLocked or StateInitial.
	State State
	// Created may be zero for a user who is new as of the import.
	Created  time.Time
	Profile  Profile
	Email    Contact
	Phone    Contact
	Password PortablePassword
	TOTP     PortableTOTP
	// SMSCodes and EmailCodes are as in User.
	SMSCodes, EmailCodes bool
	// Keys are those that are ready.
	Keys          []SecurityKey
	Links         []Link
	RecoveryCodes []PortableCode
}

// PortablePassword is a password as its hash; without one there is none.
type PortablePassword struct {
	Hash           string
	ChangeRequired bool
	// Changed may be zero when it is not known.
	Changed time.Time
}

// PortableTOTP is a confirmed authenticator app.
type PortableTOTP struct {
	// Secret is the seed in base 32, empty for none.
	Secret string
	// LastStep is the last time step whose code was accepted.
	LastStep uint64
}

// PortableCode is an unused recovery code. It is a MAC here too, since the code itself is
// kept nowhere, and can be checked only where the same master key is.
type PortableCode struct {
	otp.RecoveryMAC

	// Fingerprint tells whether a key of that id is the same key; see keyring.Ring.
	Fingerprint string
}

// FieldError names the field of a Portable that is at fault, as docs/migration.md calls
// it. Its chain has the reason, which repeats no secret.
type FieldError struct {
	Field string
	Err   error
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

// at names the field of an error, if there is one.
func at(field string, err error) error {
	if err == nil {
		return nil
	}
	return &FieldError{field, err}
}

// Reasons to refuse a field.
var (
	errEmpty       = fault.New(fault.InvalidArgument, "STEPUP-import-empty", "Must not be empty")
	errTooLong     = fault.New(fault.InvalidArgument, "STEPUP-import-long", "Is too long")
	errControl     = fault.New(fault.InvalidArgument, "STEPUP-import-control", "Has control characters")
	errState       = fault.New(fault.InvalidArgument, "STEPUP-import-state", "No user can be imported in this state")
	errAddress     = fault.New(fault.InvalidArgument, "STEPUP-import-email", "Is not an email address")
	errFuture      = fault.New(fault.InvalidArgument, "STEPUP-import-time", "Is not a time between 1970 and now")
	errUnverified  = fault.New(fault.InvalidArgument, "STEPUP-import-codes", "Codes can only be sent to a verified address")
	errUnaddressed = fault.New(fault.InvalidArgument, "STEPUP-import-address", "There is no address that could be verified")
	errTooMany     = fault.New(fault.InvalidArgument, "STEPUP-import-count", "There are too many")
	errTwice       = fault.New(fault.InvalidArgument, "STEPUP-import-twice", "Is there twice")
	errKeyring     = fault.New(fault.InvalidArgument, "STEPUP-import-keyring", "The keyring of this deployment does not have this key")
)

// fieldUsername is a field that is named more than once.
const fieldUsername = "username"

// maxText is the limit that the wire contract sets for names and ids, in characters.
const maxText = 200

// maxTag is that for the tag of a language.
const maxTag = 10

// text checks the length of a text, and that it has no control characters.
func text(s string, most int) error {
	switch {
	case utf8.RuneCountInString(s) > most:
		return errTooLong
	case strings.ContainsFunc(s, unicode.IsControl):
		return errControl
	}
	return nil
}

// filled is text for one that must not be empty.
func filled(s string) error {
	if s == "" {
		return errEmpty
	}
	return text(s, maxText)
}

// check looks at all fields that can be judged by themselves.
func (p *Portable) check(now time.Time) error {
	for _, c := range []struct {
		field string
		err   error
	}{
		{"id", filled(p.ID)},
		{"state", checkState(p.State)},
		{"created", checkTime(p.Created, now)},
		{fieldUsername, filled(p.Username)},
		{fieldUsername, checkUsername(p.Username)},
		{"profile.givenName", filled(p.Profile.GivenName)},
		{"profile.familyName", filled(p.Profile.FamilyName)},
		{"profile", p.Profile.validate()},
		{"profile.nickName", text(p.Profile.NickName, maxText)},
		{"profile.displayName", text(p.Profile.DisplayName, maxText)},
		{"profile.language", text(p.Profile.Language, maxTag)},
		{"email.address", checkEmail(p.Email.Address)},
		{"email.verified", checkVerified(p.Email)},
		{"email.codes", checkCodes(p.EmailCodes, p.Email)},
		{"phone.number", text(p.Phone.Address, maxText)},
		{"phone.verified", checkVerified(p.Phone)},
		{"phone.codes", checkCodes(p.SMSCodes, p.Phone)},
		{"password.changed", checkTime(p.Password.Changed, now)},
		{"totp.lastStep", checkStep(p.TOTP.LastStep, now)},
	} {
		if c.err != nil {
			return at(c.field, c.err)
		}
	}
	return nil
}

func checkState(s State) error {
	switch s {
	case StateActive, StateInactive, StateLocked, StateInitial:
		return nil
	default:
		return errState
	}
}

// checkTime takes the zero time, and leaves a minute to clocks that differ.
func checkTime(t, now time.Time) error {
	if !t.IsZero() && (t.Unix() < 0 || t.After(now.Add(time.Minute))) {
		return errFuture
	}
	return nil
}

// checkStep refuses a step that would lock the app out for longer than clocks differ.
func checkStep(step uint64, now time.Time) error {
	if step > uint64(now.Add(time.Minute).Unix())/uint64(otp.Step/time.Second) {
		return errFuture
	}
	return nil
}

// checkEmail takes what the wire contract takes: a bare address.
func checkEmail(address string) error {
	if address == "" {
		return nil
	}
	if err := text(address, maxText); err != nil {
		return err
	}
	if parsed, err := mail.ParseAddress(address); err != nil || parsed.Address != address {
		return errAddress
	}
	return nil
}

func checkVerified(c Contact) error {
	if c.Verified && c.Address == "" {
		return errUnaddressed
	}
	return nil
}

func checkCodes(codes bool, c Contact) error {
	if codes && (!c.Verified || c.Address == "") {
		return errUnverified
	}
	return nil
}

// fromPortable makes the user, or says which field is at fault.
func (s *Service) fromPortable(caller access.Caller, p *Portable) (*User, error) {
	organization, err := s.Organization(p.Organization, caller)
	if err != nil {
		return nil, at("organization", err)
	}
	if err := caller.Require(access.UserWrite, organization); err != nil {
		return nil, err
	}
	now := s.now()
	if err := p.check(now); err != nil {
		return nil, err
	}
	u := &User{
		ID: p.ID, Organization: organization, Username: p.Username, Created: now, Profile: p.Profile,
		Email: p.Email, SMSCodes: p.SMSCodes, EmailCodes: p.EmailCodes,
		Guard: Guard{UserID: p.ID, State: p.State, TOTPStep: p.TOTP.LastStep},
	}
	if !p.Created.IsZero() {
		u.Created = p.Created.UTC().Truncate(time.Microsecond)
	}
	if u.Phone, err = normalPhone(p.Phone); err != nil {
		return nil, at("phone.number", err)
	}
	if err := s.takePassword(u, p.Password, now); err != nil {
		return nil, at("password.hash", err)
	}
	if err := s.importTOTP(u, p.TOTP.Secret); err != nil {
		return nil, at("totp.secret", err)
	}
	for _, take := range []func(*User, *Portable) error{s.takeKeys, s.takeLinks, s.takeRecoveryCodes} {
		if err := take(u, p); err != nil {
			return nil, err
		}
	}
	u.endSessions(now)
	u.touch(now)
	return u, nil
}

func (s *Service) takePassword(u *User, p PortablePassword, now time.Time) error {
	if p.Hash == "" {
		return nil
	}
	u.Password = Password{Hash: p.Hash, ChangeRequired: p.ChangeRequired}
	u.Guard.PasswordChanged = now
	if !p.Changed.IsZero() {
		u.Guard.PasswordChanged = p.Changed.UTC().Truncate(time.Microsecond)
	}
	return s.c.Hasher.CheckImport(p.Hash)
}

func (s *Service) takeKeys(u *User, p *Portable) error {
	if len(p.Keys) > MaxKeys {
		return at("keys", errTooMany)
	}
	ids, credentials := make(map[string]bool), make(map[string]bool)
	for i, k := range p.Keys {
		field := fmt.Sprintf("keys[%d]", i)
		if ids[k.ID] || credentials[string(k.Credential.ID)] {
			return at(field, errTwice)
		}
		ids[k.ID], credentials[string(k.Credential.ID)] = true, true
		if err := s.checkKey(k); err != nil {
			return at(field+err.Field, err.Err)
		}
		u.Keys = append(u.Keys, SecurityKey{ID: k.ID, Name: k.Name, Kind: k.Kind, Credential: k.Credential})
	}
	return nil
}

// checkKey returns nil for a key that could be used; the field of its error begins with
// a dot.
func (s *Service) checkKey(k SecurityKey) *FieldError {
	if err := filled(k.ID); err != nil {
		return &FieldError{".id", err}
	}
	if err := text(k.Name, maxText); err != nil {
		return &FieldError{".name", err}
	}
	if _, err := s.c.RelyingParties.Find(k.Credential.RPID); err != nil {
		return &FieldError{".rpId", err}
	}
	if err := k.Credential.Check(); err != nil {
		return &FieldError{"", passkey.ErrCredential.Wrap(err)}
	}
	return nil
}

func (s *Service) takeLinks(u *User, p *Portable) error {
	for i, l := range p.Links {
		field := fmt.Sprintf("links[%d]", i)
		for _, part := range []string{l.ProviderID, l.ExternalID, l.Name} {
			if err := filled(part); err != nil {
				return at(field, err)
			}
		}
		if err := s.link(u, l); err != nil {
			return at(field, err)
		}
	}
	return nil
}

func (s *Service) takeRecoveryCodes(u *User, p *Portable) error {
	if len(p.RecoveryCodes) > MaxRecoveryCodes {
		return at("recoveryCodes", errTooMany)
	}
	for i, c := range p.RecoveryCodes {
		if known, err := s.c.Ring.Fingerprint(c.KeyID); err != nil || known != c.Fingerprint {
			return at(fmt.Sprintf("recoveryCodes[%d].key", i), errKeyring)
		}
		if slices.Contains(u.Guard.RecoveryCodes, c.RecoveryMAC) { // it would work twice
			return at(fmt.Sprintf("recoveryCodes[%d]", i), errTwice)
		}
		u.Guard.RecoveryCodes = append(u.Guard.RecoveryCodes, c.RecoveryMAC)
	}
	return nil
}
