package tabletest

import (
	"testing"

	"github.com/stepup-auth/stepup/pkg/table"
)

var operationCases = []contractCase{
	{"put replaces the whole item", putReplaces},
	{"delete removes, and removing nothing succeeds", deleteRemoves},
	{"check changes nothing", checkChangesNothing},
	{"a conflict on nothing has no old item", conflictOnNothing},
	{"a conflict tells a bare item from none", conflictOnBareItem},
	{"a read sees the write before it", readYourWrite},
}

func putReplaces(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, table.Item{"a": "x", "b": "y"}, nil))
	write(t, tb, table.Put(key, table.Item{"b": "z"}, nil))
	wantItem(t, tb, key, table.Item{"b": "z"})
	write(t, tb, table.Put(key, nil, nil))
	wantItem(t, tb, key, table.Item{})
}

func deleteRemoves(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, table.Item{"a": "x"}, nil))
	write(t, tb, table.Delete(key, nil))
	wantItem(t, tb, key, nil)
	write(t, tb, table.Delete(key, nil))
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Delete(key, table.Exists())}})
	wantConflict(t, err, table.Failure{Op: 0})
}

func checkChangesNothing(t *testing.T, tb table.Table) {
	write(t, tb, table.Check(key, table.NotExists()))
	wantItem(t, tb, key, nil)
	write(t, tb, table.Put(key, table.Item{"a": "x"}, nil))
	write(t, tb, table.Check(key, table.Exists()))
	wantItem(t, tb, key, table.Item{"a": "x"})
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Check(key, table.NotExists())}})
	wantConflict(t, err, table.Failure{Op: 0, Old: table.Item{"a": "x"}})
}

func conflictOnNothing(t *testing.T, tb table.Table) {
	for _, op := range []table.Op{
		table.Put(key, nil, table.Exists()),
		table.Update(key, table.Exists(), table.Set(table.At("a"), "x")),
		table.Delete(key, table.Exists()),
		table.Check(key, table.Exists()),
	} {
		err := tb.Write(t.Context(), table.Write{Ops: []table.Op{op}})
		wantConflict(t, err, table.Failure{Op: 0, Old: nil})
	}
}

func conflictOnBareItem(t *testing.T, tb table.Table) {
	write(t, tb, table.Put(key, nil, nil))
	err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, nil, table.NotExists())}})
	wantConflict(t, err, table.Failure{Op: 0, Old: table.Item{}})
}

func readYourWrite(t *testing.T, tb table.Table) {
	for n := range int64(20) {
		write(t, tb, table.Put(key, table.Item{"n": n}, nil))
		wantItem(t, tb, key, table.Item{"n": n})
		page, err := tb.Query(t.Context(), table.Query{PK: key.PK})
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Rows) != 1 || page.Rows[0].Attrs["n"] != n {
			t.Fatalf("query after write %d: %v", n, page.Rows)
		}
	}
}
