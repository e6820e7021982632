// Package weblink owns the question where the service may send people: to which web
// addresses links in mails and redirects of browsers may lead.
package weblink

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSize bounds an address in bytes.
const MaxSize = 4096

// Hosts are the hosts that addresses may name, each a name or a name with a port. An
// empty list allows every host.
type Hosts []string

// Parse returns the address, or why nobody must be sent there. It has to be absolute and
// by https; the machine itself (localhost, 127.0.0.1, [::1]) may be reached by http too.
// The error does not repeat the address, which may hold a code.
func (h Hosts) Parse(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("the link is not a URL")
	case len(text) > MaxSize:
		return nil, errors.New("the link is too long")
	case u.User != nil:
		return nil, errors.New("the link names a user before its host")
	case u.Hostname() == "" || strings.ContainsFunc(text, Invisible):
		return nil, errors.New("the link has no host, or characters that cannot be seen")
	case !Private(u) || !h.hold(u):
		return nil, errors.New("the link goes to a host that is not allowed")
	default:
		return u, nil
	}
}

func (h Hosts) hold(u *url.URL) bool {
	return len(h) == 0 || slices.ContainsFunc(h, func(host string) bool {
		return strings.EqualFold(host, u.Host) || strings.EqualFold(host, u.Hostname())
	})
}

// Private reports whether nobody on the way sees what is sent to the address: it is by
// https, or by http and does not leave the machine.
func Private(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && local(u)
}

func local(u *url.URL) bool {
	return slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// Invisible reports whether a character can hide or reorder what a reader sees, or is
// none.
func Invisible(r rune) bool { return r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) }
