package store

import (
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/table"
)

// record reads and writes the attributes of one item. Zero values are not stored.
// Reading remembers the first attribute that has an unexpected type, so that a
// decoder reads all fields and asks once.
type record struct {
	item table.Item
	err  error
}

func newRecord() *record { return &record{item: table.Item{}} }

// put stores the value unless it is its type's zero value.
func put[T string | int64 | bool](r *record, name string, v T) {
	var zero T
	if v != zero {
		r.item[name] = v
	}
}

// putTime stores a time as microseconds since 1970.
func (r *record) putTime(name string, t time.Time) {
	if !t.IsZero() {
		r.item[name] = t.UnixMicro()
	}
}

func (r *record) putBytes(name string, b []byte) {
	if len(b) > 0 {
		r.item[name] = b
	}
}

// putMap stores a nested map unless it is empty.
func (r *record) putMap(name string, m map[string]any) {
	if len(m) > 0 {
		r.item[name] = m
	}
}

// get returns the attribute, or the zero value when it is absent.
func get[T string | int64 | bool | []byte | []any | map[string]any](r *record, name string) T {
	var zero T
	v, present := r.item[name]
	if !present {
		return zero
	}
	typed, ok := v.(T)
	if !ok && r.err == nil {
		r.err = fmt.Errorf("attribute %q holds %T, not %T", name, v, zero)
	}
	return typed
}

func (r *record) getTime(name string) time.Time {
	if us := get[int64](r, name); us != 0 {
		return time.UnixMicro(us).UTC()
	}
	return time.Time{}
}

// nested returns a record over a map inside this one; its errors are the caller's
// to collect with adopt.
func (r *record) nested(name string) *record {
	return &record{item: get[map[string]any](r, name)}
}

// adopt takes over the error of a nested record.
func (r *record) adopt(n *record) {
	if r.err == nil {
		r.err = n.err
	}
}
