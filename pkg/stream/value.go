package stream

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/pkg/table"
)

// attributes is an item as Lambda has it.
type attributes = map[string]events.DynamoDBAttributeValue

func keyOf(all attributes) (table.Key, error) {
	m, err := valuesOf(all)
	if err != nil {
		return table.Key{}, fmt.Errorf("key: %w", err)
	}
	pk, hasPK := m[table.PartitionKey].(string)
	sk, hasSK := m[table.SortKey].(string)
	if !hasPK || !hasSK {
		return table.Key{}, errors.New("it has no key of this table")
	}
	return table.Key{PK: pk, SK: sk}, nil
}

// itemOf returns the item without its key, nil when there is none.
func itemOf(all attributes) (table.Item, error) {
	if len(all) == 0 {
		return nil, nil
	}
	m, err := valuesOf(all)
	if err != nil {
		return nil, err
	}
	delete(m, table.PartitionKey)
	delete(m, table.SortKey)
	return m, nil
}

func valuesOf(all attributes) (map[string]any, error) {
	m := make(map[string]any, len(all))
	for name, v := range all {
		value, err := valueOf(v)
		if err != nil {
			return nil, err
		}
		m[name] = value
	}
	return m, nil
}

// The errors name neither attribute nor value: below the item's top, names are content.
var (
	errType   = errors.New("an attribute has a type that this table has none of")
	errNumber = errors.New("a number is not whole, or too large")
)

// valueOf returns the value as the item port has it.
func valueOf(v events.DynamoDBAttributeValue) (any, error) {
	if v.IsNull() { // also the value of JSON's null, which claims to be binary
		return nil, errType
	}
	switch v.DataType() {
	case events.DataTypeString:
		return v.String(), nil
	case events.DataTypeNumber:
		n, err := strconv.ParseInt(v.Number(), 10, 64)
		if err != nil {
			return nil, errNumber
		}
		return n, nil
	case events.DataTypeBoolean:
		return v.Boolean(), nil
	case events.DataTypeBinary:
		return v.Binary(), nil
	case events.DataTypeMap:
		return valuesOf(v.Map())
	case events.DataTypeList:
		return listOf(v.List())
	default:
		return nil, errType
	}
}

func listOf(all []events.DynamoDBAttributeValue) ([]any, error) {
	list := make([]any, len(all))
	for i, v := range all {
		value, err := valueOf(v)
		if err != nil {
			return nil, err
		}
		list[i] = value
	}
	return list, nil
}
