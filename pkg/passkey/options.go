package passkey

import (
	"encoding/base64"
	"strings"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// The options in the JSON form of WebAuthn sections 5.1.8 and 5.1.9, which the wire
// contract carries below one member named publicKey.

type creationOptions struct {
	RP                 entity        `json:"rp"`
	User               entity        `json:"user"`
	Challenge          binary        `json:"challenge"`
	PubKeyCredParams   []parameter   `json:"pubKeyCredParams"`
	Timeout            int64         `json:"timeout"`
	ExcludeCredentials []descriptor  `json:"excludeCredentials,omitempty"`
	Selection          authSelection `json:"authenticatorSelection"`
	Attestation        string        `json:"attestation"`
}

type requestOptions struct {
	Challenge        binary       `json:"challenge"`
	Timeout          int64        `json:"timeout"`
	RPID             string       `json:"rpId"`
	AllowCredentials []descriptor `json:"allowCredentials,omitempty"`
	UserVerification Verification `json:"userVerification"`
}

type entity struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
}

type parameter struct {
	Type string                               `json:"type"`
	Alg  webauthncose.COSEAlgorithmIdentifier `json:"alg"`
}

type descriptor struct {
	Type       string   `json:"type"`
	ID         binary   `json:"id"`
	Transports []string `json:"transports,omitempty"`
}

type authSelection struct {
	Attachment       Attachment   `json:"authenticatorAttachment,omitempty"`
	ResidentKey      string       `json:"residentKey"`
	UserVerification Verification `json:"userVerification"`
}

// binary is written as base64url without padding.
type binary []byte

func (b binary) String() string { return base64.RawURLEncoding.EncodeToString(b) }

// MarshalText makes encoding/json write String.
func (b binary) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

const publicKeyType = "public-key"

// algorithms are the signatures that are accepted, the best known first. ES256 and
// RS256 are what nearly every authenticator has, EdDSA what the rest should have.
var algorithms = []webauthncose.COSEAlgorithmIdentifier{
	webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgES384, webauthncose.AlgES512, webauthncose.AlgRS256,
}

func parameters() []parameter {
	list := make([]parameter, len(algorithms))
	for i, algorithm := range algorithms {
		list[i] = parameter{Type: publicKeyType, Alg: algorithm}
	}
	return list
}

// descriptors lists the credentials that pass the test.
func descriptors(credentials []Credential, pass func(Credential) bool) []descriptor {
	var list []descriptor
	for _, c := range credentials {
		if pass(c) {
			list = append(list, descriptor{Type: publicKeyType, ID: c.ID, Transports: c.Transports})
		}
	}
	return list
}

func envelope(options any) []byte {
	return encode(map[string]any{"publicKey": options})
}

// firstText returns the first text that is more than white space.
func firstText(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}
