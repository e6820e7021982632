package migration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/stepup-auth/stepup/pkg/user"
)

// The answer of ZITADEL's export (POST /admin/v1/export) and the body of its import
// (POST /admin/v1/import), as its API reference documents them: the answer has the
// organizations at the top, the body has them under dataOrgs.
//
// Everything but users and their links is passed over. Inside a user, an unknown field is
// an error: it may be a factor.

type zitadelDocument struct {
	Orgs     []zitadelOrg `json:"orgs"`
	DataOrgs zitadelOrgs  `json:"dataOrgs"`
	// Snake is the same field as the guide for migrations spells it.
	Snake zitadelOrgs `json:"data_orgs"` //nolint:tagliatelle // their spelling
}

type zitadelOrgs struct {
	Orgs []zitadelOrg `json:"orgs"`
}

type zitadelOrg struct {
	OrgID        string            `json:"orgId"`
	HumanUsers   []json.RawMessage `json:"humanUsers"`
	MachineUsers []json.RawMessage `json:"machineUsers"`
	UserLinks    []zitadelLink     `json:"userLinks"`
}

type zitadelLink struct {
	UserID           string `json:"userId"`
	IDPID            string `json:"idpId"`
	ProvidedUserID   string `json:"providedUserId"`
	ProvidedUserName string `json:"providedUserName"`
}

type zitadelHuman struct {
	UserID string      `json:"userId"`
	User   zitadelUser `json:"user"`
}

type zitadelUser struct {
	UserName               string          `json:"userName"`
	Profile                zitadelProfile  `json:"profile"`
	Email                  zitadelEmail    `json:"email"`
	Phone                  zitadelPhone    `json:"phone"`
	Password               string          `json:"password"`
	HashedPassword         zitadelPassword `json:"hashedPassword"`
	PasswordChangeRequired bool            `json:"passwordChangeRequired"`
	RequestPasswordless    bool            `json:"requestPasswordlessRegistration"`
	OTPCode                string          `json:"otpCode"`
	IDPs                   []zitadelIDP    `json:"idps"`
	RecoveryCodes          json.RawMessage `json:"recoveryCodes"`
}

type zitadelProfile struct {
	FirstName         string `json:"firstName"`
	LastName          string `json:"lastName"`
	NickName          string `json:"nickName"`
	DisplayName       string `json:"displayName"`
	PreferredLanguage string `json:"preferredLanguage"`
	Gender            string `json:"gender"`
}

type zitadelEmail struct {
	Email    string `json:"email"`
	Verified bool   `json:"isEmailVerified"`
}

type zitadelPhone struct {
	Phone    string `json:"phone"`
	Verified bool   `json:"isPhoneVerified"`
}

type zitadelPassword struct {
	Value     string `json:"value"`
	Algorithm string `json:"algorithm"`
}

type zitadelIDP struct {
	ConfigID       string `json:"configId"`
	ExternalUserID string `json:"externalUserId"`
	DisplayName    string `json:"displayName"`
}

// zitadelEntry is a user with what the document says of them elsewhere.
type zitadelEntry struct {
	org   string
	text  json.RawMessage
	links map[string][]zitadelLink // by user
}

func openZitadel(r io.Reader) (Source, error) {
	text, err := document(r)
	if err != nil {
		return Source{}, err
	}
	var d zitadelDocument
	if err := json.Unmarshal(text, &d); err != nil {
		return Source{}, fmt.Errorf("is not an export of ZITADEL: %w", err)
	}
	var all []zitadelEntry
	orgs := append(append(d.Orgs, d.DataOrgs.Orgs...), d.Snake.Orgs...)
	for _, org := range orgs {
		links := make(map[string][]zitadelLink)
		for _, l := range org.UserLinks {
			links[l.UserID] = append(links[l.UserID], l)
		}
		for _, human := range org.HumanUsers {
			all = append(all, zitadelEntry{org.OrgID, human, links})
		}
	}
	if len(orgs) == 0 {
		return Source{}, errors.New("is not an export of ZITADEL: it has no orgs")
	}
	return elements(all, zitadelEntry.decode), nil
}

var zitadelGenders = map[string]user.Gender{
	"": 0, "GENDER_UNSPECIFIED": 0, "GENDER_FEMALE": 1, "GENDER_MALE": 2, "GENDER_DIVERSE": 3,
}

func (e zitadelEntry) decode() (p user.Portable, lost []string, err error) {
	var h zitadelHuman
	if err := strict(e.text, &h); err != nil {
		return p, nil, err
	}
	u := h.User
	p = user.Portable{
		ID: h.UserID, Organization: e.org, Username: u.UserName, State: user.StateActive,
		Email:    user.Contact{Address: u.Email.Email, Verified: u.Email.Verified},
		Phone:    user.Contact{Address: u.Phone.Phone, Verified: u.Phone.Verified},
		Password: user.PortablePassword{Hash: u.HashedPassword.Value, ChangeRequired: u.PasswordChangeRequired},
		TOTP:     user.PortableTOTP{Secret: u.OTPCode},
	}
	if p.Profile, err = u.Profile.decode(); err != nil {
		return p, nil, err
	}
	if u.Password != "" {
		return p, nil, at("user.password", "is in plain text; only hashes are read")
	}
	for _, l := range u.IDPs {
		p.Links = append(p.Links, user.Link{ProviderID: l.ConfigID, ExternalID: l.ExternalUserID, Name: l.DisplayName})
	}
	for _, l := range e.links[h.UserID] {
		p.Links = append(p.Links, user.Link{ProviderID: l.IDPID, ExternalID: l.ProvidedUserID, Name: l.ProvidedUserName})
	}
	return p, u.lost(), nil
}

func (u zitadelUser) lost() []string {
	var lost []string
	if u.RequestPasswordless {
		lost = append(lost, "requestPasswordlessRegistration")
	}
	if len(u.RecoveryCodes) > 0 && string(u.RecoveryCodes) != "null" && string(u.RecoveryCodes) != "[]" {
		lost = append(lost, "recoveryCodes")
	}
	return lost
}

func (r zitadelProfile) decode() (user.Profile, error) {
	gender, known := zitadelGenders[r.Gender]
	if !known {
		return user.Profile{}, at("user.profile.gender", "is unknown")
	}
	return user.Profile{
		GivenName: r.FirstName, FamilyName: r.LastName, NickName: r.NickName, DisplayName: r.DisplayName,
		Language: language(r.PreferredLanguage), Gender: gender,
	}, nil
}

// language is empty for the tag that means none (BCP 47, "und").
func language(tag string) string {
	if tag == "und" {
		return ""
	}
	return tag
}
