package bolt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

func TestChangesLeaveTheOldItemAlone(t *testing.T) {
	t.Parallel()
	old := func() table.Item {
		return table.Item{"a": int64(1), "gone": "x", "m": map[string]any{"n": map[string]any{"o": "p"}, "q": true}}
	}
	given := old()
	got, err := bolt.Apply(given, []table.Change{
		table.Set(table.At("a"), int64(2)), table.Remove(table.At("gone")),
		table.Set(table.At("m", "n", "o"), "new"), table.Remove(table.At("m", "q")),
	})
	want := table.Item{"a": int64(2), "m": map[string]any{"n": map[string]any{"o": "new"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got:\n%s", err, diff)
	}
	if diff := cmp.Diff(old(), given); diff != "" {
		t.Errorf("the old item changed:\n%s", diff)
	}
}
