package notify

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

const masked = "***"

// MaskPhone returns as much of a number in E.164 form as its owner needs to recognize
// it: "+41446681800" becomes "+41***00". The length is not shown, and what is too
// short to hide anything in is hidden altogether.
func MaskPhone(e164 string) string {
	const shown = 3
	if len(e164) < 8 || !strings.HasPrefix(e164, "+") || strings.Trim(e164[1:], "0123456789") != "" {
		return masked
	}
	return e164[:shown] + masked + e164[len(e164)-2:]
}

// MaskEmail returns as much of a mail address as its owner needs to recognize it:
// "mini@mouse.example.com" becomes "m***@m***.com". The domain is masked too, because
// a domain often belongs to one person.
func MaskEmail(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 || !utf8.ValidString(address) || strings.ContainsAny(address, "\r\n") {
		return masked
	}
	local, domain := address[:at], address[at+1:]
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 {
		return first(local) + masked + "@" + masked
	}
	return first(local) + masked + "@" + first(domain) + masked + domain[dot:]
}

func first(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// Providers repeat in their errors what they were given, in more than one spelling.
var (
	anyEmail  = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)
	anyNumber = regexp.MustCompile(`\+?\d{7,}`)
)

// Redact masks whatever looks like a mail address or a telephone number in a text that
// is going to a log, such as a provider's error. It masks too much rather than too
// little: account numbers go as well.
func Redact(text string) string {
	text = anyEmail.ReplaceAllString(text, masked+"@"+masked)
	return anyNumber.ReplaceAllString(text, masked)
}
