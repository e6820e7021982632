package migration

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Version is that of the lines which are written, and the only one that is read.
const Version = 1

// record is one line. docs/migration.md says what its fields mean; a test compares the
// two.
type record struct {
	Version       int              `json:"version"`
	ID            string           `json:"id"`
	Organization  string           `json:"organization,omitempty"`
	State         string           `json:"state,omitempty"`
	Created       string           `json:"created,omitempty"`
	Username      string           `json:"username"`
	Profile       profileRecord    `json:"profile"`
	Email         emailRecord      `json:"email,omitzero"`
	Phone         phoneRecord      `json:"phone,omitzero"`
	Password      passwordRecord   `json:"password,omitzero"`
	TOTP          totpRecord       `json:"totp,omitzero"`
	Keys          []keyRecord      `json:"keys,omitempty"`
	Links         []linkRecord     `json:"links,omitempty"`
	RecoveryCodes []recoveryRecord `json:"recoveryCodes,omitempty"`
}

type profileRecord struct {
	GivenName   string `json:"givenName"`
	FamilyName  string `json:"familyName"`
	NickName    string `json:"nickName,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Language    string `json:"language,omitempty"`
	Gender      string `json:"gender,omitempty"`
}

type emailRecord struct {
	Address  string `json:"address"`
	Verified bool   `json:"verified,omitempty"`
	Codes    bool   `json:"codes,omitempty"`
}

type phoneRecord struct {
	Number   string `json:"number"`
	Verified bool   `json:"verified,omitempty"`
	Codes    bool   `json:"codes,omitempty"`
}

type passwordRecord struct {
	Hash           string `json:"hash"`
	ChangeRequired bool   `json:"changeRequired,omitempty"`
	Changed        string `json:"changed,omitempty"`
}

type totpRecord struct {
	Secret   string `json:"secret"`
	LastStep uint64 `json:"lastStep,omitempty"`
}

type keyRecord struct {
	ID             string   `json:"id"`
	Name           string   `json:"name,omitempty"`
	Kind           string   `json:"kind"`
	RPID           string   `json:"rpId"`
	CredentialID   string   `json:"credentialId"`
	PublicKey      string   `json:"publicKey"`
	SignCount      uint32   `json:"signCount,omitempty"`
	AAGUID         string   `json:"aaguid,omitempty"`
	Transports     []string `json:"transports,omitempty"`
	BackupEligible bool     `json:"backupEligible,omitempty"`
	BackupState    bool     `json:"backupState,omitempty"`
	UserVerified   bool     `json:"userVerified,omitempty"`
	Attestation    string   `json:"attestation,omitempty"`
}

type linkRecord struct {
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Name     string `json:"name"`
}

type recoveryRecord struct {
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
	MAC         string `json:"mac"`
}

// The words for the states and genders; the empty one of a state means active.
var (
	states = map[string]user.State{
		"": user.StateActive, "active": user.StateActive, "inactive": user.StateInactive,
		"locked": user.StateLocked, "initial": user.StateInitial,
	}
	stateNames = map[user.State]string{
		user.StateActive: "active", user.StateInactive: "inactive", user.StateLocked: "locked", user.StateInitial: "initial",
	}
	genders     = map[string]user.Gender{"": 0, "female": 1, "male": 2, "diverse": 3} // wire contract, enum Gender
	genderNames = map[user.Gender]string{1: "female", 2: "male", 3: "diverse"}
)

// encode writes a user as one line, with its line feed.
func encode(p *user.Portable) ([]byte, error) {
	r := record{
		Version: Version, ID: p.ID, Organization: p.Organization, State: stateNames[p.State], Created: timeText(p.Created),
		Username: p.Username,
		Profile: profileRecord{
			p.Profile.GivenName, p.Profile.FamilyName, p.Profile.NickName, p.Profile.DisplayName,
			p.Profile.Language, genderNames[p.Profile.Gender],
		},
		Email:    emailRecord{p.Email.Address, p.Email.Verified, p.EmailCodes},
		Phone:    phoneRecord{p.Phone.Address, p.Phone.Verified, p.SMSCodes},
		Password: passwordRecord{p.Password.Hash, p.Password.ChangeRequired, timeText(p.Password.Changed)},
		TOTP:     totpRecord{p.TOTP.Secret, p.TOTP.LastStep},
	}
	for _, k := range p.Keys {
		r.Keys = append(r.Keys, encodeKey(k))
	}
	for _, l := range p.Links {
		r.Links = append(r.Links, linkRecord{l.ProviderID, l.ExternalID, l.Name})
	}
	for _, c := range p.RecoveryCodes {
		r.RecoveryCodes = append(r.RecoveryCodes, recoveryRecord{c.KeyID, c.Fingerprint, binary.EncodeToString(c.Sum[:])})
	}
	text, err := json.Marshal(r)
	return append(text, '\n'), err
}

func encodeKey(k user.SecurityKey) keyRecord {
	c := k.Credential
	return keyRecord{
		ID: k.ID, Name: k.Name, Kind: string(k.Kind), RPID: c.RPID,
		CredentialID: binary.EncodeToString(c.ID), PublicKey: binary.EncodeToString(c.PublicKey), SignCount: c.SignCount,
		AAGUID: hex.EncodeToString(c.AAGUID[:]), Transports: c.Transports, BackupEligible: c.BackupEligible,
		BackupState: c.BackupState, UserVerified: c.UserVerified, Attestation: c.AttestationFormat,
	}
}

// binary is how bytes are written: base64url without padding, as WebAuthn has them.
var binary = base64.RawURLEncoding.Strict()

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// decode reads one line.
func decode(text []byte) (p user.Portable, lost []string, err error) {
	var r record
	if err := strict(text, &r); err != nil {
		return p, nil, err
	}
	p, err = r.portable()
	return p, nil, err
}

func (r record) portable() (p user.Portable, err error) {
	p = user.Portable{
		ID: r.ID, Organization: r.Organization, Username: r.Username,
		Email: user.Contact{Address: r.Email.Address, Verified: r.Email.Verified}, EmailCodes: r.Email.Codes,
		Phone: user.Contact{Address: r.Phone.Number, Verified: r.Phone.Verified}, SMSCodes: r.Phone.Codes,
		Password: user.PortablePassword{Hash: r.Password.Hash, ChangeRequired: r.Password.ChangeRequired},
		TOTP:     user.PortableTOTP{Secret: r.TOTP.Secret, LastStep: r.TOTP.LastStep},
	}
	if r.Version != Version {
		return p, at("version", "is not %d", Version)
	}
	var known bool
	if p.State, known = states[r.State]; !known {
		return p, at("state", "is not active, inactive, locked or initial")
	}
	if p.Profile, err = r.Profile.decode(); err != nil {
		return p, err
	}
	if p.Created, err = timeOf("created", r.Created); err != nil {
		return p, err
	}
	if p.Password.Changed, err = timeOf("password.changed", r.Password.Changed); err != nil {
		return p, err
	}
	if (r.Password.ChangeRequired || r.Password.Changed != "") && r.Password.Hash == "" {
		return p, at("password.hash", "is missing")
	}
	for i, k := range r.Keys {
		key, err := k.decode(fmt.Sprintf("keys[%d]", i))
		if err != nil {
			return p, err
		}
		p.Keys = append(p.Keys, key)
	}
	for _, l := range r.Links {
		p.Links = append(p.Links, user.Link{ProviderID: l.Provider, ExternalID: l.Account, Name: l.Name})
	}
	for i, c := range r.RecoveryCodes {
		sum, err := bytesOf(fmt.Sprintf("recoveryCodes[%d].mac", i), c.MAC)
		if err != nil {
			return p, err
		}
		if len(sum) != keyring.MACSize {
			return p, at(fmt.Sprintf("recoveryCodes[%d].mac", i), "is not %d bytes", keyring.MACSize)
		}
		p.RecoveryCodes = append(p.RecoveryCodes, user.PortableCode{
			RecoveryMAC: otp.RecoveryMAC{KeyID: c.Key, Sum: [keyring.MACSize]byte(sum)}, Fingerprint: c.Fingerprint,
		})
	}
	return p, nil
}

func (r profileRecord) decode() (user.Profile, error) {
	gender, known := genders[r.Gender]
	if !known {
		return user.Profile{}, at("profile.gender", "is not female, male or diverse")
	}
	return user.Profile{
		GivenName: r.GivenName, FamilyName: r.FamilyName, NickName: r.NickName, DisplayName: r.DisplayName,
		Language: r.Language, Gender: gender,
	}, nil
}

func (r keyRecord) decode(field string) (user.SecurityKey, error) {
	k := user.SecurityKey{ID: r.ID, Name: r.Name, Kind: passkey.Kind(r.Kind), Credential: passkey.Credential{
		RPID: r.RPID, Kind: passkey.Kind(r.Kind), SignCount: r.SignCount, Transports: r.Transports,
		BackupEligible: r.BackupEligible, BackupState: r.BackupState, UserVerified: r.UserVerified,
		AttestationFormat: r.Attestation,
	}}
	var err error
	if k.Credential.ID, err = bytesOf(field+".credentialId", r.CredentialID); err != nil {
		return k, err
	}
	if k.Credential.PublicKey, err = bytesOf(field+".publicKey", r.PublicKey); err != nil {
		return k, err
	}
	if r.AAGUID == "" {
		return k, nil
	}
	aaguid, err := hex.DecodeString(r.AAGUID)
	if err != nil || len(aaguid) != len(k.Credential.AAGUID) {
		return k, at(field+".aaguid", "is not 32 hexadecimal digits")
	}
	copy(k.Credential.AAGUID[:], aaguid)
	return k, nil
}

func bytesOf(field, text string) ([]byte, error) {
	b, err := binary.DecodeString(text)
	if err != nil {
		return nil, at(field, "is not base64url without padding")
	}
	return b, nil
}

func timeOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, at(field, "is not a time of RFC 3339")
	}
	return t, nil
}
