// Package notify owns the messages that carry codes to people: which kinds there are,
// what they say in each language, and the port through which they leave. It knows
// nothing of sessions and users; who may be sent what, and how often, is decided
// before a message gets here.
//
// Adapters of the port are in the packages below: sns for text messages, ses for
// mail, inbox for a laptop and for tests.
package notify

import (
	"context"
	"log/slog"
	"time"
)

// Kind says what a message is about. The set is closed: each kind has templates in
// every language.
type Kind string

// The kinds.
const (
	OTPSMS      Kind = "otp-sms"
	OTPEmail    Kind = "otp-email"
	VerifyEmail Kind = "verify-email"
	VerifyPhone Kind = "verify-phone"
	// RegisterPasskey is a link and not a code: without the link the code is good for
	// nothing.
	RegisterPasskey Kind = "register-passkey"
)

// Kinds returns every kind, for code and tests that must cover them all.
func Kinds() []Kind { return []Kind{OTPSMS, OTPEmail, VerifyEmail, VerifyPhone, RegisterPasskey} }

// Channel is the way that a message takes.
type Channel string

// The channels.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
)

// Channel returns the way of all messages of the kind; empty where there is no such
// kind.
func (k Kind) Channel() Channel {
	switch k {
	case OTPSMS, VerifyPhone:
		return SMS
	case OTPEmail, VerifyEmail, RegisterPasskey:
		return Email
	default:
		return ""
	}
}

// Message is what is to be said to whom.
type Message struct {
	// ID is the same for a message that is sent again because nobody knows whether it
	// left; empty where that never happens.
	ID   string
	Kind Kind
	// To is a number in E.164 form or a bare mail address, as the kind's channel asks.
	To string
	// Language is the BCP 47 tag of the reader's language; empty is English.
	Language string
	Data     Data
}

// Data is what a template may mention. Control characters are removed from all of it.
type Data struct {
	// Code is letters and digits. Required.
	Code string
	// URL is a finished http or https link that a mail offers beside the code; empty
	// for none.
	URL string
	// Domain is the host name of the site that will ask for the code, such as
	// "login.example.com"; empty leaves the site unnamed and a text message without
	// the line that browsers fill in.
	Domain string
	// UserID, LoginName, DisplayName, PreferredLanguage and SessionID are for
	// templates of the operator. The built-in ones use none of them: a name that its
	// owner chose is a way to make somebody else's mail say something.
	UserID            string
	LoginName         string
	DisplayName       string
	PreferredLanguage string
	SessionID         string
	// Expiry is how long the code is good for, from now. Required; fractions of a
	// second are dropped.
	Expiry time.Duration
}

// Rendered is a message as it leaves. Kind and Code are for senders that show
// messages instead of carrying them.
type Rendered struct {
	ID      string
	Kind    Kind
	Channel Channel
	To      string
	Code    string
	// Subject is one line, without a secret; empty for text messages.
	Subject string
	Text    string
	// HTML says the same as Text; empty for text messages.
	HTML string
}

// LogValue lets a message be logged without what it says or to whom.
func (m Message) LogValue() slog.Value { return logValue(m.Kind, m.To) }

// LogValue lets a message be logged without what it says or to whom.
func (m Rendered) LogValue() slog.Value { return logValue(m.Kind, m.To) }

// String is as discreet as LogValue, for the formatting verbs.
func (m Message) String() string { return string(m.Kind) + " to " + mask(m.Kind, m.To) }

// String is as discreet as LogValue, for the formatting verbs.
func (m Rendered) String() string { return string(m.Kind) + " to " + mask(m.Kind, m.To) }

func logValue(k Kind, to string) slog.Value {
	return slog.GroupValue(slog.String("kind", string(k)), slog.String("to", mask(k, to)))
}

func mask(k Kind, to string) string {
	if k.Channel() == SMS {
		return MaskPhone(to)
	}
	return MaskEmail(to)
}

// Receipt is the provider's word that it took a message. It does not say that the
// message arrived.
type Receipt struct {
	// Provider is the short name of the sender, such as "sns".
	Provider string
	// MessageID is the provider's name for the message.
	MessageID string
}

// Sender hands one message to a provider, at most once. Its errors are faults: one of
// kind DeadlineExceeded means that nobody can tell whether the message left, and
// whoever counts messages should count it; after any other the message surely did
// not leave.
type Sender interface {
	Send(ctx context.Context, m Rendered) (Receipt, error)
}

// Router sends by channel. A channel without a sender is unavailable.
type Router struct {
	SMS   Sender
	Email Sender
}

// Send implements Sender.
func (r Router) Send(ctx context.Context, m Rendered) (Receipt, error) {
	switch {
	case m.Channel == SMS && r.SMS != nil:
		return r.SMS.Send(ctx, m)
	case m.Channel == Email && r.Email != nil:
		return r.Email.Send(ctx, m)
	case m.Channel == SMS:
		return Receipt{}, ErrSMSUnavailable.Wrap(errNoSender)
	case m.Channel == Email:
		return Receipt{}, ErrEmailUnavailable.Wrap(errNoSender)
	default:
		return Receipt{}, errUnknownChannel
	}
}

// Carries reports whether there is a sender for the channel.
func (r Router) Carries(c Channel) bool {
	return c == SMS && r.SMS != nil || c == Email && r.Email != nil
}

// Notifier renders messages and sends them.
type Notifier struct {
	Renderer *Renderer
	Sender   Sender
}

// Notify renders the message and sends it. Its faults are those of Renderer.Render
// and of the Sender.
func (n Notifier) Notify(ctx context.Context, m Message) (Receipt, error) {
	rendered, err := n.Renderer.Render(m)
	if err != nil {
		return Receipt{}, err
	}
	return n.Sender.Send(ctx, rendered)
}
