package dynamo

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/table"
)

// onFailure asks for the item that a false condition was evaluated on.
const onFailure = types.ReturnValuesOnConditionCheckFailureAllOld

// Write implements table.Table. One put, update or delete is a plain request;
// several operations, and a lone check, are a transaction, which costs twice the
// units. DynamoDB remembers a transaction's token for ten minutes; a plain request
// has none, so that repeating one whose answer was lost may meet its own effect as
// a false condition.
func (s *Store) Write(ctx context.Context, w table.Write) error {
	if err := w.Validate(s.schema); err != nil {
		return err
	}
	if err := table.Interrupted(ctx); err != nil {
		return err
	}
	parts := make([]rendered, len(w.Ops))
	for i, op := range w.Ops {
		parts[i] = render(op)
	}
	ctx, cancel := s.begin(ctx)
	defer cancel()
	if err := s.send(ctx, w, parts); err != nil {
		return failure(ctx, err)
	}
	return nil
}

func (s *Store) send(ctx context.Context, w table.Write, parts []rendered) error {
	if len(w.Ops) > 1 {
		return s.transact(ctx, w, parts)
	}
	switch op := w.Ops[0]; op.Kind {
	case table.OpPut:
		return s.put(ctx, op, parts[0])
	case table.OpUpdate:
		return s.update(ctx, op, parts[0])
	case table.OpDelete:
		return s.delete(ctx, op, parts[0])
	default:
		return s.transact(ctx, w, parts)
	}
}

func (s *Store) put(ctx context.Context, op table.Op, r rendered) error {
	out, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &s.name,
		Item:                                encodeItem(op.Key, op.Item),
		ConditionExpression:                 r.condition,
		ExpressionAttributeNames:            r.names,
		ExpressionAttributeValues:           r.values,
		ReturnValuesOnConditionCheckFailure: onFailure,
		ReturnConsumedCapacity:              s.metering(),
	})
	if err != nil {
		return err
	}
	s.writeUnits("PutItem", one(out.ConsumedCapacity)...)
	return nil
}

func (s *Store) update(ctx context.Context, op table.Op, r rendered) error {
	out, err := s.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           &s.name,
		Key:                                 encodeKey(op.Key),
		UpdateExpression:                    r.update,
		ConditionExpression:                 r.condition,
		ExpressionAttributeNames:            r.names,
		ExpressionAttributeValues:           r.values,
		ReturnValuesOnConditionCheckFailure: onFailure,
		ReturnConsumedCapacity:              s.metering(),
	})
	if err != nil {
		return err
	}
	s.writeUnits("UpdateItem", one(out.ConsumedCapacity)...)
	return nil
}

func (s *Store) delete(ctx context.Context, op table.Op, r rendered) error {
	out, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                           &s.name,
		Key:                                 encodeKey(op.Key),
		ConditionExpression:                 r.condition,
		ExpressionAttributeNames:            r.names,
		ExpressionAttributeValues:           r.values,
		ReturnValuesOnConditionCheckFailure: onFailure,
		ReturnConsumedCapacity:              s.metering(),
	})
	if err != nil {
		return err
	}
	s.writeUnits("DeleteItem", one(out.ConsumedCapacity)...)
	return nil
}

func (s *Store) transact(ctx context.Context, w table.Write, parts []rendered) error {
	in := &dynamodb.TransactWriteItemsInput{ReturnConsumedCapacity: s.metering()}
	if w.Token != "" {
		in.ClientRequestToken = &w.Token
	}
	for i, op := range w.Ops {
		in.TransactItems = append(in.TransactItems, s.transactItem(op, parts[i]))
	}
	out, err := s.client.TransactWriteItems(ctx, in)
	if err != nil {
		return err
	}
	s.writeUnits("TransactWriteItems", out.ConsumedCapacity...)
	return nil
}

func (s *Store) transactItem(op table.Op, r rendered) types.TransactWriteItem {
	switch op.Kind {
	case table.OpPut:
		return types.TransactWriteItem{Put: &types.Put{
			TableName: &s.name, Item: encodeItem(op.Key, op.Item),
			ConditionExpression: r.condition, ReturnValuesOnConditionCheckFailure: onFailure,
			ExpressionAttributeNames: r.names, ExpressionAttributeValues: r.values,
		}}
	case table.OpUpdate:
		return types.TransactWriteItem{Update: &types.Update{
			TableName: &s.name, Key: encodeKey(op.Key), UpdateExpression: r.update,
			ConditionExpression: r.condition, ReturnValuesOnConditionCheckFailure: onFailure,
			ExpressionAttributeNames: r.names, ExpressionAttributeValues: r.values,
		}}
	case table.OpDelete:
		return types.TransactWriteItem{Delete: &types.Delete{
			TableName: &s.name, Key: encodeKey(op.Key),
			ConditionExpression: r.condition, ReturnValuesOnConditionCheckFailure: onFailure,
			ExpressionAttributeNames: r.names, ExpressionAttributeValues: r.values,
		}}
	default:
		return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &s.name, Key: encodeKey(op.Key),
			ConditionExpression: r.condition, ReturnValuesOnConditionCheckFailure: onFailure,
			ExpressionAttributeNames: r.names, ExpressionAttributeValues: r.values,
		}}
	}
}
