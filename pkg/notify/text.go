package notify

import (
	"errors"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/stepup-auth/stepup/pkg/weblink"
)

var (
	e164Form   = form(`^\+[1-9][0-9]{6,14}$`) // ITU-T E.164: 15 digits at the most
	codeForm   = form(`^[0-9A-Za-z]{4,32}$`)
	domainForm = form(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

// form is a pattern that the first message compiles: many a process sends none.
func form(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// maxDomain is the length of the longest host name in letters and dots (RFC 1035, 2.3.4).
const maxDomain = 253

// maxAddress is the length of the longest usable mail address (RFC 5321, 4.5.3.1.3,
// less the angle brackets).
const maxAddress = 254

// validate returns the fault of a message that must not be rendered.
func (m Message) validate() error {
	switch m.Kind.Channel() {
	case SMS:
		if !e164Form().MatchString(m.To) {
			return ErrSMSNumber
		}
	case Email:
		if !bareAddress(m.To) {
			return ErrEmailAddress
		}
	default:
		return ErrMessage.Wrap(errors.New("the message has no known kind"))
	}
	if err := m.Data.validate(); err != nil {
		return ErrMessage.Wrap(err)
	}
	return nil
}

func (d Data) validate() error {
	switch {
	case !codeForm().MatchString(d.Code):
		return errors.New("the code is not 4 to 32 letters and digits")
	case d.Expiry < time.Second:
		return errors.New("the expiry is not at least a second")
	case d.Domain != "" && (len(d.Domain) > maxDomain || !domainForm().MatchString(d.Domain)):
		return errors.New("the domain is not a host name")
	case d.URL != "" && !link(d.URL):
		return errors.New("the link is not an http or https URL")
	default:
		return nil
	}
}

// bareAddress reports whether the text is one address and nothing else: no name, no
// comment, no second line that could become a header.
func bareAddress(text string) bool {
	address, err := mail.ParseAddress(text)
	return err == nil && address.Address == text && len(text) <= maxAddress && !strings.ContainsFunc(text, unicode.IsControl)
}

func link(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsFunc(text, weblink.Invisible)
}

// clean removes the characters that begin a line or turn the direction of writing, so
// that a value stays in its place.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return -1
		}
		return r
	}, s)
}

func (d Data) clean() Data {
	for _, field := range []*string{&d.UserID, &d.LoginName, &d.DisplayName, &d.PreferredLanguage, &d.SessionID} {
		*field = clean(*field)
	}
	return d
}

// oneLine joins what a template wrote into one line, as a header needs it.
func oneLine(s string) string { return clean(strings.Join(strings.Fields(s), " ")) }

// boundCode returns the last line of a text message that binds the code to the site,
// so that a browser offers it there and nowhere else (WICG, "Origin-bound one-time
// codes delivered via SMS"). Templates do not write it: it is for machines.
func boundCode(domain, code string) string { return "\n@" + domain + " #" + code }
