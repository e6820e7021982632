package sending

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/phone"
)

// Conversion stops the messages to a region whose codes are asked for and not used, as
// when somebody is paid for every message that arrives there. The zero value stops none.
//
// Each message adds one to the count of its region, and each code that is used takes
// PerCode off, as long as the count is above zero: a code pays for messages that have
// left and never for those to come, but for less than its own worth. Messages are
// refused while the count is at the limit. It begins anew with each window.
type Conversion struct {
	// Limit is how many messages more than those paid for may leave in a window; 0 is any
	// number, and then nothing is counted.
	Limit int
	// PerCode is how many messages a used code pays for; 0 means 10. A region is stopped
	// sooner or later when fewer than one in so many of its codes are used.
	PerCode int
	// Window is how long the count runs, in whole windows of UTC; 0 means one hour.
	Window time.Duration
}

const (
	defaultPerCode = 10
	defaultWindow  = time.Hour

	// minWindow is twice as long as a code can be used, so that most are used in the window
	// in which they were sent.
	minWindow = 10 * time.Minute
)

func (c Conversion) withDefaults() Conversion {
	c.PerCode = cmp.Or(c.PerCode, defaultPerCode)
	c.Window = cmp.Or(c.Window, defaultWindow)
	return c
}

// Validate returns an error that says what makes no sense.
func (c Conversion) Validate() error {
	switch c = c.withDefaults(); {
	case c.Limit < 0, c.PerCode < 1:
		return errors.New("a number of messages is too low")
	case c.Window < minWindow, c.Window > day:
		return fmt.Errorf("window %v is not between %v and %v", c.Window, minWindow, day)
	}
	return nil
}

// ErrConversion is the fault of a message to a region that is stopped.
var ErrConversion = fault.New(fault.ResourceExhausted, "STEPUP-send-conversion",
	"Too many messages to this region were asked for without being used")

// Region is where the messages of one organization go over one channel. One that is
// stopped stops no other: neither another country nor another organization (row L6).
type Region struct {
	Channel      Channel
	Organization string
	// CallingCode is the beginning of the numbers, such as "+41".
	CallingCode string
}

// Unused is the count of a region in one window. The zero value counts nothing.
type Unused struct {
	Region

	Start, End time.Time
	// Limit is the number that the count may reach.
	Limit int
	// PerCode is what a used code takes off.
	PerCode int

	// left is what is left of the window.
	left time.Duration
}

// None reports whether there is nothing to count.
func (u Unused) None() bool { return u.Limit == 0 }

// Stopped is the fault of a count that is at its limit, with the longest time that it can
// stay there.
func (u Unused) Stopped() *fault.Fault {
	return ErrConversion.WithRetryAfter(u.left).Wrap(fmt.Errorf("messages to %s are stopped", u.CallingCode))
}

// Standing is a stored count.
type Standing struct {
	// Messages are those that left and were not paid for; less than zero when the last
	// code was worth more than was left to pay for.
	Messages int
	// Limit is the one that the last message was counted under.
	Limit int
	// End is when the count begins anew.
	End time.Time
}

// Stopped reports whether messages are refused.
func (s Standing) Stopped() bool { return s.Messages >= s.Limit }

// Watched returns the calling code under which a message to the address is counted until
// its code is used; empty when none is: for an address that is no number, for one with a
// fixed code, and where Conversion stops nothing.
func (p Policy) Watched(address string) string {
	if _, fixed := p.Fixed.Code(address); fixed || p.Conversion.Limit == 0 {
		return ""
	}
	return phone.CallingCode(address)
}

// Unused returns the count of the region that runs now.
func (p Policy) Unused(r Region, now time.Time) Unused {
	if r.CallingCode == "" || p.Conversion.Limit == 0 {
		return Unused{}
	}
	c := p.Conversion.withDefaults()
	start := now.UTC().Truncate(c.Window)
	end := start.Add(c.Window)
	return Unused{Region: r, Start: start, End: end, Limit: c.Limit, PerCode: c.PerCode, left: end.Sub(now)}
}

// UnusedFor is the count that a message belongs to.
func (p Policy) UnusedFor(m Message, now time.Time) Unused {
	return p.Unused(Region{m.Channel, m.Organization, p.Watched(m.To)}, now)
}
