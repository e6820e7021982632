package notify

import (
	"errors"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// What a Sender answers when a message did not leave, or may not have. The cause says
// which of many reasons it was; the client learns only what the client can act on.
var (
	// ErrSMSUnavailable: no text message leaves at the moment, whoever it is for. It
	// carries RetryAfter where the provider is only too busy.
	ErrSMSUnavailable = fault.New(fault.Unavailable, "STEPUP-sms-unavailable", "Text messages cannot be sent at the moment")
	// ErrSMSUnconfirmed: the provider did not answer; the message may have left.
	ErrSMSUnconfirmed = fault.New(fault.DeadlineExceeded, "STEPUP-sms-unconfirmed", "It is not known whether the text message was sent")
	// ErrSMSOptedOut: the owner of the number told the provider to send nothing.
	ErrSMSOptedOut = fault.New(fault.FailedPrecondition, "STEPUP-sms-opted-out", "The phone number has opted out of text messages")
	// ErrSMSNumber: no text message can be sent to this number.
	ErrSMSNumber = fault.New(fault.FailedPrecondition, "STEPUP-sms-number", "The phone number cannot receive text messages")
	// ErrEmailUnavailable: no mail leaves at the moment, whoever it is for. It carries
	// RetryAfter where the provider is only too busy.
	ErrEmailUnavailable = fault.New(fault.Unavailable, "STEPUP-email-unavailable", "Mail cannot be sent at the moment")
	// ErrEmailUnconfirmed: the provider did not answer; the message may have left.
	ErrEmailUnconfirmed = fault.New(fault.DeadlineExceeded, "STEPUP-email-unconfirmed", "It is not known whether the mail was sent")
	// ErrEmailAddress: no mail can be sent to this address.
	ErrEmailAddress = fault.New(fault.FailedPrecondition, "STEPUP-email-address", "The mail address cannot receive mail")
)

// ErrMessage is the fault of a message that cannot be rendered or is given to a sender
// of another channel. It is a defect of the program or of a template, never the
// caller's doing.
var ErrMessage = fault.New(fault.Internal, "STEPUP-message", "The message could not be written")

var (
	errNoSender       = errors.New("no sender is configured for this channel")
	errUnknownChannel = ErrMessage.Wrap(errors.New("the message has no known channel"))
)

// What a client of the session API reads about its link template (wire contract,
// section 4.4).
var (
	errURLParse   = fault.New(fault.InvalidArgument, "DOMAIN-oGh5e", "URL Template is invalid")
	errURLExecute = fault.New(fault.InvalidArgument, "DOMAIN-ieYa7", "URL Template is invalid")
)
