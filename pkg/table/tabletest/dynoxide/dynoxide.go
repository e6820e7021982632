// Package dynoxide owns the DynamoDB stand-in of the tests: it runs one Dynoxide
// server for each test binary and creates tables in it from the deployment
// template, so that the table tested is the table deployed.
//
// The server is installed with
//
//	npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund
//
// or named by the environment variable DYNOXIDE. A test that needs it fails without
// it; none skips.
//
// Version 1.2.1 differs from DynamoDB in ways that the contract stays clear of: a key
// condition with begins_with ignores the case of ASCII letters, REMOVE below a
// missing map succeeds, items are never deleted for their age, indexes never lag,
// nothing is ever throttled or in conflict, and a write to a table with a stream takes
// the longer the more were written before.
package dynoxide

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/test/emulators"
)

// server is a running Dynoxide.
type server struct {
	*emulators.Server

	tables atomic.Int64
}

// shared starts the server of this test binary when the first test asks for it.
var shared = sync.OnceValues(func() (*server, error) {
	binary, err := locate()
	if err != nil {
		return nil, err
	}
	s, err := emulators.Start(binary)
	if err != nil {
		return nil, err
	}
	return &server{Server: s}, nil
})

// Client returns a client of this test binary's server. It repeats nothing but
// requests whose connection broke.
func Client(t testing.TB) *dynamodb.Client {
	t.Helper()
	return use(t).client()
}

// Options say how a table differs from the template's.
type Options struct {
	// NoStream leaves out the stream, for a table that is filled or under load: the server goes
	// through all records of a stream with every write, so that a write would take the longer
	// the more were written before.
	NoStream bool
}

// NewTable creates a table as the template's resource Table describes it, under a
// name of its own, and returns a client and the name. The table goes away with the
// test.
func NewTable(t testing.TB, o Options) (*dynamodb.Client, string) {
	t.Helper()
	client, name, err := Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name}); err != nil {
			t.Errorf("delete the table: %v", err)
		}
	})
	return client, name
}

// Create is NewTable for a command: the table lasts until this process ends.
func Create(ctx context.Context, o Options) (*dynamodb.Client, string, error) {
	s, err := shared()
	if err != nil {
		return nil, "", fmt.Errorf("dynoxide: %w", err)
	}
	d, err := template()
	if err != nil {
		return nil, "", err
	}
	if o.NoStream {
		d.StreamSpecification.StreamViewType = ""
	}
	name := fmt.Sprintf("table-%d", s.tables.Add(1))
	client := s.client()
	if _, err := client.CreateTable(ctx, d.createInput(name)); err != nil {
		return nil, "", fmt.Errorf("create the table of the template: %w", err)
	}
	return client, name, nil
}

// Schema returns what the adapters must know about the template's table: its
// indexes and its TTL attribute.
func Schema(t testing.TB) table.Schema {
	t.Helper()
	return definition(t).schema()
}

func use(t testing.TB) *server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatalf("dynoxide: %v", err)
	}
	return s
}

// source is the template of the table, from the root of the module.
const source = "infra/data.yaml"

func definition(t testing.TB) *tableDefinition {
	t.Helper()
	d, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func template() (*tableDefinition, error) {
	root, err := emulators.ModuleRoot()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, source))
	if err != nil {
		return nil, err
	}
	d, err := parseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return d, nil
}

func (s *server) client() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		BaseEndpoint: aws.String("http://" + s.Addr),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:      resets(),
	})
}

// resets repeats a request whose connection broke, and no other: under load the
// server drops a connection now and then.
func resets() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.RetryableConnectionError{}}
		o.MaxBackoff = 20 * time.Millisecond
		o.RateLimiter = ratelimit.None
	})
}

// locate returns the path of the server's executable.
func locate() (string, error) {
	if path := os.Getenv("DYNOXIDE"); path != "" {
		return path, nil
	}
	path, err := emulators.Locate("@dynoxide/linux-x64/dynoxide")
	if err != nil {
		return "", fmt.Errorf("%w\nor set DYNOXIDE to the path of a dynoxide executable", err)
	}
	return path, nil
}
