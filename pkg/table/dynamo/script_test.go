package dynamo_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// answer is what the scripted DynamoDB says to one request. Without a body it does
// not answer: it waits until the client gives up, or fails with err.
type answer struct {
	status int
	body   string
	err    error
}

// refuse is an answer with an error code and members beside the message.
func refuse(status int, code, members string) answer {
	return answer{status: status, body: `{"__type":"com.amazonaws.dynamodb.v20120810#` + code + `","message":"secret detail"` + members + `}`}
}

func ok(body string) answer { return answer{status: http.StatusOK, body: body} }

// script is an HTTP transport that plays its answers in turn, the last one again and
// again, and keeps the requests.
type script struct {
	answers []answer

	mu       sync.Mutex // guards requests
	requests []request
}

type request struct {
	operation string
	body      map[string]any
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	seen := request{operation: operation}
	if err := json.Unmarshal(body, &seen.body); err != nil {
		return nil, err
	}
	s.mu.Lock()
	a := s.answers[min(len(s.requests), len(s.answers)-1)]
	s.requests = append(s.requests, seen)
	s.mu.Unlock()
	if a.err != nil {
		return nil, a.err
	}
	if a.body == "" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: a.status,
		Header:     http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body:       io.NopCloser(strings.NewReader(a.body)),
		Request:    r,
	}, nil
}

// scripted returns a store whose DynamoDB plays the answers. Its client does not
// retry.
func scripted(opts dynamo.Options, answers ...answer) (*dynamo.Store, *script) {
	s := &script{answers: answers}
	return dynamo.New(s.client(), "table", tabletest.Schema(), opts), s
}

func (s *script) client() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String("http://dynamodb.invalid"),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:   &http.Client{Transport: s},
		Retryer:      aws.NopRetryer{},
	})
}

// cancelAfter is a client whose caller's context ends with the answer to a write.
type cancelAfter struct {
	dynamo.Client

	cancel context.CancelFunc
}

func (c cancelAfter) PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	defer c.cancel()
	return c.Client.PutItem(ctx, in, opts...)
}

func (c cancelAfter) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	defer c.cancel()
	return c.Client.TransactWriteItems(ctx, in, opts...)
}

var key = table.Key{PK: "P", SK: "S"}

// one and two are writes that become a plain request and a transaction.
var (
	one = table.Write{Ops: []table.Op{table.Put(key, nil, table.NotExists())}}
	two = table.Write{Token: "token", Ops: []table.Op{
		table.Put(key, nil, table.NotExists()),
		table.Check(table.Key{PK: "P", SK: "T"}, table.Exists()),
	}}
)

// calls are the methods of the port with a request each.
var calls = map[string]func(context.Context, table.Table) error{
	"Get": func(ctx context.Context, tb table.Table) error {
		_, err := tb.Get(ctx, key)
		return err
	},
	"BatchGet": func(ctx context.Context, tb table.Table) error {
		_, err := tb.BatchGet(ctx, []table.Key{key})
		return err
	},
	"Query": func(ctx context.Context, tb table.Table) error {
		_, err := tb.Query(ctx, table.Query{PK: "P"})
		return err
	},
	"Write of one":  func(ctx context.Context, tb table.Table) error { return tb.Write(ctx, one) },
	"Write of more": func(ctx context.Context, tb table.Table) error { return tb.Write(ctx, two) },
}

// everyCall runs the test for each method, on a store that gets the answers.
func everyCall(t *testing.T, opts dynamo.Options, a answer, check func(t *testing.T, call func(context.Context) error)) {
	t.Helper()
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := scripted(opts, a)
			check(t, func(ctx context.Context) error { return call(ctx, s) })
		})
	}
}
