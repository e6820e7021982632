package sending

import (
	"errors"
	"net/netip"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/phone"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Caps are how many messages one of each kind may be the reason of in a day (UTC), over
// one channel. 0 is no cap, and then nothing is counted.
type Caps struct {
	// User is for all addresses of a user together.
	User int
	// Organization is for all users of an organization, so that none can use up what
	// the deployment may send for the others (row L6).
	Organization int
	// Country is for all numbers with one calling code, and so for text messages only.
	Country int
	// Network is for the /24 (IPv4) or /64 (IPv6) of the end user, as the one who created
	// the session told it. No header is ever asked (row L5). What has no session counts
	// for no network.
	Network int
}

func (c Caps) valid() bool {
	return min(c.User, c.Organization, c.Country, c.Network) >= 0
}

// Scope is what a count is about.
type Scope string

// The scopes.
const (
	Deployment   Scope = ""
	PerUser      Scope = "user"
	Organization Scope = "organization"
	Country      Scope = "country"
	Network      Scope = "network"
)

// Count is one message in the count of a day, which so many may share that it is counted
// without being read.
type Count struct {
	Channel Channel
	Scope   Scope
	// Of is whose count it is within the scope; empty for the deployment.
	Of  string
	Day time.Time
	// Limit is the number of messages that the count may reach.
	Limit int
	// Price is added to what the day cost, which may reach Spend; a Spend of 0 is
	// no limit, and then no price is kept.
	Price, Spend price.Micros
}

// counts lists what a message counts for, the deployment first.
func (p Policy) counts(m Message, now time.Time) []Count {
	today := now.UTC().Truncate(day)
	all := []Count{{Channel: m.Channel, Day: today, Limit: p.Budget}}
	if p.Spend > 0 {
		all[0].Price, all[0].Spend = p.Prices.Of(m.To), p.Spend
	}
	add := func(s Scope, of string, limit int) {
		if limit > 0 && of != "" {
			all = append(all, Count{Channel: m.Channel, Scope: s, Of: of, Day: today, Limit: limit})
		}
	}
	add(PerUser, m.UserID, p.Caps.User)
	add(Organization, m.Organization, p.Caps.Organization)
	if m.Channel == SMS {
		add(Country, phone.CallingCode(m.To), p.Caps.Country)
	}
	add(Network, network(m.ClientIP), p.Caps.Network)
	return all
}

// network is the part of an address that one end user, or one office, has; empty for
// the zero address.
func network(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}

// Full is the fault of a count that has reached its limit.
func (s Scope) Full() *fault.Fault {
	switch s {
	case PerUser:
		return ErrUser
	case Organization:
		return ErrOrganization
	case Country:
		return ErrCountry
	case Network:
		return ErrNetwork
	default:
		return ErrBudget
	}
}

// UntilTomorrow adds to the fault of a full count how long it stays full. Other errors
// come back as they are.
func UntilTomorrow(err error, now time.Time) error {
	for _, s := range []Scope{Deployment, PerUser, Organization, Country, Network} {
		if full := s.Full(); errors.Is(err, full) {
			return full.WithRetryAfter(now.UTC().Truncate(day).Add(day).Sub(now)).Wrap(err)
		}
	}
	return err
}
