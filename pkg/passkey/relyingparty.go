package passkey

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
)

// localhost is the relying party id for development: browsers take it without TLS.
const localhost = "localhost"

// RelyingParties are the relying parties of a deployment by id. They do not change,
// and may be used from many goroutines at once.
type RelyingParties struct{ byID map[string]RelyingParty }

// RelyingParty is one scope of credentials and the origins that may use them.
type RelyingParty struct {
	// ID is the domain that credentials are scoped to.
	ID string
	// Origins are compared with the browser's byte for byte, all but those of
	// localhost, of which every port will do.
	Origins []string
}

// New returns the relying parties of a configuration: their ids, each with the
// origins that are allowed besides its own. An id's own origin is https://<id>, for
// localhost http://localhost with any port. Subdomains are not included, because a
// subdomain may be somebody else's.
//
// Further origins are of the form https://host or https://host:port, or those of
// native apps, such as android:apk-key-hash:…. The error names the first id or origin
// that makes no sense.
func New(config map[string][]string) (*RelyingParties, error) {
	parties := &RelyingParties{byID: make(map[string]RelyingParty, len(config))}
	for id, further := range config {
		if err := checkID(id); err != nil {
			return nil, err
		}
		party := RelyingParty{ID: id, Origins: []string{"https://" + id}}
		if id == localhost {
			party.Origins = []string{"http://" + id}
		}
		for _, origin := range further {
			if err := checkOrigin(origin); err != nil {
				return nil, fmt.Errorf("passkey: relying party %s: %w", id, err)
			}
			if !slices.Contains(party.Origins, origin) {
				party.Origins = append(party.Origins, origin)
			}
		}
		parties.byID[id] = party
	}
	return parties, nil
}

// Find returns the relying party with the id, or ErrRelyingParty.
func (r *RelyingParties) Find(id string) (RelyingParty, error) {
	party, known := r.byID[id]
	if !known {
		return RelyingParty{}, ErrRelyingParty.Wrap(fmt.Errorf("passkey: relying party id %.200q is not configured", id))
	}
	return party, nil
}

// WellKnown returns the JSON document that belongs at https://<id>/.well-known/webauthn
// when other sites may use the credentials too (WebAuthn section 5.11). A browser
// looks at no more than a few registrable domains in it, and at least five.
func (p RelyingParty) WellKnown() []byte {
	document := struct {
		Origins []string `json:"origins"`
	}{Origins: []string{}}
	for _, origin := range p.Origins {
		if strings.HasPrefix(origin, "https://") {
			document.Origins = append(document.Origins, origin)
		}
	}
	return encode(document)
}

// admits reports whether the origin, as the browser wrote it, may use the credentials.
func (p RelyingParty) admits(origin string) bool {
	return slices.Contains(p.Origins, origin) || p.ID == localhost && localOrigin.MatchString(origin)
}

var localOrigin = regexp.MustCompile(`^http://localhost(:[1-9][0-9]{0,4})?$`)

// domain is a host name of at least two labels, in lower case and Punycode. How long they may
// be is not in the pattern, which would have a state for each letter.
var domain = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

const maxDomain, maxLabel = 253, 63 // RFC 1035, 2.3.4

// checkID takes what a browser would take (WebAuthn section 5.1.2): a domain, and
// neither a URL nor an address.
func checkID(id string) error {
	if id == localhost {
		return nil
	}
	_, err := netip.ParseAddr(id)
	long := len(id) > maxDomain || slices.ContainsFunc(strings.Split(id, "."), func(label string) bool { return len(label) > maxLabel })
	if address := err == nil; address || long || !domain.MatchString(id) {
		return fmt.Errorf("passkey: relying party id %q is not a domain name in lower case", id)
	}
	return nil
}

// checkOrigin takes what a browser or an app could send. An origin in any other
// spelling would never match, and silently.
func checkOrigin(origin string) error {
	if localOrigin.MatchString(origin) {
		return nil
	}
	if protocol.IsKnownOpaqueOrigin(origin) && origin != protocol.OpaqueOriginPrefixFile {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Port() == "443" ||
		"https://"+u.Host != origin || strings.ToLower(origin) != origin || strings.ContainsAny(u.Host, "*, ") {
		return fmt.Errorf("origin %q is neither https://host[:port] in lower case nor that of an app", origin)
	}
	return nil
}

// encode marshals a value of this package, which has nothing that JSON lacks.
func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("passkey: encode %T: %v", value, err))
	}
	return text
}
