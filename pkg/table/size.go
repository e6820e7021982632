package table

import "fmt"

// CheckSize reports whether the item is within MaxItem bytes, counted as DynamoDB
// counts: names and strings in UTF-8 bytes, a number as half its digits, one byte
// for a bool, and three bytes plus one per element for a list or a map. Its own
// refusals of numbers can differ by a byte or two at the very limit, because the
// exact size of a number is not documented. The error is plain, for the caller to
// wrap.
func CheckSize(key Key, item Item) error {
	size := len(PartitionKey) + len(key.PK) + len(SortKey) + len(key.SK)
	for name, v := range item {
		size += len(name) + sizeOf(v)
	}
	if size > MaxItem {
		return fmt.Errorf("the item has %d bytes, over the limit of %d", size, MaxItem)
	}
	return nil
}

func sizeOf(v any) int {
	size := 0
	switch v := v.(type) {
	case string:
		return len(v)
	case []byte:
		return len(v)
	case int64:
		return sizeOfNumber(v)
	case bool:
		return 1
	case []any:
		size = collectionOverhead
		for _, e := range v {
			size += 1 + sizeOf(e)
		}
	case map[string]any:
		size = collectionOverhead
		for name, e := range v {
			size += 1 + len(name) + sizeOf(e)
		}
	}
	return size
}

const collectionOverhead = 3

// sizeOfNumber counts a byte for each pair of digits, one for the exponent and one
// for a minus sign.
func sizeOfNumber(n int64) int {
	size := 1
	if n < 0 {
		size++
	}
	for ; n != 0; n /= 100 {
		size++
	}
	return size
}
