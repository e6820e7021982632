package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/stepup-auth/stepup/pkg/table"
)

// The stored form of an item is a version byte and the item as a map. Each value is
// a tag and its content; lengths and counts are unsigned varints, numbers are
// zigzag varints, and maps are written in the order of their names, so that equal
// items have equal bytes.
const codecVersion = 1

const (
	tagString = iota + 1
	tagNumber
	tagFalse
	tagTrue
	tagBytes
	tagList
	tagMap
)

// maxNesting bounds the decoder's recursion. It is above what the port admits.
const maxNesting = 64

var errMalformed = errors.New("malformed item")

func encodeItem(item table.Item) []byte {
	return appendMap([]byte{codecVersion}, item)
}

// appendValue appends a value that the port has validated. Another type is a
// mistake of this package.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(append(b, tagString), v)
	case int64:
		return binary.AppendVarint(append(b, tagNumber), v)
	case bool:
		if v {
			return append(b, tagTrue)
		}
		return append(b, tagFalse)
	case []byte:
		return appendText(append(b, tagBytes), v)
	case []any:
		b = binary.AppendUvarint(append(b, tagList), uint64(len(v)))
		for _, e := range v {
			b = appendValue(b, e)
		}
		return b
	case map[string]any:
		return appendMap(append(b, tagMap), v)
	default:
		panic(fmt.Sprintf("bolt: value of type %T passed validation", v))
	}
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendMap(b []byte, m map[string]any) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b = appendValue(appendText(b, name), m[name])
	}
	return b
}

// decodeItem returns the item, which shares no memory with b. The error is
// table.ErrCorrupt.
func decodeItem(b []byte) (table.Item, error) {
	if len(b) == 0 || b[0] != codecVersion {
		return nil, table.ErrCorrupt.Wrap(fmt.Errorf("%w: unknown version", errMalformed))
	}
	d := decoder{rest: b[1:]}
	item := d.mapping(0)
	if d.failed || len(d.rest) > 0 {
		return nil, table.ErrCorrupt.Wrap(errMalformed)
	}
	return item, nil
}

// decoder reads values off the front of rest. After a failure it returns zero
// values, so that callers look once, at the end.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) fail() {
	d.failed, d.rest = true, nil
}

func (d *decoder) value(depth int) any {
	if len(d.rest) == 0 || depth > maxNesting {
		d.fail()
		return nil
	}
	tag := d.rest[0]
	d.rest = d.rest[1:]
	switch tag {
	case tagString:
		return string(d.text())
	case tagNumber:
		return d.number()
	case tagFalse, tagTrue:
		return tag == tagTrue
	case tagBytes:
		return append([]byte{}, d.text()...)
	case tagList:
		return d.list(depth)
	case tagMap:
		return d.mapping(depth)
	default:
		d.fail()
		return nil
	}
}

func (d *decoder) number() int64 {
	n, used := binary.Varint(d.rest)
	if used <= 0 {
		d.fail()
		return 0
	}
	d.rest = d.rest[used:]
	return n
}

// count reads a length or a count. Each counted thing takes at least a byte, so a
// count beyond the rest is false, and no forged one makes the decoder allocate.
func (d *decoder) count() int {
	n, used := binary.Uvarint(d.rest)
	if used <= 0 || n > uint64(len(d.rest)-used) {
		d.fail()
		return 0
	}
	d.rest = d.rest[used:]
	return int(n)
}

func (d *decoder) text() []byte {
	n := d.count()
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) list(depth int) []any {
	n := d.count()
	list := make([]any, 0, n)
	for range n {
		list = append(list, d.value(depth+1))
	}
	return list
}

func (d *decoder) mapping(depth int) map[string]any {
	n := d.count()
	m := make(map[string]any, n)
	last := ""
	for i := range n {
		name := string(d.text())
		if i > 0 && name <= last {
			d.fail()
		}
		m[name], last = d.value(depth+1), name
	}
	return m
}
