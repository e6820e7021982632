// Package ses owns how a mail leaves through Amazon SES (API version 2).
package ses

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/once"
)

// DefaultTimeout bounds a send of which Options says nothing.
const DefaultTimeout = 3 * time.Second

// provider is the name in receipts.
const provider = "ses"

// Client is the part of the SDK's client that is used.
type Client interface {
	SendEmail(ctx context.Context, in *sesv2.SendEmailInput, opts ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)
}

// Request is a Client of one function, the SDK's SendEmail. Where binaries are to be small
// it stands in for the SDK's client: a program in which methods are looked up by name, as
// templates do, keeps every exported method of a type that it holds in an interface.
type Request func(ctx context.Context, in *sesv2.SendEmailInput, opts ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error)

// SendEmail implements Client.
func (r Request) SendEmail(ctx context.Context, in *sesv2.SendEmailInput, opts ...func(*sesv2.Options)) (*sesv2.SendEmailOutput, error) {
	return r(ctx, in, opts...)
}

// Options are the settings of a Sender.
type Options struct {
	// From is the sender, "login@example.com" or "Example <login@example.com>", of an
	// identity that is verified in the account. Required.
	From string
	// ReplyTo is where answers go; empty for the sender.
	ReplyTo string
	// ConfigurationSet is the name of the set whose event destinations hear of bounces
	// and complaints; empty for the identity's own.
	ConfigurationSet string
	// Timeout bounds one send, repetitions included; 0 is DefaultTimeout.
	Timeout time.Duration
}

var setForm = regexp.MustCompile(`^[0-9A-Za-z_-]*$`)

// maxSet is how long the name of a configuration set may be.
const maxSet = 64

// Validate returns what is wrong with the options, by name of field.
func (o Options) Validate() error {
	var problems []error
	if _, err := mail.ParseAddress(o.From); err != nil {
		problems = append(problems, errors.New("option From is not a mail address"))
	}
	if _, err := mail.ParseAddress(o.ReplyTo); o.ReplyTo != "" && err != nil {
		problems = append(problems, errors.New("option ReplyTo is not a mail address"))
	}
	if len(o.ConfigurationSet) > maxSet || !setForm.MatchString(o.ConfigurationSet) {
		problems = append(problems, errors.New("option ConfigurationSet is not a name of letters, digits, _ and -"))
	}
	if o.Timeout < 0 {
		problems = append(problems, errors.New("option Timeout is negative"))
	}
	return errors.Join(problems...)
}

// Sender sends mail. It is safe for concurrent use.
type Sender struct {
	client Client
	opts   Options
}

// New returns a sender that sends with the client. How often a request is repeated is
// decided here whatever the client is set up to do (see package once). The client's
// connections should not be kept for long: one that the service has closed in the
// meantime looks like an answer that was lost, and is not tried again.
func New(client Client, o Options) (*Sender, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("ses: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return &Sender{client: client, opts: o}, nil
}

// Send implements notify.Sender for mail. Its faults are notify.ErrEmailUnavailable,
// ErrEmailUnconfirmed, ErrEmailAddress, and ErrMessage for a message of another
// channel.
//
// A receipt means that SES took the message. An address on the account's suppression
// list is dropped after that, and only the event destinations hear of it.
func (s *Sender) Send(ctx context.Context, m notify.Rendered) (notify.Receipt, error) {
	if m.Channel != notify.Email {
		return notify.Receipt{}, notify.ErrMessage.Wrap(errors.New("ses: the message is not a mail"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	ctx, send := once.Watch(ctx)
	out, err := s.client.SendEmail(ctx, s.input(m), func(o *sesv2.Options) { o.Retryer = send })
	if err != nil {
		return notify.Receipt{}, failure(send, err)
	}
	if aws.ToString(out.MessageId) == "" { // the SDK takes any answer without content for a good one
		return notify.Receipt{}, notify.ErrEmailUnconfirmed.Wrap(errors.New("ses: the answer has no message id"))
	}
	return notify.Receipt{Provider: provider, MessageID: aws.ToString(out.MessageId)}, nil
}

// input renders the request. Tracking is off whatever the account says: to count
// clicks, SES would lead the reader through a host of its own with the code in the
// link.
func (s *Sender) input(m notify.Rendered) *sesv2.SendEmailInput {
	in := &sesv2.SendEmailInput{
		FromEmailAddress: aws.String(header(s.opts.From)),
		Destination:      &types.Destination{ToAddresses: []string{m.To}},
		Content: &types.EmailContent{Simple: &types.Message{
			Subject: content(m.Subject),
			Body:    &types.Body{Text: content(m.Text), Html: content(m.HTML)},
		}},
		ConfigurationOverrides: &types.ConfigurationOverrides{Tracking: &types.TrackingConfigurationOverrides{
			ClickTrackingEnabled: types.FeatureStatusDisabled,
			OpenTrackingEnabled:  types.FeatureStatusDisabled,
		}},
	}
	if s.opts.ReplyTo != "" {
		in.ReplyToAddresses = []string{header(s.opts.ReplyTo)}
	}
	if s.opts.ConfigurationSet != "" {
		in.ConfigurationSetName = aws.String(s.opts.ConfigurationSet)
	}
	return in
}

// header returns an address, which New has checked, as SES takes it: a name beyond ASCII
// must be encoded (RFC 2047), which SES leaves to its callers.
func header(address string) string {
	if parsed, err := mail.ParseAddress(address); err == nil && strings.ContainsFunc(address, beyondASCII) {
		return parsed.String()
	}
	return address
}

func beyondASCII(r rune) bool { return r > unicode.MaxASCII }

func content(text string) *types.Content {
	return &types.Content{Data: aws.String(text), Charset: aws.String("UTF-8")}
}
