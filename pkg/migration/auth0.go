package migration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/stepup-auth/stepup/pkg/user"
)

// Auth0's file for bulk imports ("User Data JSON Schema for Bulk User Imports"), an array
// of users, and its bulk export, a user on each line, whose fields have the same names
// when none was renamed.

// auth0User has the fields of the import's schema first, then those that only an export
// has. The opaque ones have no place here.
type auth0User struct {
	Email         string          `json:"email"`
	EmailVerified bool            `json:"email_verified"`
	PhoneNumber   string          `json:"phone_number"`
	PhoneVerified bool            `json:"phone_verified"`
	UserID        string          `json:"user_id"`
	Username      string          `json:"username"`
	GivenName     string          `json:"given_name"`
	FamilyName    string          `json:"family_name"`
	Name          string          `json:"name"`
	Nickname      string          `json:"nickname"`
	Picture       json.RawMessage `json:"picture"`
	Blocked       bool            `json:"blocked"`
	PasswordHash  string          `json:"password_hash"`
	CustomHash    auth0Hash       `json:"custom_password_hash"`
	AppMetadata   json.RawMessage `json:"app_metadata"`
	UserMetadata  json.RawMessage `json:"user_metadata"`
	Factors       []auth0Factor   `json:"mfa_factors"`

	CreatedAt   string          `json:"created_at"`
	UpdatedAt   json.RawMessage `json:"updated_at"`
	Identities  json.RawMessage `json:"identities"`
	LastIP      json.RawMessage `json:"last_ip"`
	LastLogin   json.RawMessage `json:"last_login"`
	LoginsCount json.RawMessage `json:"logins_count"`
	Multifactor json.RawMessage `json:"multifactor"`
}

// auth0Factor is one of its fields.
type auth0Factor struct {
	TOTP struct {
		Secret string `json:"secret"`
	} `json:"totp"`
	Phone auth0Address `json:"phone"`
	Email auth0Address `json:"email"`
}

type auth0Address struct {
	Value string `json:"value"`
}

func openAuth0(r io.Reader) (Source, error) {
	text, err := document(r)
	if err != nil {
		return Source{}, err
	}
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		return lines(bytes.NewReader(text), 1, decodeAuth0), nil
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return Source{}, fmt.Errorf("is neither an array of users nor a user on each line: %w", err)
	}
	return elements(all, func(m json.RawMessage) (user.Portable, []string, error) { return decodeAuth0(m) }), nil
}

func decodeAuth0(text []byte) (p user.Portable, lost []string, err error) {
	var u auth0User
	if err := strict(text, &u); err != nil {
		return p, nil, err
	}
	login := cmp.Or(u.Username, u.Email)
	p = user.Portable{
		ID: cmp.Or(u.UserID, login), Username: login, State: user.StateActive,
		Profile: names(u.GivenName, u.FamilyName, u.Name, u.Nickname, login),
		Email:   user.Contact{Address: u.Email, Verified: u.EmailVerified},
		Phone:   user.Contact{Address: u.PhoneNumber, Verified: u.PhoneVerified},
	}
	p.Profile.NickName, p.Profile.DisplayName = u.Nickname, u.Name
	if u.Blocked {
		p.State = user.StateLocked
	}
	if p.Created, err = timeOf("created_at", u.CreatedAt); err != nil {
		return p, nil, err
	}
	if p.Password.Hash, err = u.hash(); err != nil {
		return p, nil, err
	}
	lost = u.lost()
	for i, f := range u.Factors {
		left, err := f.apply(&p, fmt.Sprintf("mfa_factors[%d]", i))
		if err != nil {
			return p, nil, err
		}
		lost = append(lost, left...)
	}
	return p, lost, nil
}

func (u auth0User) hash() (string, error) {
	switch {
	case u.CustomHash.Algorithm == "":
		return u.PasswordHash, nil
	case u.PasswordHash != "":
		return "", at("custom_password_hash", "stands beside password_hash")
	default:
		return u.CustomHash.encode()
	}
}

// lost names what is there and has no place here.
func (u auth0User) lost() []string {
	var lost []string
	for _, f := range []struct {
		name  string
		value json.RawMessage
	}{
		{"picture", u.Picture}, {"app_metadata", u.AppMetadata}, {"user_metadata", u.UserMetadata}, {"updated_at", u.UpdatedAt},
		{"identities", u.Identities}, {"last_ip", u.LastIP}, {"last_login", u.LastLogin}, {"logins_count", u.LoginsCount},
		{"multifactor", u.Multifactor},
	} {
		if len(f.value) > 0 && string(f.value) != "null" && string(f.value) != "{}" {
			lost = append(lost, f.name)
		}
	}
	return lost
}

var errSecond = errors.New("is a second one, and a user here has one")

// apply takes a factor over. A phone that is enrolled has been proved there; a mail
// address counts only where it is the user's verified one.
func (f auth0Factor) apply(p *user.Portable, field string) (lost []string, err error) {
	if f.TOTP.Secret != "" {
		if p.TOTP.Secret != "" {
			return nil, &user.FieldError{Field: field + ".totp", Err: errSecond}
		}
		p.TOTP.Secret = f.TOTP.Secret
	}
	if number := f.Phone.Value; number != "" {
		if p.Phone.Address != "" && p.Phone.Address != number {
			return nil, &user.FieldError{Field: field + ".phone", Err: errSecond}
		}
		p.Phone, p.SMSCodes = user.Contact{Address: number, Verified: true}, true
	}
	if address := f.Email.Value; address != "" {
		if !p.Email.Verified || !strings.EqualFold(address, p.Email.Address) {
			return []string{"mfa_factors.email"}, nil
		}
		p.EmailCodes = true
	}
	return nil, nil
}
