// Package phone owns what a telephone number is: how its text becomes the one
// spelling that is stored, compared and sent to, and which numbers a deployment is
// willing to pay messages to.
package phone

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// ErrInvalid is the fault of a text that is no telephone number.
var ErrInvalid = fault.New(fault.InvalidArgument, "STEPUP-phone",
	"The phone number is invalid; write it in international form, such as +12025550123")

const (
	// maxText bounds what is looked at: 15 digits with punctuation between them.
	maxText = 40
	// punctuation is how people group digits. Letters and extensions are not on the
	// list, because a message cannot be sent to them.
	punctuation = " ()-./"
	digits      = "0123456789"
)

// Parse reads a number in international form: a plus sign, the country's calling
// code, and the rest, with spaces and common punctuation. It returns the number as
// ITU-T E.164 writes it ("+41446681800") and its country (ISO 3166-1 alpha-2). A
// number that the country's numbering plan does not have is ErrInvalid, and so is one
// that belongs to no country, such as those in +800.
func Parse(text string) (e164, country string, err error) {
	text = strings.TrimSpace(text)
	if !plain(text) {
		return "", "", ErrInvalid
	}
	code, national, sharing := plansOf(onlyDigits(text))
	if len(sharing) == 0 || len(national) < minNational {
		return "", "", ErrInvalid
	}
	national = sharing[0].withoutTrunk(national)
	if len(national) < minNational || len(national) > maxNational {
		return "", "", ErrInvalid
	}
	owner, ok := ownerOf(national, sharing)
	if !ok || !owner.has(national) {
		return "", "", ErrInvalid
	}
	return "+" + code + national, owner.country, nil
}

// CallingCode returns the beginning of a number in E.164 form that is its country's
// calling code, "+41"; empty for a text that has none. Countries may share a code.
func CallingCode(e164 string) string {
	digits, international := strings.CutPrefix(e164, "+")
	if !international {
		return ""
	}
	code, _, sharing := plansOf(digits)
	if len(sharing) == 0 {
		return ""
	}
	return "+" + code
}

// onlyDigits returns the text without everything else.
func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(digits, r) {
			return r
		}
		return -1
	}, text)
}

// plain reports whether the text is a plus sign and digits with punctuation.
func plain(text string) bool {
	rest, international := strings.CutPrefix(text, "+")
	return international && len(text) <= maxText && only(rest, digits+punctuation)
}

// only reports whether every character of the text is one of those.
func only(text, those string) bool {
	return strings.Trim(text, those) == ""
}

// Allowed reports whether the number begins with one of the prefixes, such as "+41"
// or "+4179". Without prefixes every number is allowed.
func Allowed(e164 string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(e164, prefix) {
			return true
		}
	}
	return len(prefixes) == 0
}

// CheckPrefixes returns what is wrong with a list for Allowed: a prefix is a plus
// sign and one to fifteen digits. An entry without the sign would match nothing.
func CheckPrefixes(prefixes []string) error {
	var problems []error
	for _, prefix := range prefixes {
		number, signed := strings.CutPrefix(prefix, "+")
		if !signed || number == "" || len(number) > 15 || !only(number, digits) {
			problems = append(problems, fmt.Errorf("phone prefix %q is not a plus sign and digits, such as +41", prefix))
		}
	}
	return errors.Join(problems...)
}
