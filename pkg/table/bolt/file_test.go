package bolt_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// reopen opens the file, lets f look at it and closes it again.
func reopen(t *testing.T, path string, schema table.Schema, f func(*bolt.Store)) {
	t.Helper()
	s, err := bolt.Open(path, schema, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenTellsWhatIsWrongWithTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database ", 10000)), 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "locked")
	reopen(t, locked, table.Schema{}, func(*bolt.Store) {
		for want, c := range map[string]struct {
			path string
			err  error
		}{
			"another process has the file open": {locked, table.ErrUnavailable},
			"no such file or directory":         {filepath.Join(dir, "missing", "store"), table.ErrUnavailable},
			"is a directory":                    {dir, table.ErrUnavailable},
			"invalid database":                  {garbage, table.ErrCorrupt},
		} {
			_, err := bolt.Open(c.path, table.Schema{}, bolt.Options{Timeout: time.Millisecond})
			if !errors.Is(err, c.err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%s: got %v", want, err)
			}
		}
	})
}

func TestItemsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) {
		put(t, s, "a", table.Item{"byUser": "u", "born": "1", "ttl": int64(1)})
	})
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) {
		wantLeft(t, s, "a")
		if n := sweep(t, s, 100, 10); n != 1 {
			t.Errorf("removed %d", n)
		}
	})
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) { wantLeft(t, s) })
}

func TestFileWithAListOfFreePagesOpens(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) { put(t, s, "a", nil) })
	db, err := bbolt.Open(path, 0o600, nil) // as earlier versions opened it
	if err != nil {
		t.Fatal(err)
	}
	touch := func(tx *bbolt.Tx) error { return tx.Bucket([]byte("items")).SetSequence(1) }
	if err := errors.Join(db.Update(touch), db.Close()); err != nil {
		t.Fatal(err)
	}
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) { put(t, s, "b", nil) })
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) { wantLeft(t, s, "a", "b") })
}

func TestIndexesFollowTheSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	none := table.Schema{}
	byUser := table.Schema{TTL: "ttl", Indexes: []table.Index{{Name: "index", PK: "user", SK: "born"}}}
	byAgent := table.Schema{TTL: "end", Indexes: []table.Index{{Name: "index", PK: "agent", SK: "born"}}}
	rows := func(s *bolt.Store, pk string) int {
		page, err := s.Query(t.Context(), table.Query{Index: "index", PK: pk})
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Rows)
	}
	reopen(t, path, none, func(s *bolt.Store) {
		put(t, s, "a", table.Item{"user": "u", "agent": "x", "born": "1", "ttl": int64(1), "end": int64(2)})
		put(t, s, "b", table.Item{"user": "u", "born": "2"})
	})
	reopen(t, path, byUser, func(s *bolt.Store) {
		if n := rows(s, "u"); n != 2 {
			t.Errorf("a new index has %d rows of 2", n)
		}
	})
	reopen(t, path, byAgent, func(s *bolt.Store) {
		if n := rows(s, "x"); n != 1 || rows(s, "u") != 0 {
			t.Errorf("a changed index has %d rows of 1", n)
		}
		// While byUser is not in the schema, its buckets are not kept up.
		put(t, s, "b", nil)
		if n := sweep(t, s, 2, 10); n != 0 {
			t.Errorf("the old expiry attribute removed %d", n)
		}
	})
	reopen(t, path, byUser, func(s *bolt.Store) {
		if n := rows(s, "u"); n != 1 {
			t.Errorf("an index that came back has %d rows of 1", n)
		}
	})
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	var s *bolt.Store
	reopen(t, filepath.Join(t.TempDir(), "store"), tabletest.Schema(), func(opened *bolt.Store) { s = opened })
	key := table.Key{PK: "P", SK: "S"}
	_, getErr := s.Get(t.Context(), key)
	_, queryErr := s.Query(t.Context(), table.Query{PK: "P"})
	_, sweepErr := s.Sweep(t.Context(), time.Unix(1, 0), 1)
	writeErr := s.Write(t.Context(), table.Write{Ops: []table.Op{table.Delete(key, nil)}})
	for call, err := range map[string]error{"Get": getErr, "Query": queryErr, "Sweep": sweepErr, "Write": writeErr} {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestDamagedItemIsCorruptAndNotOverwritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	key := table.Key{PK: "P", SK: "S"}
	reopen(t, path, table.Schema{}, func(s *bolt.Store) { put(t, s, key.SK, nil) })
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	damage := func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("items")).Put(bolt.Tuple(key.PK, key.SK), []byte("damage"))
	}
	if err := errors.Join(db.Update(damage), db.Close()); err != nil {
		t.Fatal(err)
	}
	reopen(t, path, table.Schema{}, func(s *bolt.Store) {
		_, getErr := s.Get(t.Context(), key)
		_, queryErr := s.Query(t.Context(), table.Query{PK: "P"})
		dumpErr := s.Dump(t.Context(), func(table.Row) error { return nil })
		writeErr := s.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, nil, nil)}})
		for call, err := range map[string]error{"Get": getErr, "Query": queryErr, "Dump": dumpErr, "Write": writeErr} {
			if !errors.Is(err, table.ErrCorrupt) {
				t.Errorf("%s: %v", call, err)
			}
		}
	})
}

