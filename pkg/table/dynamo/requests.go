package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Requests returns a Client that holds the requests of c one by one, and not c itself. A
// program in which methods are looked up by name, as templates do, keeps every exported
// method of a type that it holds in an interface. The SDK's client has some sixty of which
// nothing here calls more than these, and each brings its types along.
func Requests(c *dynamodb.Client) Client {
	return requests{
		getItem: c.GetItem, batchGetItem: c.BatchGetItem, query: c.Query,
		putItem: c.PutItem, updateItem: c.UpdateItem, deleteItem: c.DeleteItem, transactWriteItems: c.TransactWriteItems,
	}
}

type request[In, Out any] func(ctx context.Context, in *In, opts ...func(*dynamodb.Options)) (*Out, error)

type requests struct {
	getItem            request[dynamodb.GetItemInput, dynamodb.GetItemOutput]
	batchGetItem       request[dynamodb.BatchGetItemInput, dynamodb.BatchGetItemOutput]
	query              request[dynamodb.QueryInput, dynamodb.QueryOutput]
	putItem            request[dynamodb.PutItemInput, dynamodb.PutItemOutput]
	updateItem         request[dynamodb.UpdateItemInput, dynamodb.UpdateItemOutput]
	deleteItem         request[dynamodb.DeleteItemInput, dynamodb.DeleteItemOutput]
	transactWriteItems request[dynamodb.TransactWriteItemsInput, dynamodb.TransactWriteItemsOutput]
}

// GetItem implements Client.
func (r requests) GetItem(ctx context.Context, in *dynamodb.GetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return r.getItem(ctx, in, opts...)
}

// BatchGetItem implements Client.
func (r requests) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	return r.batchGetItem(ctx, in, opts...)
}

// Query implements Client.
func (r requests) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	return r.query(ctx, in, opts...)
}

// PutItem implements Client.
func (r requests) PutItem(ctx context.Context, in *dynamodb.PutItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	return r.putItem(ctx, in, opts...)
}

// UpdateItem implements Client.
func (r requests) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	return r.updateItem(ctx, in, opts...)
}

// DeleteItem implements Client.
func (r requests) DeleteItem(ctx context.Context, in *dynamodb.DeleteItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error) {
	return r.deleteItem(ctx, in, opts...)
}

// TransactWriteItems implements Client.
func (r requests) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, opts ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	return r.transactWriteItems(ctx, in, opts...)
}
