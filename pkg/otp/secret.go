package otp

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// SecretSize is the length of the TOTP secrets that NewSecret makes, in bytes: 160
// bits, the length that RFC 4226 section 4 recommends and the output of SHA-1.
const SecretSize = 20

// Bounds of an imported secret, in bytes. NIST SP 800-63B-4 asks for 112 bits and
// RFC 4226 for 128, but the first generation of authenticator apps was enrolled with
// 80, and refusing those would take the second factor from their users. 64 bytes is
// the block of SHA-1: HMAC would hash anything longer down to 20.
const (
	minSecretSize = 10
	maxSecretSize = 64
)

// ErrSecret is the fault of ParseSecret, of kind InvalidArgument.
var ErrSecret = fault.New(fault.InvalidArgument, "STEPUP-totp-secret", "TOTP secret is not base32 text of 10 to 64 bytes")

var secretText = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewSecret reads a secret of 20 bytes from random. It fails only when random does.
func NewSecret(random io.Reader) ([]byte, error) {
	secret := make([]byte, SecretSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("otp: read secret: %w", err)
	}
	return secret, nil
}

// EncodeSecret returns the secret as authenticator apps take it: base 32 (RFC 4648)
// in capitals, without padding.
func EncodeSecret(secret []byte) string { return secretText.EncodeToString(secret) }

// secretFiller is what people and exports put between the characters.
var secretFiller = strings.NewReplacer(" ", "", "-", "", "=", "", "\t", "", "\r", "", "\n", "")

// ParseSecret reads a secret that another system made, of 10 to 64 bytes in base 32.
// Case, padding, spaces and hyphens do not matter. It returns ErrSecret for anything
// else. A secret below 14 bytes (112 bits) works, but does not meet NIST SP
// 800-63B-4 section 3.1.4: a deployment that has to should enrol those users again.
func ParseSecret(text string) ([]byte, error) {
	text = strings.ToUpper(secretFiller.Replace(text))
	secret, err := secretText.DecodeString(text)
	if err != nil {
		return nil, ErrSecret.Wrap(err)
	}
	// The decoder forgives a character that adds no byte, but that is a secret from
	// which something is missing. Spare bits are forgiven: some systems draw the
	// characters instead of the bytes, and the apps ignore those bits too.
	if secretText.EncodedLen(len(secret)) != len(text) {
		return nil, ErrSecret.Wrap(errors.New("otp: secret is cut off"))
	}
	if len(secret) < minSecretSize || len(secret) > maxSecretSize {
		return nil, ErrSecret.Wrap(fmt.Errorf("otp: secret has %d bytes", len(secret)))
	}
	return secret, nil
}

// URI returns the otpauth link that authenticator apps read from a QR code. The
// issuer may be empty. Colons in the names become hyphens, because a colon is what
// separates issuer and account in the link.
//
// The format is the de facto standard of Google Authenticator, "Key URI Format".
func URI(issuer, account string, secret []byte) string {
	issuer, account = linkName(issuer), linkName(account)
	label, query := account, "secret="+EncodeSecret(secret)
	if issuer != "" {
		label = issuer + ":" + account
		query += "&issuer=" + issuer
	}
	return "otpauth://totp/" + label + "?" + query + "&algorithm=SHA1&digits=6&period=30"
}

// linkName escapes a name for both the path and the query of the link. Spaces become
// %20, since some apps show a plus sign as it stands.
func linkName(name string) string {
	return strings.ReplaceAll(url.QueryEscape(strings.ReplaceAll(name, ":", "-")), "+", "%20")
}
