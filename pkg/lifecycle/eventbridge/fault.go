package eventbridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/smithy-go"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// failure turns an error of a whole request into a fault. Nearly all of them pass, if
// only when an operator has mended something; what is wrong with an entry is told of
// the entry.
func failure(ctx context.Context, err error) error {
	if ctxErr := ctx.Err(); ctxErr != nil { // first, because the SDK wraps its end in many ways
		return fault.From(ctxErr).Wrap(err)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "ValidationException" {
		return ErrRefused.Wrap(err)
	}
	return ErrUnavailable.Wrap(err)
}

// refusal is an entry that was not taken, with EventBridge's code. The message beside
// the code may repeat the entry, and is left out.
type refusal struct {
	position int
	code     string
}

// lasting reports whether the same entry would be refused again; the codes that pass
// are those of the API reference.
func (r refusal) lasting() bool {
	switch r.code {
	case "InternalFailure", "ThrottlingException", "":
		return false
	default:
		return true
	}
}

func (r refusal) fault() error {
	cause := fmt.Errorf("EventBridge answered %q", r.code)
	if r.lasting() {
		return ErrRefused.Wrap(cause)
	}
	return ErrUnavailable.Wrap(cause)
}
