package table

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Validate reports whether the write keeps to the rules of the port and of the
// schema: between 1 and MaxTransact operations, no key twice, well-formed keys,
// paths, values and conditions, and index attributes that are non-empty strings.
// What can only be seen next to the stored item is the adapter's to check. The
// error is ErrRefused, because callers inside the project build the writes.
func (w Write) Validate(s Schema) error {
	if n := len(w.Ops); n == 0 || n > MaxTransact {
		return refused("a write has 1 to %d operations, not %d", MaxTransact, n)
	}
	if len(w.Token) > MaxToken {
		return refused("a token has at most %d bytes, not %d", MaxToken, len(w.Token))
	}
	seen := make(map[Key]bool, len(w.Ops))
	for i, op := range w.Ops {
		if seen[op.Key] {
			return refused("operation %d: the key is in the write twice", i)
		}
		seen[op.Key] = true
		if err := op.validate(s); err != nil {
			return refused("operation %d: %w", i, err)
		}
	}
	return nil
}

// ValidateKeys reports whether the keys fit one BatchGet: at most MaxBatch, none
// twice, all well formed. The error is ErrRefused.
func ValidateKeys(keys []Key) error {
	if len(keys) > MaxBatch {
		return refused("a batch has at most %d keys, not %d", MaxBatch, len(keys))
	}
	seen := make(map[Key]bool, len(keys))
	for i, k := range keys {
		if seen[k] {
			return refused("key %d is in the batch twice", i)
		}
		seen[k] = true
		if err := k.validate(); err != nil {
			return refused("key %d: %w", i, err)
		}
	}
	return nil
}

func (k Key) validate() error {
	if err := checkKeyPart(PartitionKey, k.PK, MaxPartitionKey); err != nil {
		return err
	}
	return checkKeyPart(SortKey, k.SK, MaxSortKey)
}

func checkKeyPart(name, part string, limit int) error {
	switch {
	case part == "":
		return fmt.Errorf("%s is empty", name)
	case len(part) > limit:
		return fmt.Errorf("%s has %d bytes, over the limit of %d", name, len(part), limit)
	case !utf8.ValidString(part):
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

func (op Op) validate(s Schema) error {
	if err := op.Key.validate(); err != nil {
		return err
	}
	if op.If != nil {
		if err := checkCondition(op.If); err != nil {
			return err
		}
	}
	switch op.Kind {
	case OpPut:
		return checkItem(op.Key, op.Item, s)
	case OpUpdate:
		return checkChanges(op.Changes, s)
	case OpDelete:
		return nil
	case OpCheck:
		if op.If == nil {
			return errors.New("a check needs a condition")
		}
		return nil
	default:
		return fmt.Errorf("unknown kind of operation %d", op.Kind)
	}
}

func checkItem(key Key, item Item, s Schema) error {
	for name, v := range item {
		if err := checkPath(Path{name}); err != nil {
			return err
		}
		if err := checkValue(v, 1); err != nil {
			return fmt.Errorf("attribute %q: %w", name, err)
		}
		if err := s.checkIndexed(name, v); err != nil {
			return err
		}
	}
	return CheckSize(key, item)
}

func checkChanges(changes []Change, s Schema) error {
	if len(changes) == 0 {
		return errors.New("an update needs a change")
	}
	for i, c := range changes {
		if err := c.validate(s); err != nil {
			return fmt.Errorf("change %d: %w", i, err)
		}
		for _, earlier := range changes[:i] {
			if overlap(c.Path, earlier.Path) {
				return fmt.Errorf("change %d: path %q overlaps another", i, c.Path)
			}
		}
	}
	return nil
}

func (c Change) validate(s Schema) error {
	if err := checkPath(c.Path); err != nil {
		return err
	}
	switch c.Kind {
	case ChangeSet, ChangeSetIfAbsent:
		if err := checkValue(c.Value, len(c.Path)); err != nil {
			return err
		}
	case ChangeAdd:
		if _, ok := c.Value.(int64); !ok {
			return fmt.Errorf("add takes an int64, not %T", c.Value)
		}
	case ChangeRemove:
		return nil
	default:
		return fmt.Errorf("unknown kind of change %d", c.Kind)
	}
	if len(c.Path) > 1 {
		return nil
	}
	return s.checkIndexed(c.Path[0], c.Value)
}

// overlap reports whether one path leads to the other's value or into it.
func overlap(a, b Path) bool {
	n := min(len(a), len(b))
	return slices.Equal(a[:n], b[:n])
}

func checkPath(p Path) error {
	if len(p) == 0 || len(p) > maxDepth {
		return fmt.Errorf("a path has 1 to %d names, not %d", maxDepth, len(p))
	}
	if p[0] == PartitionKey || p[0] == SortKey {
		return fmt.Errorf("%s is the key, not an attribute", p[0])
	}
	for _, name := range p {
		if name == "" || !utf8.ValidString(name) {
			return fmt.Errorf("path %q has a name that is empty or not UTF-8", p)
		}
	}
	return nil
}

// checkValue refuses what is not a value of the port. The depth counts from 1 for
// an attribute's own value.
func checkValue(v any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("values nest deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case int64, bool, []byte:
		return nil
	case string:
		if !utf8.ValidString(v) {
			return errors.New("a string is not UTF-8")
		}
		return nil
	case []any:
		for i, e := range v {
			if err := checkValue(e, depth+1); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		return nil
	case map[string]any:
		for name, e := range v {
			if name == "" || !utf8.ValidString(name) {
				return fmt.Errorf("the name %q is empty or not UTF-8", name)
			}
			if err := checkValue(e, depth+1); err != nil {
				return fmt.Errorf("element %q: %w", name, err)
			}
		}
		return nil
	default:
		return fmt.Errorf("a value of type %T cannot be stored", v)
	}
}

// checkIndexed refuses a value that cannot be the key of the indexes that read it.
func (s Schema) checkIndexed(name string, v any) error {
	for _, index := range s.Indexes {
		var limit int
		switch name {
		case index.PK:
			limit = MaxPartitionKey
		case index.SK:
			limit = MaxSortKey
		default:
			continue
		}
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%s is a key of index %s and must be a string, not %T", name, index.Name, v)
		}
		if err := checkKeyPart(name, text, limit); err != nil {
			return fmt.Errorf("index %s: %w", index.Name, err)
		}
	}
	return nil
}

func checkCondition(c Condition) error {
	switch c := c.(type) {
	case ItemExists, ItemAbsent:
		return nil
	case Present:
		return checkPath(c.Path)
	case SizeBelow:
		return checkPath(c.Path)
	case Compare:
		return checkCompare(c)
	case All:
		return checkParts(c)
	case Any:
		return checkParts(c)
	case Negated:
		return checkCondition(c.Part)
	default:
		return fmt.Errorf("%T is not a condition", c)
	}
}

func checkParts(parts []Condition) error {
	if len(parts) == 0 {
		return errors.New("a combined condition needs a part")
	}
	for _, p := range parts {
		if err := checkCondition(p); err != nil {
			return err
		}
	}
	return nil
}

func checkCompare(c Compare) error {
	if err := checkPath(c.Path); err != nil {
		return err
	}
	if c.Rel < Equal || c.Rel > GreaterOrEqual {
		return fmt.Errorf("unknown relation %d", c.Rel)
	}
	switch v := c.Value.(type) {
	case string:
		return checkValue(v, 1)
	case int64, []byte:
		return nil
	case bool:
		if c.Rel != Equal {
			return errors.New("a bool has no order")
		}
		return nil
	default:
		return fmt.Errorf("a value of type %T cannot be compared", v)
	}
}
