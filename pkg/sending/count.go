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
	// User is for all addresses of a user together, and UserHour the same in an hour.
	User, UserHour int
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
	return min(c.User, c.UserHour, c.Organization, c.Country, c.Network) >= 0
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

// Count is one message in the count of a day or an hour, which so many may share that it
// is counted without being read.
type Count struct {
	Channel Channel
	Scope   Scope
	// Of is whose count it is within the scope; empty for the deployment.
	Of string
	// Start is when the day or hour (UTC) began, and Length which of them it is.
	Start  time.Time
	Length time.Duration
	// Limit is the number of messages that the count may reach.
	Limit int
	// Price is added to what the day cost, which may reach Spend; a Spend of 0 is
	// no limit, and then no price is kept.
	Price, Spend price.Micros
}

// Counts lists what a message counts for, the deployment first. The hour is the last, so
// that of two counts that are full the one is named that stays full for longer.
func (p Policy) Counts(m Message, now time.Time) []Count {
	p = p.WithDefaults()
	all := []Count{{Channel: m.Channel, Start: now.UTC().Truncate(day), Length: day, Limit: p.Budget}}
	if p.Spend > 0 {
		all[0].Price, all[0].Spend = p.Prices.Of(m.To), p.Spend
	}
	add := func(s Scope, of string, limit int, length time.Duration) {
		if limit > 0 && of != "" {
			all = append(all, Count{m.Channel, s, of, now.UTC().Truncate(length), length, limit, 0, 0})
		}
	}
	add(PerUser, m.UserID, p.Caps.User, day)
	add(Organization, m.Organization, p.Caps.Organization, day)
	if m.Channel == SMS {
		add(Country, phone.CallingCode(m.To), p.Caps.Country, day)
	}
	add(Network, network(m.ClientIP), p.Caps.Network, day)
	add(PerUser, m.UserID, p.Caps.UserHour, time.Hour)
	return all
}

// Tally is what a count has come to.
type Tally struct {
	Messages int
	Spent    price.Micros
}

// Fits reports whether there is room for the message when the count has come to that.
func (c Count) Fits(t Tally) bool {
	return t.Messages < c.Limit && (c.Spend == 0 || t.Spent+c.Price <= c.Spend)
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

// full is the fault of a count that has reached its limit.
func (s Scope) full() *fault.Fault {
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

// fullError says until when a count is full.
type fullError struct {
	error

	until time.Time
}

func (e *fullError) Unwrap() error { return e.error }

// Full is the fault of a count that has reached its limit, as the cause has it. A store
// returns it, and WithWait adds how long to wait.
func (c Count) Full(cause error) *fault.Fault {
	return c.Scope.full().Wrap(&fullError{cause, c.Start.Add(c.Length)})
}

// WithWait adds to the fault of a full count how long it stays full. Other errors come
// back as they are.
func WithWait(err error, now time.Time) error {
	if full, ok := errors.AsType[*fullError](err); ok {
		return fault.From(err).WithRetryAfter(full.until.Sub(now))
	}
	return err
}
