package bolt

import (
	"bytes"
	"cmp"

	"github.com/stepup-auth/stepup/pkg/table"
)

// holds evaluates a valid condition; a nil one always holds. The item is nil when
// there is none.
func holds(c table.Condition, item table.Item) bool {
	switch c := c.(type) {
	case nil:
		return true
	case table.ItemExists:
		return item != nil
	case table.ItemAbsent:
		return item == nil
	case table.Present:
		_, ok := lookup(item, c.Path)
		return ok
	case table.Compare:
		return compares(c, item)
	case table.SizeBelow:
		return sizeBelow(c, item)
	case table.All:
		for _, part := range c {
			if !holds(part, item) {
				return false
			}
		}
		return true
	case table.Any:
		for _, part := range c {
			if holds(part, item) {
				return true
			}
		}
		return false
	case table.Negated:
		return !holds(c.Part, item)
	default:
		return false
	}
}

// lookup returns the value at the path. A step into something that is not a map
// finds nothing.
func lookup(item map[string]any, path table.Path) (any, bool) {
	for _, name := range path[:len(path)-1] {
		inner, ok := item[name].(map[string]any)
		if !ok {
			return nil, false
		}
		item = inner
	}
	v, ok := item[path[len(path)-1]]
	return v, ok
}

func compares(c table.Compare, item table.Item) bool {
	stored, _ := lookup(item, c.Path)
	order, ok := order(stored, c.Value)
	if !ok {
		return false
	}
	switch c.Rel {
	case table.Equal:
		return order == 0
	case table.Less:
		return order < 0
	case table.LessOrEqual:
		return order <= 0
	case table.Greater:
		return order > 0
	case table.GreaterOrEqual:
		return order >= 0
	default:
		return false
	}
}

// order compares two values of one type. Bools are only ever asked for equality, so
// any number but zero does for different ones.
func order(stored, given any) (int, bool) {
	switch given := given.(type) {
	case string:
		stored, ok := stored.(string)
		return cmp.Compare(stored, given), ok
	case int64:
		stored, ok := stored.(int64)
		return cmp.Compare(stored, given), ok
	case []byte:
		stored, ok := stored.([]byte)
		return bytes.Compare(stored, given), ok
	case bool:
		stored, ok := stored.(bool)
		if stored != given {
			return 1, ok
		}
		return 0, ok
	default:
		return 0, false
	}
}

func sizeBelow(c table.SizeBelow, item table.Item) bool {
	stored, _ := lookup(item, c.Path)
	var size int
	switch v := stored.(type) {
	case string:
		size = len(v)
	case []byte:
		size = len(v)
	case []any:
		size = len(v)
	case map[string]any:
		size = len(v)
	default:
		return false
	}
	return int64(size) < c.Limit
}
