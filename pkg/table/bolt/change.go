package bolt

import (
	"errors"
	"fmt"
	"maps"

	"github.com/stepup-auth/stepup/pkg/table"
)

var (
	errNoParent  = errors.New("the parent is not a map")
	errNotNumber = errors.New("the value is not a number")
	errOverflow  = errors.New("the sum does not fit")
)

// apply returns the item with the changes. What they change is a copy, because the old
// item is still needed to find its index entries; the rest is shared. The paths do not
// overlap, so their order does not matter.
func apply(old table.Item, changes []table.Change) (table.Item, error) {
	item := make(table.Item, len(old)+len(changes))
	maps.Copy(item, old)
	for i, c := range changes {
		if err := applyOne(item, c); err != nil {
			return nil, fmt.Errorf("change %d at %q: %w", i, c.Path, err)
		}
	}
	return item, nil
}

// applyOne makes one change on item, of which the first level is its own.
func applyOne(item table.Item, c table.Change) error {
	parent, err := parentOf(item, c.Path)
	if err != nil {
		return err
	}
	name := c.Path[len(c.Path)-1]
	switch c.Kind {
	case table.ChangeSet:
		parent[name] = c.Value
	case table.ChangeSetIfAbsent:
		if _, ok := parent[name]; !ok {
			parent[name] = c.Value
		}
	case table.ChangeRemove:
		delete(parent, name)
	case table.ChangeAdd:
		delta, _ := c.Value.(int64) // always one in a valid change
		return add(parent, name, delta)
	}
	return nil
}

// parentOf returns the map that the path ends in, after making a copy of each map below the
// first level on the way to it.
func parentOf(item map[string]any, path table.Path) (map[string]any, error) {
	for _, name := range path[:len(path)-1] {
		inner, ok := item[name].(map[string]any)
		if !ok {
			return nil, errNoParent
		}
		inner = maps.Clone(inner)
		item[name], item = inner, inner
	}
	return item, nil
}

func add(parent map[string]any, name string, delta int64) error {
	stored, ok := parent[name]
	if !ok {
		stored = int64(0)
	}
	n, ok := stored.(int64)
	if !ok {
		return errNotNumber
	}
	sum := n + delta
	if (sum > n) != (delta > 0) && delta != 0 {
		return errOverflow
	}
	parent[name] = sum
	return nil
}