func TestTokensAreRememberedAndInTheEndForgotten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	tokened := func(token string) table.Write {
		return table.Write{Token: token, Ops: []table.Op{
			table.Update(table.Key{PK: "N", SK: "N"}, nil, table.Add(table.At("n"), 1)),
			table.Delete(table.Key{PK: "N", SK: "none"}, nil),
		}}
	}
	count := func(s *bolt.Store) int64 {
		item, err := s.Get(t.Context(), table.Key{PK: "N", SK: "N"})
		if err != nil {
			t.Fatal(err)
		}
		return item["n"].(int64)
	}
	write := func(s *bolt.Store, token string) {
		if err := s.Write(t.Context(), tokened(token)); err != nil {
			t.Fatal(err)
		}
	}
	reopen(t, path, table.Schema{}, func(s *bolt.Store) { write(s, "first") })
	reopen(t, path, table.Schema{}, func(s *bolt.Store) {
		write(s, "first")
		if n := count(s); n != 1 {
			t.Errorf("a restart lost the token: applied %d times", n)
		}
	})
	s, err := bolt.Open(path, table.Schema{}, bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < bolt.KeptTokens; i++ {
		write(s, fmt.Sprint(i))
	}
	write(s, "first") // the oldest that is still known
	if n := count(s); n != bolt.KeptTokens {
		t.Errorf("a token was forgotten too early: applied %d times", n)
	}
	write(s, "last")
	write(s, "first") // forgotten
	if n := count(s); n != bolt.KeptTokens+2 {
		t.Errorf("a token is kept forever: applied %d times", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// crashFile names the file that a child of TestWritesSurviveAKill writes to.
const crashFile = "BOLT_TEST_CRASH_FILE"

// TestWritesSurviveAKill kills a process that writes as fast as it can, and then
// looks for every write that the process has reported.
func TestWritesSurviveAKill(t *testing.T) {
	if path := os.Getenv(crashFile); path != "" {
		writeForever(t, path)
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store")
	child := exec.Command(os.Args[0], "-test.run=^TestWritesSurviveAKill$")
	child.Env = append(os.Environ(), crashFile+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	reported := readUntilKilled(t, child.Process, bufio.NewScanner(out))
	_ = child.Wait() // it was killed, and says so
	if reported < killAfter {
		t.Fatalf("the child reported only %d writes", reported)
	}
	reopen(t, path, tabletest.Schema(), func(s *bolt.Store) {
		stored := len(left(t, s))
		if stored < reported {
			t.Errorf("%d writes were reported and %d are there", reported, stored)
		}
		page, err := s.Query(t.Context(), table.Query{Index: "byUser", PK: "u"})
		if err != nil || len(page.Rows) != stored {
			t.Errorf("the index has %d of %d items, %v", len(page.Rows), stored, err)
		}
	})
}

// killAfter is how many reports the child gets to make.
const killAfter = 50

func readUntilKilled(t *testing.T, child *os.Process, lines *bufio.Scanner) int {
	t.Helper()
	reported := 0
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			continue // the test framework's own output
		}
		if reported = n; reported == killAfter {
			if err := child.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return reported
}

func writeForever(t *testing.T, path string) {
	s, err := bolt.Open(path, tabletest.Schema(), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; ; i++ {
		put(t, s, fmt.Sprintf("%06d", i), table.Item{"byUser": "u", "born": strconv.Itoa(i)})
		fmt.Println(i)
	}
}
