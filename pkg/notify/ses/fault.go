package ses

import (
	"errors"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/once"
)

// throttleDelay is what a client is told to wait when SES is asked too often.
const throttleDelay = time.Second

// failure turns an error of the SDK into the port's. What the operator must mend is
// one fault for the client; the cause tells them apart. The cause is text without
// addresses, because SES repeats them in it.
func failure(send *once.Send, err error) error {
	cause := errors.New(notify.Redact(err.Error()))
	switch {
	case send.Unconfirmed():
		return notify.ErrEmailUnconfirmed.Wrap(cause)
	case once.Throttled(err):
		return notify.ErrEmailUnavailable.Wrap(cause).WithRetryAfter(throttleDelay)
	default:
		return byCode(err).Wrap(cause)
	}
}

// byCode returns the fault of a refusal. All of these are the operator's to mend:
// MessageRejected (sandbox, or an identity that is not verified),
// MailFromDomainNotVerified, SendingPaused, AccountSuspended, LimitExceeded (the day's
// quota, which no client can wait for), NotFound (the configuration set),
// AccessDenied. BadRequest may be the address, of which the sender's own was checked
// at the start.
func byCode(err error) *fault.Fault {
	text := strings.ToLower(err.Error())
	if once.Code(err) == "BadRequestException" && (strings.Contains(text, "address") || strings.Contains(text, "domain")) {
		return notify.ErrEmailAddress
	}
	return notify.ErrEmailUnavailable
}
