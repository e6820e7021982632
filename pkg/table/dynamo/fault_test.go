package dynamo_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

func TestErrorsBecomeThePortsFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer answer
		want   *fault.Fault
		wait   time.Duration
	}{
		"provisioned throughput": {refuse(400, "ProvisionedThroughputExceededException", ""), table.ErrUnavailable, time.Second},
		"throttling":             {refuse(400, "ThrottlingException", ""), table.ErrUnavailable, time.Second},
		"request limit":          {refuse(400, "RequestLimitExceeded", ""), table.ErrUnavailable, time.Second},
		"internal server error":  {refuse(500, "InternalServerError", ""), table.ErrUnavailable, 0},
		"service unavailable":    {refuse(503, "ServiceUnavailable", ""), table.ErrUnavailable, 0},
		"a proxy's answer":       {answer{status: 502, body: "<html>"}, table.ErrUnavailable, 0},
		"no connection":          {answer{err: io.ErrUnexpectedEOF}, table.ErrUnavailable, 0},
		"half an answer":         {ok(`{"Item`), table.ErrUnavailable, 0},
		"access denied":          {refuse(400, "AccessDeniedException", ""), table.ErrRefused, 0},
		"bad signature":          {refuse(400, "UnrecognizedClientException", ""), table.ErrRefused, 0},
		"no table":               {refuse(400, "ResourceNotFoundException", ""), table.ErrRefused, 0},
		"validation":             {refuse(400, "ValidationException", ""), table.ErrRefused, 0},
		"another token":          {refuse(400, "IdempotentParameterMismatchException", ""), table.ErrRefused, 0},
		"an unknown error":       {refuse(400, "SomethingNewException", ""), table.ErrRefused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyCall(t, dynamo.Options{}, c.answer, func(t *testing.T, call func(context.Context) error) {
				err := call(t.Context())
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v", err)
				}
				f := fault.From(err)
				if f.RetryAfter != c.wait {
					t.Errorf("retry after %v", f.RetryAfter)
				}
				if strings.Contains(f.Message(), "secret") || errors.Unwrap(f) == nil {
					t.Errorf("the cause is not where it belongs: %q, %v", f.Message(), errors.Unwrap(f))
				}
			})
		})
	}
}

func TestContentionIsAConflictWithoutFailures(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"TransactionConflictException", "TransactionInProgressException", "ReplicatedWriteConflictException"} {
		for name, w := range map[string]table.Write{"one": one, "more": two} {
			t.Run(code+" "+name, func(t *testing.T) {
				t.Parallel()
				s, _ := scripted(dynamo.Options{}, refuse(400, code, ""))
				wantConflict(t, s.Write(t.Context(), w))
			})
		}
	}
}

func wantConflict(t *testing.T, err error, want ...table.Failure) {
	t.Helper()
	var conflict *table.Conflict
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if diff := cmp.Diff(want, conflict.Failures); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// canceled is the answer to a transaction with these cancellation reasons.
func canceled(reasons ...string) answer {
	return refuse(400, "TransactionCanceledException", `,"CancellationReasons":[`+strings.Join(reasons, ",")+`]`)
}

const (
	none      = `{"Code":"None"}`
	failed    = `{"Code":"ConditionalCheckFailed","Item":{"PK":{"S":"P"},"SK":{"S":"T"},"n":{"N":"7"}}}`
	absent    = `{"Code":"ConditionalCheckFailed"}`
	contended = `{"Code":"TransactionConflict"}`
	throttled = `{"Code":"ThrottlingError"}`
	exceeded  = `{"Code":"ProvisionedThroughputExceeded"}`
	invalid   = `{"Code":"ValidationError"}`
)

func TestMixedCancellationsAreDecidedByTheirWeight(t *testing.T) {
	t.Parallel()
	old := table.Item{"n": int64(7)}
	for name, c := range map[string]struct {
		answer   answer
		failures []table.Failure
		fault    *fault.Fault
	}{
		"one failed":            {canceled(none, failed), []table.Failure{{Op: 1, Old: old}}, nil},
		"both failed":           {canceled(absent, failed), []table.Failure{{Op: 0}, {Op: 1, Old: old}}, nil},
		"failed and contended":  {canceled(contended, failed), []table.Failure{{Op: 1, Old: old}}, nil},
		"failed and throttled":  {canceled(failed, throttled), []table.Failure{{Op: 0, Old: old}}, nil},
		"failed and invalid":    {canceled(invalid, failed), []table.Failure{{Op: 1, Old: old}}, nil},
		"contended":             {canceled(none, contended), nil, nil},
		"contended, throttled":  {canceled(throttled, contended), nil, nil},
		"contended and invalid": {canceled(invalid, contended), nil, table.ErrRefused},
		"throttled":             {canceled(none, throttled), nil, table.ErrUnavailable},
		"exceeded":              {canceled(exceeded, none), nil, table.ErrUnavailable},
		"throttled and invalid": {canceled(throttled, invalid), nil, table.ErrRefused},
		"invalid":               {canceled(none, invalid), nil, table.ErrRefused},
		"an unknown reason":     {canceled(none, `{"Code":"SomethingNew"}`), nil, table.ErrRefused},
		"no reasons":            {canceled(), nil, table.ErrRefused},
		"reasons without codes": {canceled(`{}`, `{}`), nil, table.ErrRefused},
		"an unreadable item":    {canceled(`{"Code":"ConditionalCheckFailed","Item":{"n":{"N":"1.5"}}}`), nil, table.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := scripted(dynamo.Options{}, c.answer)
			err := s.Write(t.Context(), two)
			if c.fault == nil {
				wantConflict(t, err, c.failures...)
			} else if !errors.Is(err, c.fault) {
				t.Errorf("got %v, want %v", err, c.fault)
			}
		})
	}
}

