package assurance

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"time"
)

// Delivery is what an option sends, in the order of what that costs.
type Delivery uint8

// The deliveries.
const (
	NothingSent Delivery = iota
	EmailSent
	SMSSent
)

// Option is one proof that somebody could give now.
type Option struct {
	Factor Factor
	// UserVerified and DeviceBound are what a key would bring; see Evidence.
	UserVerified, DeviceBound bool
	Sends                     Delivery
}

// Reason says why a step is one.
type Reason string

// The reasons.
const (
	NotVerified Reason = "not verified yet"
	TooOld      Reason = "verified too long ago"
	TooWeak     Reason = "verified with a weaker key"
	NoUser      Reason = "no user is checked yet"
)

// Step is the next proof on a way to a requirement.
type Step struct {
	Option

	Why Reason
	// Then are the factors that the way needs after this one.
	Then []Factor
}

// Steps returns the next steps that lead from the evidence to the requirement with
// nothing that could be left out, the cheapest way first: what sends nothing, then mail,
// then SMS, and of those the shortest. It is empty when no options are enough.
func (r Requirement) Steps(e Evidence, options []Option, now time.Time) []Step {
	options = slices.SortedFunc(slices.Values(options), func(a, b Option) int { return cmp.Compare(a.rank(), b.rank()) })
	ways := r.ways(e, options, now)
	slices.SortStableFunc(ways, func(a, b []Option) int {
		return cmp.Or(cmp.Compare(sent(a, SMSSent), sent(b, SMSSent)), cmp.Compare(sent(a, EmailSent), sent(b, EmailSent)),
			cmp.Compare(len(a), len(b)), cmp.Compare(a[0].rank(), b[0].rank()))
	})
	var steps []Step
	for _, way := range ways {
		if slices.ContainsFunc(steps, func(s Step) bool { return s.Option == way[0] }) {
			continue // a cheaper way begins with it
		}
		step := Step{Option: way[0], Why: r.why(e, way[0], now)}
		for _, o := range way[1:] {
			step.Then = append(step.Then, o.Factor)
		}
		steps = append(steps, step)
	}
	return steps
}

// Untried returns the options that the evidence lacks as steps, the cheapest first: what
// sends nothing, then mail, then SMS.
func Untried(e Evidence, options []Option) []Step {
	var steps []Step
	for _, o := range options {
		if !e.Has(o.Factor) {
			steps = append(steps, Step{Option: o, Why: NotVerified})
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int {
		return cmp.Or(cmp.Compare(a.Sends, b.Sends), cmp.Compare(a.rank(), b.rank()))
	})
	return steps
}

// ways are the smallest sets of options that meet the requirement. There are at most as
// many options as kinds of authenticators, so all their sets are looked at.
func (r Requirement) ways(e Evidence, options []Option, now time.Time) [][]Option {
	sets := make([]uint, 0, 1<<len(options))
	for set := range uint(1) << len(options) {
		sets = append(sets, set)
	}
	slices.SortStableFunc(sets, func(a, b uint) int { return cmp.Compare(bits.OnesCount(a), bits.OnesCount(b)) })
	var smallest []uint
	var ways [][]Option
	for _, set := range sets[1:] {
		way := members(options, set)
		larger := slices.ContainsFunc(smallest, func(s uint) bool { return s&set == s })
		if larger || !r.Met(e.after(way, now), now) {
			continue
		}
		smallest = append(smallest, set)
		ways = append(ways, way)
	}
	return ways
}

func members(options []Option, set uint) []Option {
	var all []Option
	for i, o := range options {
		if set>>i&1 == 1 {
			all = append(all, o)
		}
	}
	return all
}

// after is the evidence once the options were proved. A key takes the place of the one
// before.
func (e Evidence) after(way []Option, now time.Time) Evidence {
	verified := make(map[Factor]time.Time, len(e.Verified)+len(way))
	maps.Copy(verified, e.Verified)
	for _, o := range way {
		verified[o.Factor] = now
		if o.Factor == Key {
			e.UserVerified, e.DeviceBound = o.UserVerified, o.DeviceBound
		}
	}
	e.Verified = verified
	return e
}

// why compares the option with what was verified before.
func (r Requirement) why(e Evidence, o Option, now time.Time) Reason {
	switch {
	case !e.Has(o.Factor):
		return NotVerified
	case !r.fresh(e, now).Has(o.Factor):
		return TooOld
	default:
		return TooWeak
	}
}

// rank is the order in which options are proved: what can stand alone, what comes
// first, and what is added to it.
func (o Option) rank() int {
	if o.Factor == Key && o.UserVerified {
		return 0
	}
	return 1 + slices.Index([]Factor{Password, External, TOTP, Key, Recovery, Email, SMS}, o.Factor)
}

func sent(way []Option, d Delivery) int {
	n := 0
	for _, o := range way {
		if o.Sends == d {
			n++
		}
	}
	return n
}
