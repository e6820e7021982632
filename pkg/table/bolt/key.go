package bolt

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/stepup-auth/stepup/pkg/table"
)

// A tuple is a list of strings as one byte string whose bytewise order is the order
// of the lists: each part has its zero bytes written as 00 FF and ends with 00 01.
// No part can run into the next, whatever bytes it has.
const (
	terminator  = "\x00\x01"
	escapedZero = "\x00\xff"
	// pastEqual in place of the last terminator sorts behind every tuple that
	// begins with the same parts and before every tuple with a longer last part.
	pastEqual = "\x00\x02"
	// pastPrefix behind an escaped text sorts behind every text that begins with
	// it, because no byte of UTF-8 is as large.
	pastPrefix = "\xff"
)

func escape(part string) string { return strings.ReplaceAll(part, "\x00", escapedZero) }

func tuple(parts ...string) []byte {
	size := 0
	for _, p := range parts {
		size += len(p) + len(terminator)
	}
	b := make([]byte, 0, size) // a zero byte, which grows, is rare
	for _, p := range parts {
		b = append(b, escape(p)...)
		b = append(b, terminator...)
	}
	return b
}

// untuple splits a tuple into exactly n parts.
func untuple(b []byte, n int) ([]string, error) {
	parts := make([]string, 0, n)
	for len(b) > 0 && len(parts) < n {
		end := bytes.Index(b, []byte(terminator))
		if end < 0 {
			break
		}
		part := string(b[:end])
		if strings.Count(part, "\x00") != strings.Count(part, escapedZero) {
			break
		}
		parts = append(parts, strings.ReplaceAll(part, escapedZero, "\x00"))
		b = b[end+len(terminator):]
	}
	if len(parts) != n || len(b) > 0 {
		return nil, table.ErrCorrupt.Wrap(fmt.Errorf("a stored key is not a list of %d parts", n))
	}
	return parts, nil
}

func itemKey(k table.Key) []byte { return tuple(k.PK, k.SK) }

func decodeRow(k, v []byte) (table.Key, table.Item, error) {
	parts, err := untuple(k, 2)
	if err != nil {
		return table.Key{}, nil, err
	}
	item, err := decodeItem(v)
	if err != nil {
		return table.Key{}, nil, err
	}
	return table.Key{PK: parts[0], SK: parts[1]}, item, nil
}