func TestCallTimeoutEndsAnUnansweredCall(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := scripted(dynamo.Options{CallTimeout: 1500 * time.Millisecond}, answer{})
				start := time.Now()
				err := call(t.Context(), s)
				if fault.From(err).Kind != fault.DeadlineExceeded || time.Since(start) != 1500*time.Millisecond {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestTheCallersDeadlineAndCancellationEndACall(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := scripted(dynamo.Options{CallTimeout: time.Hour}, answer{})
				short, stop := context.WithTimeout(t.Context(), time.Second)
				defer stop()
				if err := call(short, s); fault.From(err).Kind != fault.DeadlineExceeded {
					t.Errorf("expired: %v", err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				if err := call(ctx, s); fault.From(err).Kind != fault.Canceled {
					t.Errorf("canceled: %v", err)
				}
			})
		})
	}
}

// TestADecisionCountsAfterTheDeadline has DynamoDB answer in the moment in which the
// context ends: what it decided is not thrown away.
func TestADecisionCountsAfterTheDeadline(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		w      table.Write
		answer answer
	}{
		"one":  {one, refuse(400, "ConditionalCheckFailedException", `,"Item":{"PK":{"S":"P"},"SK":{"S":"S"}}`)},
		"more": {two, canceled(`{"Code":"ConditionalCheckFailed","Item":{"PK":{"S":"P"},"SK":{"S":"S"}}}`, none)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			played := &script{answers: []answer{c.answer}}
			s := dynamo.New(cancelAfter{played.client(), cancel}, "table", table.Schema{}, dynamo.Options{})
			wantConflict(t, s.Write(ctx, c.w), table.Failure{Op: 0, Old: table.Item{}})
		})
	}
}

func TestAnotherTypeInTheTableIsCorrupt(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"a fraction":    `{"N":"1.5"}`,
		"a huge number": `{"N":"9223372036854775808"}`,
		"null":          `{"NULL":true}`,
		"a set":         `{"SS":["a"]}`,
		"a number set":  `{"NS":["1"]}`,
		"in a list":     `{"L":[{"BOOL":true},{"NULL":true}]}`,
		"in a map":      `{"M":{"k":{"BS":["AA=="]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			item := `{"PK":{"S":"P"},"SK":{"S":"S"},"v":` + value + `}`
			for call, a := range map[string]answer{
				"Get":          ok(`{"Item":` + item + `}`),
				"BatchGet":     ok(`{"Responses":{"table":[` + item + `]}}`),
				"Query":        ok(`{"Items":[` + item + `]}`),
				"Write of one": refuse(http.StatusBadRequest, "ConditionalCheckFailedException", `,"Item":`+item),
			} {
				s, _ := scripted(dynamo.Options{}, a)
				if err := calls[call](t.Context(), s); !errors.Is(err, table.ErrCorrupt) {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
	s, _ := scripted(dynamo.Options{}, ok(`{"Item":{"PK":{"S":"P"}}}`))
	if _, err := s.Get(t.Context(), key); !errors.Is(err, table.ErrCorrupt) {
		t.Errorf("an item without its key: %v", err)
	}
}
