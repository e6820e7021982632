// Package sns owns how a text message leaves through Amazon SNS.
package sns

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/once"
)

// DefaultTimeout bounds a send of which Options says nothing.
const DefaultTimeout = 3 * time.Second

const (
	// provider is the name in receipts.
	provider = "sns"
	// maxPrice in USD is more than a message costs anywhere, and a slip of the pen.
	maxPrice = 10
)

// Client is the part of the SDK's client that is used.
type Client interface {
	Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// Request is a Client of one function, the SDK's Publish. Where binaries are to be small
// it stands in for the SDK's client: a program in which methods are looked up by name, as
// templates do, keeps every exported method of a type that it holds in an interface.
type Request func(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error)

// Publish implements Client.
func (r Request) Publish(ctx context.Context, in *sns.PublishInput, opts ...func(*sns.Options)) (*sns.PublishOutput, error) {
	return r(ctx, in, opts...)
}

// Options are the settings of a Sender. The zero value sends as the account is set up.
type Options struct {
	// SenderID is what phones show instead of a number, where a country allows it: 1
	// to 11 letters and digits, at least one of them a letter.
	SenderID string
	// OriginationNumber is the account's number to send from, in E.164 form.
	OriginationNumber string
	// MaxPrice is the most that a message may cost in USD; 0 is no limit but the
	// account's.
	MaxPrice float64
	// Timeout bounds one send, repetitions included; 0 is DefaultTimeout.
	Timeout time.Duration
}

// Patterns of what most deployments leave empty, so they are compiled where they are needed.
const (
	senderIDForm = `^[0-9A-Za-z]{0,10}[A-Za-z][0-9A-Za-z]{0,10}$`
	numberForm   = `^\+[1-9][0-9]{4,14}$`
)

// Validate returns what is wrong with the options, by name of field.
func (o Options) Validate() error {
	var problems []error
	if o.SenderID != "" && (len(o.SenderID) > 11 || !regexp.MustCompile(senderIDForm).MatchString(o.SenderID)) {
		problems = append(problems, errors.New("option SenderID is not 1 to 11 letters and digits with a letter among them"))
	}
	if o.OriginationNumber != "" && !regexp.MustCompile(numberForm).MatchString(o.OriginationNumber) {
		problems = append(problems, errors.New("option OriginationNumber is not a number in E.164 form"))
	}
	if o.MaxPrice < 0 || o.MaxPrice > maxPrice || math.IsNaN(o.MaxPrice) {
		problems = append(problems, errors.New("option MaxPrice is not an amount between 0 and 10 USD"))
	}
	if o.Timeout < 0 {
		problems = append(problems, errors.New("option Timeout is negative"))
	}
	return errors.Join(problems...)
}

// Sender sends text messages. It is safe for concurrent use.
type Sender struct {
	client     Client
	timeout    time.Duration
	attributes map[string]types.MessageAttributeValue
}

// New returns a sender that publishes with the client. How often a request is repeated
// is decided here whatever the client is set up to do (see package once). The client's
// connections should not be kept for long: one that the service has closed in the
// meantime looks like an answer that was lost, and is not tried again.
func New(client Client, o Options) (*Sender, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("sns: %w", err)
	}
	s := &Sender{client: client, timeout: o.Timeout, attributes: attributes(o)}
	if s.timeout == 0 {
		s.timeout = DefaultTimeout
	}
	return s, nil
}

// attributes returns what goes with every message. Transactional is the type of
// message whose delivery is worth more than its price.
func attributes(o Options) map[string]types.MessageAttributeValue {
	set := map[string]types.MessageAttributeValue{
		"AWS.SNS.SMS.SMSType": attribute("String", "Transactional"),
	}
	if o.SenderID != "" {
		set["AWS.SNS.SMS.SenderID"] = attribute("String", o.SenderID)
	}
	if o.OriginationNumber != "" {
		set["AWS.MM.SMS.OriginationNumber"] = attribute("String", o.OriginationNumber)
	}
	if o.MaxPrice > 0 {
		set["AWS.SNS.SMS.MaxPrice"] = attribute("Number", strconv.FormatFloat(o.MaxPrice, 'f', -1, 64))
	}
	return set
}

func attribute(kind, value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String(kind), StringValue: aws.String(value)}
}

// Send implements notify.Sender for text messages. Its faults are
// notify.ErrSMSUnavailable, ErrSMSUnconfirmed, ErrSMSOptedOut, ErrSMSNumber, and
// ErrMessage for a message of another channel.
//
// A receipt means that SNS took the message. That its number has opted out, or that the
// month's budget is spent, SNS mostly finds out later and tells only the delivery log.
func (s *Sender) Send(ctx context.Context, m notify.Rendered) (notify.Receipt, error) {
	if m.Channel != notify.SMS {
		return notify.Receipt{}, notify.ErrMessage.Wrap(errors.New("sns: the message is not a text message"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ctx, send := once.Watch(ctx)
	out, err := s.client.Publish(ctx, &sns.PublishInput{
		PhoneNumber:       aws.String(m.To),
		Message:           aws.String(m.Text),
		MessageAttributes: s.attributes,
	}, func(o *sns.Options) { o.Retryer = send })
	if err != nil {
		return notify.Receipt{}, failure(send, err)
	}
	if aws.ToString(out.MessageId) == "" { // the SDK takes any answer without content for a good one
		return notify.Receipt{}, notify.ErrSMSUnconfirmed.Wrap(errors.New("sns: the answer has no message id"))
	}
	return notify.Receipt{Provider: provider, MessageID: aws.ToString(out.MessageId)}, nil
}
