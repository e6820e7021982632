// Package sending owns how often messages may leave, and where to: a cooldown and caps
// per address; caps per day for a user, an organization, a country and a network, and one
// per hour for a user; a budget per day for the whole deployment, in messages and in
// money; and the regions that messages may go to. It decides on values and keeps nothing;
// a store commits what it decided together with the change that the message is about.
package sending

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/phone"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Channel is how a message travels. Limits of one never touch another (row L6).
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
)

// Policy bounds the messages of one channel. The zero value means the defaults.
type Policy struct {
	// Cooldown is the least time between two messages to one address; 0 means 60 s.
	Cooldown time.Duration
	// PerHour and PerDay cap the messages to one address; 0 means 5 and 10.
	PerHour, PerDay int
	// Budget caps the messages of a day (UTC) of the whole deployment; 0 means
	// 10000.
	Budget int
	// Spend caps what the messages of a day may cost, by Prices; 0 is no cap.
	Spend  price.Micros
	Prices price.List
	// Quoted says that the prices are the deployment's own, so that whoever has a message
	// sent is told what it is reckoned to cost.
	Quoted bool
	// Caps are further caps of a day or an hour; the zero value has none.
	Caps Caps
	// Conversion stops regions whose codes nobody uses; the zero value stops none.
	Conversion Conversion
	// Prefixes are the beginnings that a phone number must have one of, such as
	// "+41"; empty allows any.
	Prefixes []string
	// Fixed are the addresses for automatic tests. They count for none of the above,
	// because nothing is sent to them.
	Fixed FixedCodes
}

const (
	defaultCooldown = time.Minute
	defaultPerHour  = 5
	defaultPerDay   = 10
	defaultBudget   = 10_000
)

// WithDefaults fills the zero fields.
func (p Policy) WithDefaults() Policy {
	p.Cooldown = cmp.Or(p.Cooldown, defaultCooldown)
	p.PerHour = cmp.Or(p.PerHour, defaultPerHour)
	p.PerDay = cmp.Or(p.PerDay, defaultPerDay)
	p.Budget = cmp.Or(p.Budget, defaultBudget)
	return p
}

// Validate returns an error that names the field that makes no sense.
func (p Policy) Validate() error {
	switch p = p.WithDefaults(); {
	case p.Cooldown < 0:
		return fmt.Errorf("cooldown %v is negative", p.Cooldown)
	case p.PerHour < 1, p.PerDay < 1, p.Budget < 1, p.Spend < 0, !p.Caps.valid():
		return errors.New("a cap is too low")
	}
	if err := p.Conversion.Validate(); err != nil {
		return fmt.Errorf("conversion: %w", err)
	}
	return phone.CheckPrefixes(p.Prefixes)
}

// Faults of a message that may not leave.
var (
	ErrCooldown     = fault.New(fault.ResourceExhausted, "STEPUP-send-cooldown", "A message was just sent; wait before asking for another")
	ErrAddress      = fault.New(fault.ResourceExhausted, "STEPUP-send-address", "Too many messages were sent to this address")
	ErrBudget       = fault.New(fault.ResourceExhausted, "STEPUP-send-budget", "Too many messages were sent today")
	ErrUser         = fault.New(fault.ResourceExhausted, "STEPUP-send-user", "Too many messages were sent to this user")
	ErrOrganization = fault.New(fault.ResourceExhausted, "STEPUP-send-organization", "Too many messages were sent for this organization today")
	ErrCountry      = fault.New(fault.ResourceExhausted, "STEPUP-send-country", "Too many messages were sent to this region today")
	ErrNetwork      = fault.New(fault.ResourceExhausted, "STEPUP-send-network", "Too many messages were asked for from this network today")
	ErrPrefix       = fault.New(fault.FailedPrecondition, "STEPUP-send-prefix", "Messages to this region are not allowed")
)

// Limit names the limit that held a message back, in one word; empty for an error that
// says something else.
func Limit(err error) string {
	for _, l := range []struct {
		fault *fault.Fault
		name  string
	}{
		{ErrCooldown, "cooldown"},
		{ErrAddress, "address"},
		{ErrBudget, "budget"},
		{ErrUser, "user"},
		{ErrOrganization, "organization"},
		{ErrCountry, "country"},
		{ErrNetwork, "network"},
		{ErrPrefix, "prefix"},
		{ErrConversion, "conversion"},
	} {
		if errors.Is(err, l.fault) {
			return l.name
		}
	}
	return ""
}

// Reaches returns ErrPrefix for an address that messages may not go to.
func (p Policy) Reaches(address string) error {
	if !phone.Allowed(address, p.Prefixes) {
		return ErrPrefix
	}
	return nil
}

// Usage is what has been sent to one address. The zero value is an address that
// nothing was sent to. Revision counts the changes.
type Usage struct {
	Revision  uint64
	NextAt    time.Time
	Hour, Day Window
}

// Window counts within one hour or day, which are those of UTC.
type Window struct {
	Start time.Time
	Count int
}

func (w Window) at(now time.Time, length time.Duration) Window {
	if start := now.UTC().Truncate(length); !w.Start.Equal(start) {
		return Window{Start: start}
	}
	return w
}

const day = 24 * time.Hour

// Take counts one more message, or returns a fault with the time to wait.
func (u Usage) Take(p Policy, now time.Time) (Usage, *fault.Fault) {
	p = p.WithDefaults()
	u.Hour, u.Day = u.Hour.at(now, time.Hour), u.Day.at(now, day)
	switch {
	case now.Before(u.NextAt):
		return u, ErrCooldown.WithRetryAfter(u.NextAt.Sub(now))
	case u.Day.Count >= p.PerDay:
		return u, ErrAddress.WithRetryAfter(u.Day.Start.Add(day).Sub(now))
	case u.Hour.Count >= p.PerHour:
		return u, ErrAddress.WithRetryAfter(u.Hour.Start.Add(time.Hour).Sub(now))
	}
	u.Hour.Count++
	u.Day.Count++
	u.NextAt = now.Add(p.Cooldown)
	u.Revision++
	return u, nil
}

// Release takes back one message that did not leave, which before had been the usage
// until Take.
func (u Usage) Release(before Usage) Usage {
	u.NextAt = before.NextAt
	u.Hour.Count--
	u.Day.Count--
	u.Revision++
	return u
}

// Expires is when the usage says nothing any more.
func (u Usage) Expires() time.Time { return u.Day.Start.Add(day + time.Hour) }
