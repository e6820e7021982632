package config

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/weblink"
)

// setRelyingParties reads ids, separated by semicolons, each with the origins that are
// allowed besides its own: "example.com=https://login.example.com https://example.org".
func setRelyingParties(c *Config, s string) (err error) {
	parties := make(map[string][]string)
	for entry := range strings.SplitSeq(s, ";") {
		id, origins, _ := strings.Cut(entry, "=")
		if id = strings.TrimSpace(id); id != "" {
			parties[id] = append(parties[id], strings.Fields(origins)...)
		}
	}
	if len(parties) == 0 {
		return errEmpty
	}
	if c.RelyingParties, err = passkey.New(parties); err != nil {
		return errRelyingParties
	}
	return nil
}

// setURL takes what a browser can be sent back to: https, or http to the machine itself.
func setURL(c *Config, s string) error {
	if s == "" {
		return nil
	}
	u, err := weblink.Hosts{}.Parse(s)
	if err != nil || u.RawQuery != "" || u.Fragment != "" {
		return errURL
	}
	c.URL = strings.TrimRight(s, "/")
	return nil
}

// setOrigins takes origins in the spelling of browsers (RFC 6454, section 6.2), with
// which they are compared: any other would never match, and silently.
func setOrigins(c *Config, s string) error {
	c.Origins = list(s)
	if !slices.ContainsFunc(c.Origins, notOrigin) {
		return nil
	}
	return errOrigins
}

func notOrigin(s string) bool {
	scheme, host, _ := strings.Cut(s, "://")
	defaultPort := scheme == "https" && strings.HasSuffix(host, ":443") || scheme == "http" && strings.HasSuffix(host, ":80")
	return scheme == "" || strings.ToLower(scheme) != scheme || defaultPort || notHost(host)
}

// setSite takes a host name without a port, as messages write it after an @.
func setSite(c *Config, s string) error {
	if s != "" && (notHost(s) || strings.Contains(s, ":")) {
		return errSite
	}
	c.Site = s
	return nil
}

// setLinkHosts takes what weblink.Hosts compares: names, with a port or without.
func setLinkHosts(c *Config, s string) error {
	c.LinkHosts = list(s)
	if !slices.ContainsFunc(c.LinkHosts, notHost) {
		return nil
	}
	return errLinkHosts
}

// notHost reports whether the text is no host in lower case with or without a port.
func notHost(s string) bool {
	u, err := url.Parse("https://" + s)
	return err != nil || u.Host != s || u.Hostname() == "" || strings.HasSuffix(s, ":") ||
		strings.ToLower(s) != s || strings.ContainsAny(s, "*,_ ")
}

var (
	errRelyingParties = errors.New("is not a list of domains and origins, such as example.com=https://login.example.com;example.org")
	errURL            = errors.New("is not an https URL without query and fragment, such as https://api.example.com")
	errOrigins        = errors.New("is not a list of origins in lower case without a path, such as https://app.example.com,http://localhost:3000")
	errSite           = errors.New("is not a host name in lower case, such as login.example.com")
	errLinkHosts      = errors.New("is not a list of hosts in lower case, such as login.example.com,localhost:3000")
)
