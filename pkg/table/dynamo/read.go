package dynamo

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/table"
)

// A batch that DynamoDB answers in part is continued after a pause that begins at
// firstPause and doubles, for at most batchAttempts requests.
const (
	firstPause    = 25 * time.Millisecond
	batchAttempts = 8
)

// Get implements table.Table.
func (s *Store) Get(ctx context.Context, key table.Key) (table.Item, error) {
	if err := table.ValidateKeys([]table.Key{key}); err != nil {
		return nil, err
	}
	if err := table.Interrupted(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := s.begin(ctx)
	defer cancel()
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:              &s.name,
		Key:                    encodeKey(key),
		ConsistentRead:         aws.Bool(true),
		ReturnConsumedCapacity: s.metering(),
	})
	if err != nil {
		return nil, failure(ctx, err)
	}
	s.readUnits("GetItem", one(out.ConsumedCapacity)...)
	return decodeOptional(out.Item)
}

// BatchGet implements table.Table. Keys that DynamoDB leaves unprocessed are asked
// for again, with growing pauses, until the context ends or too many requests were
// of no use; then it returns table.ErrUnavailable.
func (s *Store) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	if err := table.ValidateKeys(keys); err != nil {
		return nil, err
	}
	if err := table.Interrupted(ctx); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return []table.Item{}, nil
	}
	ctx, cancel := s.begin(ctx)
	defer cancel()
	found, err := s.collect(ctx, keys)
	if err != nil {
		return nil, err
	}
	items := make([]table.Item, len(keys))
	for i, k := range keys {
		items[i] = found[k]
	}
	return items, nil
}

// collect returns the items that there are under the keys.
func (s *Store) collect(ctx context.Context, keys []table.Key) (map[table.Key]table.Item, error) {
	request := types.KeysAndAttributes{ConsistentRead: aws.Bool(true)}
	for _, k := range keys {
		request.Keys = append(request.Keys, encodeKey(k))
	}
	found := make(map[table.Key]table.Item, len(keys))
	for attempt := range batchAttempts {
		if attempt > 0 {
			if err := s.pause(ctx, attempt); err != nil {
				return nil, err
			}
		}
		rest, err := s.batch(ctx, request, found)
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			return found, nil
		}
		request.Keys = rest
	}
	return nil, table.ErrUnavailable.WithRetryAfter(throttleDelay).
		Wrap(fmt.Errorf("%d keys are unprocessed after %d requests", len(request.Keys), batchAttempts))
}

// batch sends one request, adds what it finds, and returns the keys that DynamoDB
// did not process.
func (s *Store) batch(ctx context.Context, request types.KeysAndAttributes, found map[table.Key]table.Item) ([]attributes, error) {
	out, err := s.client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
		RequestItems:           map[string]types.KeysAndAttributes{s.name: request},
		ReturnConsumedCapacity: s.metering(),
	})
	if err != nil {
		return nil, failure(ctx, err)
	}
	s.readUnits("BatchGetItem", out.ConsumedCapacity...)
	for _, all := range out.Responses[s.name] {
		key, item, err := decodeItem(all)
		if err != nil {
			return nil, err
		}
		found[key] = item
	}
	return out.UnprocessedKeys[s.name].Keys, nil
}

// pause waits before the attempt, or until the context ends.
func (s *Store) pause(ctx context.Context, attempt int) error {
	d := firstPause << (attempt - 1)
	if s.opts.Jitter != nil {
		d = time.Duration(s.opts.Jitter() * float64(d))
	}
	if err := retry.Sleep(ctx, d); err != nil {
		return fault.From(err)
	}
	return nil
}

// Query implements table.Table.
func (s *Store) Query(ctx context.Context, q table.Query) (table.Page, error) {
	in, err := s.queryInput(q)
	if err != nil {
		return table.Page{}, err
	}
	if err := table.Interrupted(ctx); err != nil {
		return table.Page{}, err
	}
	if q.Empty() {
		return table.Page{}, nil
	}
	ctx, cancel := s.begin(ctx)
	defer cancel()
	out, err := s.client.Query(ctx, in)
	if err != nil {
		return table.Page{}, failure(ctx, err)
	}
	s.readUnits("Query", one(out.ConsumedCapacity)...)
	return s.page(q, out)
}

// queryInput validates the query and renders it.
func (s *Store) queryInput(q table.Query) (*dynamodb.QueryInput, error) {
	if err := q.Validate(s.schema); err != nil {
		return nil, err
	}
	position, resumes, err := q.Position()
	if err != nil {
		return nil, err
	}
	index := s.readIndex(q)
	var r renderer
	condition := r.keyCondition(q, index)
	in := &dynamodb.QueryInput{
		TableName:                 &s.name,
		KeyConditionExpression:    &condition,
		ExpressionAttributeNames:  numbered("#", r.names),
		ExpressionAttributeValues: numbered(":", r.values),
		ScanIndexForward:          aws.Bool(!q.Descending),
		ConsistentRead:            aws.Bool(q.Index == ""),
		ReturnConsumedCapacity:    s.metering(),
	}
	if q.Index != "" {
		in.IndexName = &q.Index
	}
	if q.Limit > 0 {
		in.Limit = aws.Int32(int32(min(q.Limit, math.MaxInt32)))
	}
	if resumes {
		in.ExclusiveStartKey = encodeItem(position.Key, nil)
		in.ExclusiveStartKey[index.PK] = encodeValue(q.PK)
		in.ExclusiveStartKey[index.SK] = encodeValue(position.Sort)
	}
	return in, nil
}

// readIndex returns what the query reads; the table itself looks like an index on
// its own key.
func (s *Store) readIndex(q table.Query) table.Index {
	if q.Index == "" {
		return table.Index{PK: table.PartitionKey, SK: table.SortKey}
	}
	index, _ := s.schema.Index(q.Index)
	return index
}

func (s *Store) page(q table.Query, out *dynamodb.QueryOutput) (table.Page, error) {
	page := table.Page{Rows: make([]table.Row, len(out.Items))}
	for i, all := range out.Items {
		key, item, err := decodeItem(all)
		if err != nil {
			return table.Page{}, err
		}
		page.Rows[i] = table.Row{Key: key, Attrs: item}
	}
	if len(out.LastEvaluatedKey) == 0 {
		return page, nil
	}
	key, rest, err := decodeItem(out.LastEvaluatedKey)
	if err != nil {
		return table.Page{}, err
	}
	last := table.Position{Sort: key.SK, Key: key}
	if q.Index != "" {
		last.Sort, _ = rest[s.readIndex(q).SK].(string)
	}
	page.Next = q.CursorAfter(last)
	return page, nil
}
