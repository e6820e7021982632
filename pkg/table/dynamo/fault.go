package dynamo

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
)

// throttleDelay is what a client is told to wait when DynamoDB is over its limits.
const throttleDelay = time.Second

// Codes of errors and of cancellation reasons. DynamoDB writes some of them in two
// ways, depending on where they appear.
const (
	codeConditionFailed = "ConditionalCheckFailed"
	codeConflict        = "TransactionConflict"
	codeNone            = "None"
)

// failure turns an error of the SDK into the port's. A decision of DynamoDB counts
// even when the context has ended since; for anything else the context is looked at
// first, because the SDK wraps its end in many ways.
func failure(ctx context.Context, err error) error {
	if canceled, ok := errors.AsType[*types.TransactionCanceledException](err); ok {
		return cancellation(canceled)
	}
	if condition, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		old, err := decodeOptional(condition.Item)
		if err != nil {
			return err
		}
		return &table.Conflict{Failures: []table.Failure{{Op: 0, Old: old}}}
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fault.From(ctxErr).Wrap(err)
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return table.ErrUnavailable.Wrap(err) // no answer, or not a readable one
	}
	return byCode(api, err)
}

func byCode(api smithy.APIError, err error) error {
	switch code := api.ErrorCode(); {
	case isContention(code):
		return &table.Conflict{}
	case isThrottle(code):
		return table.ErrUnavailable.Wrap(err).WithRetryAfter(throttleDelay)
	case api.ErrorFault() == smithy.FaultServer || status(err) >= 500:
		return table.ErrUnavailable.Wrap(err)
	default:
		return table.ErrRefused.Wrap(err)
	}
}

func status(err error) int {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok {
		return 0
	}
	return response.HTTPStatusCode()
}

// isContention reports whether another write on one of the items was under way,
// which may be an earlier attempt of the same transaction.
func isContention(code string) bool {
	switch code {
	case codeConflict, "TransactionConflictException", "TransactionInProgressException",
		"ReplicatedWriteConflictException":
		return true
	}
	return false
}

func isThrottle(code string) bool {
	switch code {
	case "ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException",
		"ThrottlingError", "ThrottlingException", "RequestLimitExceeded":
		return true
	}
	return false
}

// cancellation decides what a canceled transaction was canceled for. The reasons
// stand in the order of the operations and may be mixed; they count in this order:
// a false condition, because it is knowledge and a repeat would meet it again; a
// reason that a repeat cannot cure; contention; throttling.
func cancellation(canceled *types.TransactionCanceledException) error {
	conflict := &table.Conflict{}
	var contended, throttled, refused bool
	for i, reason := range canceled.CancellationReasons {
		code := codeNone
		if reason.Code != nil {
			code = *reason.Code
		}
		switch {
		case code == codeConditionFailed:
			old, err := decodeOptional(reason.Item)
			if err != nil {
				return err
			}
			conflict.Failures = append(conflict.Failures, table.Failure{Op: i, Old: old})
		case code == codeNone:
		case isContention(code):
			contended = true
		case isThrottle(code):
			throttled = true
		default:
			refused = true
		}
	}
	switch {
	case len(conflict.Failures) > 0:
		return conflict
	case refused:
		return table.ErrRefused.Wrap(canceled)
	case contended:
		return conflict
	case throttled:
		return table.ErrUnavailable.Wrap(canceled).WithRetryAfter(throttleDelay)
	default:
		return table.ErrRefused.Wrap(canceled)
	}
}
