// Package dynamo owns the item port on Amazon DynamoDB: it renders conditions and
// changes as expressions, chooses the cheapest request that is still atomic, and
// turns DynamoDB's many errors into the port's few.
package dynamo

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Client is the part of the SDK's DynamoDB client that a Store uses.
type Client interface {
	GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error)
	BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
	TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

var _ Client = (*dynamodb.Client)(nil)

// Options tune a store. The zero value works.
type Options struct {
	// CallTimeout bounds each call of the port, the SDK's retries included. Zero
	// leaves it to the caller's context.
	CallTimeout time.Duration
	// Jitter returns a number from 0 to 1 that a pause between two attempts is
	// multiplied by; see retry.Jitter. Nil means full pauses.
	Jitter func() float64
	// OnConsumed, when set, receives the capacity units of each successful
	// request: the SDK's name of the request, and what it read and wrote.
	OnConsumed func(call string, read, write float64)
}

// Store is the item port on one DynamoDB table. Its methods are safe for concurrent
// use.
type Store struct {
	client Client
	name   string
	schema table.Schema
	opts   Options
}

var _ table.Table = (*Store)(nil)

// New returns the store of the table with the name. The table exists and has the
// schema's indexes; nothing is sent to find out.
func New(client Client, tableName string, schema table.Schema, opts Options) *Store {
	return &Store{client: client, name: tableName, schema: schema, opts: opts}
}

// begin applies the call's timeout.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.opts.CallTimeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.opts.CallTimeout)
}

// metering says whether DynamoDB is asked what a request cost.
func (s *Store) metering() types.ReturnConsumedCapacity {
	if s.opts.OnConsumed == nil {
		return types.ReturnConsumedCapacityNone
	}
	return types.ReturnConsumedCapacityTotal
}

func (s *Store) readUnits(call string, consumed ...types.ConsumedCapacity) {
	if s.opts.OnConsumed != nil {
		s.opts.OnConsumed(call, units(consumed), 0)
	}
}

func (s *Store) writeUnits(call string, consumed ...types.ConsumedCapacity) {
	if s.opts.OnConsumed != nil {
		s.opts.OnConsumed(call, 0, units(consumed))
	}
}

func units(consumed []types.ConsumedCapacity) float64 {
	var sum float64
	for _, c := range consumed {
		if c.CapacityUnits != nil {
			sum += *c.CapacityUnits
		}
	}
	return sum
}

// one makes a list of the single, possibly missing, report of a plain request.
func one(c *types.ConsumedCapacity) []types.ConsumedCapacity {
	if c == nil {
		return nil
	}
	return []types.ConsumedCapacity{*c}
}
