package sns

import (
	"errors"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/once"
)

// throttleDelay is what a client is told to wait when SNS is asked too often.
const throttleDelay = time.Second

// failure turns an error of the SDK into the port's. What the operator must mend
// (permissions, sandbox, budget, attributes) is one fault for the client; the cause
// tells them apart. The cause is text without addresses, because SNS repeats the
// number in it.
func failure(send *once.Send, err error) error {
	cause := errors.New(notify.Redact(err.Error()))
	switch {
	case send.Unconfirmed():
		return notify.ErrSMSUnconfirmed.Wrap(cause)
	case once.Throttled(err):
		return notify.ErrSMSUnavailable.Wrap(cause).WithRetryAfter(throttleDelay)
	default:
		return byCode(err).Wrap(cause)
	}
}

func byCode(err error) *fault.Fault {
	switch once.Code(err) {
	case "OptedOut", "OptedOutException":
		return notify.ErrSMSOptedOut
	case "InvalidParameter", "ParameterValueInvalid":
		return byParameter(strings.ToLower(err.Error()))
	default:
		return notify.ErrSMSUnavailable
	}
}

// byParameter tells a number that SNS does not take from an attribute that the
// operator has to mend. SNS has one code for both and names the parameter in its text.
func byParameter(text string) *fault.Fault {
	switch {
	case strings.Contains(text, "opted out"):
		return notify.ErrSMSOptedOut
	case strings.Contains(text, "phonenumber"), strings.Contains(text, "phone number"):
		return notify.ErrSMSNumber
	default:
		return notify.ErrSMSUnavailable
	}
}
