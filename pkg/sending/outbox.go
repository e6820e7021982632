package sending

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Purpose is what a message is for. It also separates the codes of one purpose from
// those of all others.
type Purpose string

// The purposes.
const (
	OTPSMS          Purpose = "otp-sms"
	OTPEmail        Purpose = "otp-email"
	VerifyEmail     Purpose = "verify-email"
	VerifyPhone     Purpose = "verify-phone"
	RegisterPasskey Purpose = "register-passkey"
)

// Message is a code on its way to a person.
type Message struct {
	// ID tells a message that is sent again, because nobody knows whether it left, from
	// another one. A sender that can tells the provider.
	ID      string
	Purpose Purpose
	Channel Channel
	// To is a mail address, or a number in E.164 form.
	To   string
	Code string
	// CodeID is what has to be shown beside the code, where one is needed.
	CodeID string
	Expiry time.Duration
	// URLTemplate is the link that a mail leads to; empty has none.
	URLTemplate  string
	SessionID    string
	UserID       string
	Organization string
	LoginName    string
	DisplayName  string
	Language     string
	// ClientIP is where the end user is, as whoever created the session told it. It is
	// counted, never sent.
	ClientIP netip.Addr
}

// String tells what the message is for without the code or whom it goes to.
func (m Message) String() string { return fmt.Sprintf("message %s by %s", m.Purpose, m.Channel) }

// Format makes every verb of package fmt print String.
func (m Message) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, m.String()) }

// LogValue keeps code and address out of log/slog, whatever its handler does with structs.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalText is for what does not ask for LogValue: a message in a list or in JSON.
func (m Message) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// Messenger delivers messages. Package notify has what one is made of.
type Messenger interface {
	// Accepts returns a fault of kind InvalidArgument for a link template that cannot
	// be rendered in a message for the purpose.
	Accepts(p Purpose, urlTemplate string) error
	// Carries reports whether the deployment has a way to send over the channel.
	Carries(c Channel) bool
	// Deliver hands the message to a provider and returns once it was taken. It
	// returns faults of kinds FailedPrecondition, Unavailable or DeadlineExceeded
	// when it was not.
	Deliver(ctx context.Context, m Message) error
}

// Subject names what a usage is counted for.
type Subject struct {
	Channel Channel
	Address string
}

// Subject is what the message counts for at its address.
func (m Message) Subject() Subject { return Subject{m.Channel, m.To} }

// Send is one message as a store counts it, in the write that decides on it.
type Send struct {
	Subject

	// Old is what the decision assumed, and New is to be stored in its place.
	Old, New Usage
	// Counts are those of the day and the hour that the message is added to, if none is full.
	Counts []Count
	// Unused is the count that the message is added to until its code is used, unless it
	// is at its limit.
	Unused Unused
	// Refund gives the counts back what an earlier write took.
	Refund bool
}

// refund undoes a send that did not happen.
func (s Send) refund() Send {
	return Send{Subject: s.Subject, Counts: s.Counts, Unused: s.Unused, Old: s.New, New: s.New.Release(s.Old), Refund: true}
}

// Outbox is what one decision sends: nothing leaves it before the decision is
// committed. The zero value is empty.
type Outbox struct {
	// Sends are counted by the commit, in the order of the messages.
	Sends []Send
	// Prices are what the messages are reckoned to cost, by channel, where that is told.
	Prices   map[Channel]price.Micros
	messages []Message
}

// Add counts a message under the policy of its channel and keeps it. The usage is what
// had been sent to its address. It returns ErrPrefix, ErrCooldown or ErrAddress when
// the message may not leave. One to an address with a fixed code is let go: whoever
// reads it knows it.
func (o *Outbox) Add(m Message, p Policy, used Usage, now time.Time) *fault.Fault {
	if _, fixed := p.Fixed.Code(m.To); fixed {
		return nil
	}
	p = p.WithDefaults()
	if err := p.Reaches(m.To); err != nil {
		return fault.From(err)
	}
	after, denied := used.Take(p, now)
	if denied != nil {
		return denied
	}
	o.Sends = append(o.Sends, Send{
		Subject: m.Subject(), Old: used, New: after, Counts: p.Counts(m, now), Unused: p.UnusedFor(m, now),
	})
	o.messages = append(o.messages, m)
	if p.Quoted {
		o.quote(m.Channel, p.Prices.Of(m.To))
	}
	return nil
}

// Due is a message that a committed decision owes, as far as the state that the decision
// left does not say it already: the code and the address are derived again.
type Due struct {
	Purpose     Purpose
	URLTemplate string
}

func (o *Outbox) quote(c Channel, p price.Micros) {
	if o.Prices == nil {
		o.Prices = make(map[Channel]price.Micros)
	}
	o.Prices[c] += p
}

// Fits reports whether all counts have room for the messages, when each has come to that,
// and no message goes to a region that is stopped.
func (o *Outbox) Fits(counted map[Count]Tally, unused map[Unused]Standing) bool {
	for _, s := range o.Sends {
		if !s.Unused.None() && unused[s.Unused].Messages >= s.Unused.Limit {
			return false
		}
		for _, c := range s.Counts {
			if !c.Fits(counted[c]) {
				return false
			}
		}
	}
	return true
}

// Due lists what the commit leaves to be delivered.
func (o *Outbox) Due() []Due {
	var all []Due
	for _, m := range o.messages {
		all = append(all, Due{m.Purpose, m.URLTemplate})
	}
	return all
}

// Subjects lists what was counted, so that a lost race can load it.
func (o *Outbox) Subjects() []Subject {
	var all []Subject
	for _, s := range o.Sends {
		all = append(all, s.Subject)
	}
	return all
}

// Deliver sends the messages of a committed decision, and stops at the first that the
// provider refuses. Then it also returns what releases the sends that did not happen:
// that of the refused message only if it surely did not leave, and those of all after
// it.
func (o *Outbox) Deliver(ctx context.Context, by Messenger) (refunds []Send, err error) {
	for i, m := range o.messages {
		err := by.Deliver(ctx, m)
		if err == nil {
			continue
		}
		unsent := o.Sends[i:]
		if fault.From(err).Kind == fault.DeadlineExceeded {
			unsent = o.Sends[i+1:]
		}
		for _, s := range unsent {
			refunds = append(refunds, s.refund())
		}
		return refunds, err
	}
	return nil, nil
}
