package bolt_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

func sample() table.Item {
	return table.Item{
		"text": "naïve", "number": int64(-300), "yes": true, "no": false, "bytes": []byte{0, 255},
		"list": []any{"a", int64(1), []any{}, map[string]any{}}, "map": map[string]any{"b": int64(1), "a": []byte{}},
	}
}

func TestEqualItemsHaveEqualBytes(t *testing.T) {
	t.Parallel()
	first := bolt.EncodeItem(sample())
	for range 20 {
		if !bytes.Equal(first, bolt.EncodeItem(sample())) {
			t.Fatal("the encoding depends on the order of a map")
		}
	}
}

// TestStoredFormIsStable pins the format of files that are already on disks.
func TestStoredFormIsStable(t *testing.T) {
	t.Parallel()
	item := table.Item{"t": "x", "n": int64(-1), "y": true, "f": false, "b": []byte{7}, "l": []any{int64(2)}, "m": map[string]any{"k": ""}}
	want := []byte("\x01\x07" +
		"\x01b\x05\x01\x07" + "\x01f\x03" + "\x01l\x06\x01\x02\x04" + "\x01m\x07\x01\x01k\x01\x00" +
		"\x01n\x02\x01" + "\x01t\x01\x01x" + "\x01y\x04")
	if got := bolt.EncodeItem(item); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	got, err := bolt.DecodeItem(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(item, got); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestMalformedItemsAreCorrupt(t *testing.T) {
	t.Parallel()
	good := bolt.EncodeItem(sample())
	cases := map[string][]byte{
		"nothing":           {},
		"another version":   append([]byte{2}, good[1:]...),
		"something behind":  append(slices.Clone(good), 0),
		"an unknown tag":    []byte("\x01\x01\x01a\x63"),
		"a huge count":      []byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
		"a huge text":       []byte("\x01\x01\x01a\x01\xff\xff\xff\xff\x0fx"),
		"an endless varint": []byte("\x01\x01\x01a\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"a name twice":      []byte("\x01\x02\x01a\x03\x01a\x03"),
		"names unsorted":    []byte("\x01\x02\x01b\x03\x01a\x03"),
		"too deep":          []byte("\x01\x01\x01a" + strings.Repeat("\x06\x01", 100) + "\x03"),
	}
	for i := range good {
		cases["cut at "+string(rune('A'+i))] = good[:i]
	}
	for name, b := range cases {
		if item, err := bolt.DecodeItem(b); !errors.Is(err, table.ErrCorrupt) || item != nil {
			t.Errorf("%s: got %v, %v", name, item, err)
		}
	}
}

func FuzzDecodeItem(f *testing.F) {
	f.Add(bolt.EncodeItem(sample()))
	f.Add(bolt.EncodeItem(table.Item{}))
	f.Add([]byte("\x01\x02\x01b\x03\x01a\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		item, err := bolt.DecodeItem(b)
		if err != nil {
			return
		}
		again, err := bolt.DecodeItem(bolt.EncodeItem(item))
		if err != nil {
			t.Fatalf("%v does not survive its own encoding: %v", item, err)
		}
		if diff := cmp.Diff(item, again); diff != "" {
			t.Fatalf("changed by a round trip (-before +after):\n%s", diff)
		}
	})
}

func FuzzTuple(f *testing.F) {
	f.Add("a", "b", "a", "c")
	f.Add("a\x00", "b", "a", "\x00b")
	f.Add("", "\x00\x01", "\x00", "\x01")
	f.Add("a\x00\xff", "", "a", "\xff")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		x, y := bolt.Tuple(a, b), bolt.Tuple(c, d)
		parts, err := bolt.Untuple(x, 2)
		if err != nil || parts[0] != a || parts[1] != b {
			t.Fatalf("%q became %q, %v", []string{a, b}, parts, err)
		}
		if got, want := bytes.Compare(x, y), slices.Compare([]string{a, b}, []string{c, d}); got != want {
			t.Fatalf("%q and %q compare %d, their keys %d", []string{a, b}, []string{c, d}, want, got)
		}
	})
}

func FuzzUntuple(f *testing.F) {
	f.Add(bolt.Tuple("a", "b"))
	f.Add([]byte("a\x00b\x00\x01c\x00\x01"))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := bolt.Untuple(b, 2)
		if err == nil && !bytes.Equal(bolt.Tuple(parts...), b) {
			t.Fatalf("%q has two forms: %q", parts, b)
		}
	})
}
