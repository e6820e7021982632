package migration

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/stepup-auth/stepup/pkg/user"
)

// MaxLine is the longest line that is read, in bytes. A user with all that a user can
// have takes less than half.
const MaxLine = 256 << 10

// maxDocument bounds a file that is read as a whole, in bytes.
const maxDocument = 512 << 20

var errLong = fmt.Errorf("has more than %d bytes", MaxLine)

// lines reads a file with one user on each line, of which the next is the first-th; empty
// lines are passed over.
func lines(r io.Reader, first int, decode func([]byte) (user.Portable, []string, error)) Source {
	return Source{Entries: func(yield func(Entry, error) bool) {
		for line, err := range eachLine(r, first) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			e := Entry{Line: line.number, Err: line.err}
			if e.Err == nil {
				e.User, e.Lost, e.Err = decode(line.text)
			}
			if !yield(e, nil) {
				return
			}
		}
	}}
}

// line is one that is not empty. Its text is good until the next one is read.
type line struct {
	number int
	text   []byte
	err    error // too long
}

func eachLine(r io.Reader, first int) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		buffered := bufio.NewReaderSize(r, MaxLine)
		for number := first; ; number++ {
			text, err := buffered.ReadSlice('\n')
			l := line{number: number, text: bytes.TrimSpace(text)}
			for errors.Is(err, bufio.ErrBufferFull) {
				l.text, l.err = nil, errLong
				_, err = buffered.ReadSlice('\n')
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(line{}, fmt.Errorf("line %d: %w", number, err))
				return
			}
			if (len(l.text) > 0 || l.err != nil) && !yield(l, nil) {
				return
			}
			if err != nil {
				return
			}
		}
	}
}

// From passes over the entries before a line.
func From(line int, entries iter.Seq2[Entry, error]) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range entries {
			if (err != nil || e.Line >= line) && !yield(e, err) {
				return
			}
		}
	}
}

// document reads a file that is one JSON document.
func document(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxDocument:
		return nil, fmt.Errorf("the file has more than %d bytes", maxDocument)
	}
	return text, nil
}

// elements are the users of a document.
func elements[T any](all []T, decode func(T) (user.Portable, []string, error)) Source {
	return Source{Total: len(all), Entries: func(yield func(Entry, error) bool) {
		for i, element := range all {
			e := Entry{Line: i + 1}
			e.User, e.Lost, e.Err = decode(element)
			if !yield(e, nil) {
				return
			}
		}
	}}
}
