package dynamo

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/table"
)

// attributes is an item as the SDK has it.
type attributes = map[string]types.AttributeValue

func encodeKey(k table.Key) attributes {
	return attributes{
		table.PartitionKey: &types.AttributeValueMemberS{Value: k.PK},
		table.SortKey:      &types.AttributeValueMemberS{Value: k.SK},
	}
}

func encodeItem(k table.Key, item table.Item) attributes {
	all := encodeKey(k)
	for name, v := range item {
		all[name] = encodeValue(v)
	}
	return all
}

// encodeValue encodes a value that the port has validated. Another type is a mistake
// of this package.
func encodeValue(v any) types.AttributeValue {
	switch v := v.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}
	case int64:
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	case []byte:
		// Not v itself: the SDK writes a nil slice as null.
		return &types.AttributeValueMemberB{Value: append([]byte{}, v...)}
	case []any:
		list := make([]types.AttributeValue, len(v))
		for i, e := range v {
			list[i] = encodeValue(e)
		}
		return &types.AttributeValueMemberL{Value: list}
	case map[string]any:
		m := make(attributes, len(v))
		for name, e := range v {
			m[name] = encodeValue(e)
		}
		return &types.AttributeValueMemberM{Value: m}
	default:
		panic(fmt.Sprintf("dynamo: value of type %T passed validation", v))
	}
}

// decodeItem returns the key and the other attributes. The error is
// table.ErrCorrupt.
func decodeItem(all attributes) (table.Key, table.Item, error) {
	m, err := decodeMap(all)
	if err != nil {
		return table.Key{}, nil, table.ErrCorrupt.Wrap(err)
	}
	pk, hasPK := m[table.PartitionKey].(string)
	sk, hasSK := m[table.SortKey].(string)
	if !hasPK || !hasSK {
		return table.Key{}, nil, table.ErrCorrupt.Wrap(errors.New("an item came without its key"))
	}
	delete(m, table.PartitionKey)
	delete(m, table.SortKey)
	return table.Key{PK: pk, SK: sk}, m, nil
}

// decodeOptional returns the item, nil when there is none.
func decodeOptional(all attributes) (table.Item, error) {
	if len(all) == 0 {
		return nil, nil
	}
	_, item, err := decodeItem(all)
	return item, err
}

func decodeMap(all attributes) (map[string]any, error) {
	m := make(map[string]any, len(all))
	for name, a := range all {
		v, err := decodeValue(a)
		if err != nil {
			return nil, fmt.Errorf("attribute %q: %w", name, err)
		}
		m[name] = v
	}
	return m, nil
}

func decodeValue(a types.AttributeValue) (any, error) {
	switch a := a.(type) {
	case *types.AttributeValueMemberS:
		return a.Value, nil
	case *types.AttributeValueMemberN:
		return strconv.ParseInt(a.Value, 10, 64)
	case *types.AttributeValueMemberBOOL:
		return a.Value, nil
	case *types.AttributeValueMemberB:
		return append([]byte{}, a.Value...), nil
	case *types.AttributeValueMemberL:
		return decodeList(a.Value)
	case *types.AttributeValueMemberM:
		return decodeMap(a.Value)
	default:
		return nil, fmt.Errorf("%T is not a type of the port", a)
	}
}

func decodeList(all []types.AttributeValue) ([]any, error) {
	list := make([]any, len(all))
	for i, a := range all {
		v, err := decodeValue(a)
		if err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
		list[i] = v
	}
	return list, nil
}
