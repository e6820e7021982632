package dynamo_test

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

func TestConsumedCapacityIsReported(t *testing.T) {
	t.Parallel()
	type consumed struct {
		Call        string
		Read, Write float64
	}
	var got []consumed
	s := open(t, dynamo.Options{OnConsumed: func(call string, read, write float64) {
		got = append(got, consumed{call, read, write})
	}})
	other := table.Key{PK: "P", SK: "T"}
	indexed := table.Item{"byUser": "u", "born": "1"}
	steps := []error{
		s.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, indexed, nil)}}),
		s.Write(t.Context(), table.Write{Ops: []table.Op{table.Update(key, nil, table.Set(table.At("a"), "x"))}}),
		s.Write(t.Context(), table.Write{Ops: []table.Op{table.Delete(key, nil)}}),
		s.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, nil, nil), table.Put(other, nil, nil)}}),
		s.Write(t.Context(), table.Write{Ops: []table.Op{table.Check(key, table.Exists())}}),
	}
	_, getErr := s.Get(t.Context(), key)
	_, batchErr := s.BatchGet(t.Context(), []table.Key{key, other})
	_, queryErr := s.Query(t.Context(), table.Query{PK: "P"})
	_, indexErr := s.Query(t.Context(), table.Query{Index: "byUser", PK: "u"})
	if err := errors.Join(append(steps, getErr, batchErr, queryErr, indexErr)...); err != nil {
		t.Fatal(err)
	}
	want := []consumed{
		{"PutItem", 0, 2}, // the item and its index entry
		{"UpdateItem", 0, 1},
		{"DeleteItem", 0, 2},
		{"TransactWriteItems", 0, 4},
		{"TransactWriteItems", 0, 2},
		{"GetItem", 1, 0},
		{"BatchGetItem", 2, 0},
		{"Query", 1, 0},
		{"Query", 0.5, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("consumed (-want +got):\n%s", diff)
	}
}

// losing is a transport that delivers the first request with a body and loses the
// answer.
type losing struct{ lost atomic.Bool }

func (l *losing) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && l.lost.CompareAndSwap(false, true) {
		_, _ = io.Copy(io.Discard, response.Body) // lost with all it says
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, err
}

// losingStore is a store whose SDK client repeats a request once and whose first
// answer is lost.
func losingStore(t *testing.T) *dynamo.Store {
	t.Helper()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	options := client.Options()
	options.HTTPClient = &http.Client{Transport: &losing{}}
	options.Retryer = retry.AddWithMaxBackoffDelay(retry.AddWithMaxAttempts(retry.NewStandard(), 2), 1)
	return dynamo.New(dynamodb.New(options), name, dynoxide.Schema(t), dynamo.Options{})
}

func TestTransactionSurvivesALostAnswer(t *testing.T) {
	t.Parallel()
	s := losingStore(t)
	err := s.Write(t.Context(), table.Write{Ops: []table.Op{
		table.Put(key, nil, table.NotExists()),
		table.Update(table.Key{PK: "P", SK: "T"}, nil, table.Add(table.At("n"), 1)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), table.Key{PK: "P", SK: "T"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(table.Item{"n": int64(1)}, got); diff != "" {
		t.Errorf("applied twice (-want +got):\n%s", diff)
	}
}

// TestPlainWriteMeetsItselfAfterALostAnswer pins what callers must live with: the
// conflict shows their own write.
func TestPlainWriteMeetsItselfAfterALostAnswer(t *testing.T) {
	t.Parallel()
	mine := table.Item{"by": "me"}
	err := losingStore(t).Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, mine, table.NotExists())}})
	wantConflict(t, err, table.Failure{Op: 0, Old: mine})
}

func TestMissingTableIsRefused(t *testing.T) {
	t.Parallel()
	client := dynoxide.Client(t)
	s := dynamo.New(client, "no-such-table", dynoxide.Schema(t), dynamo.Options{})
	for name, call := range calls {
		if err := call(t.Context(), s); !errors.Is(err, table.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
