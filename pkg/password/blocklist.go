package password

import (
	_ "embed" // the list of common passwords
	"errors"
	"iter"
	"strings"
	"unicode/utf8"
)

// common is made by make generate, from a list of passwords that leaked. It is text in
// the binary that is only looked through when somebody sets a password, so that a start
// costs nothing.
//
//go:embed common.txt
var common string

// Common returns the passwords of at least 8 characters among the 47,000 that leaked
// most often: more than 15,000.
func Common() Blocklist { return Blocklist(common) }

// Blocklist is a set of passwords that nobody may choose: a text with one on each line,
// in any order and any mix of capitals. The zero value blocks nothing.
type Blocklist string

// ParseBlocklist reads the text of a list. The error says what is wrong with one that is
// not UTF-8 or has no password in it.
func ParseBlocklist(text []byte) (Blocklist, error) {
	if !utf8.Valid(text) {
		return "", errors.New("the list is not UTF-8")
	}
	list := Blocklist(text)
	for range list.words() {
		return list, nil
	}
	return "", errors.New("the list has no password in it")
}

// words are the lines that are not empty.
func (b Blocklist) words() iter.Seq[string] {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(string(b), "\n") {
			if word := strings.TrimSuffix(line, "\r"); word != "" && !yield(word) {
				return
			}
		}
	}
}

// Contains reports whether plain is on the list, as a whole (NIST SP 800-63B-4
// section 3.1.1.2 compares whole passwords) and in any mix of capitals, since a
// capital first letter is the first thing that a guesser tries. It reads the list from
// its beginning, which takes a millisecond for about a hundred thousand passwords,
// far less than the hash that a new password costs.
func (b Blocklist) Contains(plain string) bool {
	for word := range b.words() {
		if strings.EqualFold(word, plain) {
			return true
		}
	}
	return false
}

// With returns the set of the passwords that are on either list.
func (b Blocklist) With(other Blocklist) Blocklist { return b + "\n" + other }
