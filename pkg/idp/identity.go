package idp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
)

// Identity is what a provider said about an account. It is who somebody is only together
// with the provider: two providers may use one subject for two people (row S13).
type Identity struct {
	ProviderID string `json:"provider"`
	// Subject is the account's id at the provider.
	Subject string `json:"subject"`
	// UserName is how people call the account; the subject where they do not.
	UserName string  `json:"userName"`
	Profile  Profile `json:"profile"`
	// AccessToken, IDToken and RefreshToken are the provider's, not ours. The last may be
	// empty.
	AccessToken  string `json:"accessToken"`
	IDToken      string `json:"idToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
	// Claims is all that the provider said, as a JSON object. How it authenticated the
	// account, which acr, amr and auth_time tell, stands here and nowhere else: it is its
	// word, not a check of ours.
	Claims json.RawMessage `json:"claims"`
}

// Profile is how the account describes its owner. Every field may be empty.
type Profile struct {
	GivenName   string `json:"givenName,omitempty"`
	FamilyName  string `json:"familyName,omitempty"`
	NickName    string `json:"nickName,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
	Language    string `json:"language,omitempty"`
	Email       string `json:"email,omitempty"`
	// EmailVerified is the provider's word for it.
	EmailVerified bool `json:"emailVerified,omitempty"`
}

// Encode returns the identity in the form that DecodeIdentity reads. It holds tokens: who
// stores it seals it.
func (i Identity) Encode() ([]byte, error) {
	text, err := json.Marshal(i) //nolint:gosec // it is sealed; the comment above says so
	if err != nil {
		return nil, fmt.Errorf("encode an identity: %w", err)
	}
	return text, nil
}

// DecodeIdentity reads what Encode wrote.
func DecodeIdentity(text []byte) (Identity, error) {
	var i Identity
	if err := json.Unmarshal(text, &i); err != nil {
		return Identity{}, fmt.Errorf("decode an identity: %w", err)
	}
	return i, nil
}

// claims are the members of an id token or of a userinfo response (OpenID Connect Core,
// section 5.1).
type claims map[string]any

// parseClaims keeps numbers as they were written.
func parseClaims(read func(any) error) (claims, error) {
	var text json.RawMessage
	if err := read(&text); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var c claims
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	return c, nil
}

// text returns a claim that is text, and is cut where no field of ours is longer.
func (c claims) text(name string) string {
	s, _ := c[name].(string)
	if long := []rune(s); len(long) > maxText {
		return string(long[:maxText])
	}
	return s
}

// complete reports whether there is all that userinfo could add and that is of use.
func (c claims) complete() bool {
	return c.text("email") != "" && c.text("given_name") != "" && c.text("family_name") != ""
}

// with adds those of the others that are not there yet: what was signed comes first.
func (c claims) with(others claims) claims {
	all := make(claims, len(c)+len(others))
	for _, from := range []claims{others, c} {
		maps.Copy(all, from)
	}
	return all
}

// identity reads the claims. The nonce is ours and no fact about the account.
func (c claims) identity() (Identity, error) {
	raw := c.with(nil)
	delete(raw, "nonce")
	text, err := json.Marshal(raw)
	if err != nil {
		return Identity{}, fmt.Errorf("claims: %w", err)
	}
	i := Identity{Claims: text, Profile: Profile{
		GivenName: c.text("given_name"), FamilyName: c.text("family_name"), NickName: c.text("nickname"),
		DisplayName: c.text("name"), Language: c.text("locale"),
		Email: c.text("email"), EmailVerified: c.emailVerified(),
	}}
	for _, name := range []string{"preferred_username", "email", "sub"} {
		if i.UserName = c.text(name); i.UserName != "" {
			break
		}
	}
	return i, nil
}

// emailVerified takes also the text that some providers write.
func (c claims) emailVerified() bool {
	return c["email_verified"] == true || c["email_verified"] == "true"
}
