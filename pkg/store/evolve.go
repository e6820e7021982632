package store

import (
	"maps"
	"reflect"
	"slices"

	"github.com/stepup-auth/stepup/pkg/table"
)

// evolve turns an item from one state into another by the attributes that differ. What
// neither state has stays as it is stored: while a new version is rolled out, the old
// one goes on writing, and must not take away what only the new one knows.
func evolve(key table.Key, before, after table.Item, cond table.Condition) table.Op {
	var changes []table.Change
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if was, had := before[name]; !had || !reflect.DeepEqual(was, after[name]) {
			changes = append(changes, table.Set(table.At(name), after[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, stays := after[name]; !stays {
			changes = append(changes, table.Remove(table.At(name)))
		}
	}
	return table.Update(key, cond, changes...)
}

// left reports whether the item is one that the operation could have left.
func left(op table.Op, stored table.Item) bool {
	switch op.Kind {
	case table.OpPut:
		return reflect.DeepEqual(op.Item, stored)
	case table.OpDelete:
		return stored == nil
	default:
		return !slices.ContainsFunc(op.Changes, func(c table.Change) bool {
			found, has := stored[c.Path[0]]
			return has != (c.Kind == table.ChangeSet) || has && !reflect.DeepEqual(found, c.Value)
		})
	}
}

// written returns the value that the operation gives an attribute, nil when none.
func written(op table.Op, name string) any {
	for _, c := range op.Changes {
		if c.Kind == table.ChangeSet && c.Path[0] == name {
			return c.Value
		}
	}
	return op.Item[name]
}
