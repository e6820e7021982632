// Package canary owns the search for secrets: it knows those that a test planted, and
// finds each of them in any stream of bytes, in every form in which it could have got there.
//
// What is allowed where is one table, Allowed, with a reason for each entry. Everything
// else that is found is a defect.
package canary

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Kind is what a secret is.
type Kind string

// The kinds.
const (
	Password  Kind = "password"
	Hash      Kind = "password hash"
	Code      Kind = "code" // one-time: by SMS, by mail, of an app, of a link
	Recovery  Kind = "recovery code"
	Seed      Kind = "TOTP seed"
	Token     Kind = "session token"
	APIKey    Kind = "API key"
	Federated Kind = "secret of a sign-in elsewhere" // tokens, state, code, client secret
	Assertion Kind = "assertion"
	MasterKey Kind = "master key"
	Number    Kind = "phone number"
	Address   Kind = "mail address"
	Name      Kind = "name"
)

// Sink is where bytes end up.
type Sink string

// The sinks.
const (
	Log     Sink = "log"
	Metrics Sink = "metrics"
	Traces  Sink = "traces"
	Refusal Sink = "refusal" // status, header and body of an answer that refuses
	Events  Sink = "events"
	Store   Sink = "store"
)

// Allowed has what may be found in a sink, with the reason. docs/proof.md lists the same.
var Allowed = map[Sink]map[Kind]string{
	Store: {
		Address: "messages go there, and people are found by it",
		Number:  "messages go there, and people are found by it",
		Name:    "it is shown, and people sign in with it",
		Hash:    "it is what is kept in the place of a password",
	},
}

// Ledger knows secrets. The zero value knows none. It is safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex // guards the rest
	planted map[string]Kind
	except  []string
	made    *needles // of what is planted; nil when that has changed
}

// most is how many secrets are known at most, so that a run of hours ends: it is more than
// any test makes.
const most = 20_000

// Plant notes secrets of a kind, with what they stand for. A value that any text may hold
// by chance is not noted: see Distinct.
func (l *Ledger) Plant(k Kind, values ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.planted == nil {
		l.planted = make(map[string]Kind)
	}
	for _, value := range values {
		for _, v := range parts(k, value) {
			if _, known := l.planted[v]; !known && len(l.planted) < most && Distinct(v) && !slices.Contains(l.except, v) {
				l.planted[v], l.made = k, nil
			}
		}
	}
}

// parts are a secret and those of its parts that are secrets as well.
func parts(k Kind, value string) []string {
	all := []string{value}
	switch k {
	case Token, APIKey:
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(value, "stepup_"))
		if err != nil {
			return all
		}
		all = append(all, string(raw))
		if proof := len(raw) - 32; proof > 0 { // a token ends with its MAC, and a key with its secret and a MAC
			all = append(all, string(raw[proof:]))
			if k == APIKey && proof > 32 {
				all = append(all, string(raw[proof-32:proof]))
			}
		}
	case Seed:
		if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(value); err == nil {
			all = append(all, string(raw))
		}
	case Recovery:
		all = append(all, strings.ReplaceAll(value, "-", ""))
	case Number:
		all = []string{strings.TrimPrefix(value, "+")}
	case Address, Name:
		all = append(all, strings.ToLower(value))
	default:
	}
	return all
}

// Distinct reports whether a value can be searched for: it has six digits at least, or
// seven bytes of which not all are lower-case letters, or twelve, and not one byte only.
func Distinct(value string) bool {
	switch {
	case digits(value):
		return len(value) >= 6
	case value == strings.Repeat(value[:1], len(value)):
		return false
	case strings.Trim(value, "abcdefghijklmnopqrstuvwxyz") == "":
		return len(value) >= 12
	default:
		return len(value) >= 7
	}
}

func digits(value string) bool { return strings.Trim(value, "0123456789") == "" }

// Adopt notes what another ledger knows.
func (l *Ledger) Adopt(other *Ledger) {
	other.mu.Lock()
	known := maps.Clone(other.planted)
	other.mu.Unlock()
	for value, kind := range known {
		l.Plant(kind, value)
	}
}

// Except has values never be planted, because a test uses them as something else as well,
// such as an id. It says so where it does.
func (l *Ledger) Except(values ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.except = append(l.except, values...)
}

// Len is how many secrets are known, parts included.
func (l *Ledger) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.planted)
}

// Finding is a secret where it must not be.
type Finding struct {
	Kind Kind
	// Form is how it is written there, and Near what is around it.
	Form, Near string
}

// String describes the finding.
func (f Finding) String() string { return fmt.Sprintf("%s, %s, in …%q…", f.Kind, f.Form, f.Near) }

// Search returns what is in a sink and not allowed there: each secret once, in the order
// in which they are found.
func (l *Ledger) Search(where Sink, what []byte) []Finding {
	n := l.needles()
	if len(n.by) == 0 {
		return nil
	}
	var all []Finding
	seen := make(map[string]bool)
	for at := range what {
		for _, found := range n.at(what, at) {
			if _, allowed := Allowed[where][found.kind]; !allowed && !seen[found.secret] {
				seen[found.secret] = true
				near := what[max(0, at-40):min(len(what), at+len(found.text)+10)]
				all = append(all, Finding{found.kind, found.form, string(bytes.ToValidUTF8(near, []byte("?")))})
			}
		}
	}
	return all
}

// stem is how many bytes of a needle it is looked up by, the length of the shortest.
const stem = 6

// needle is one form of one secret.
type needle struct {
	text, form, secret string
	kind               Kind
	alone              bool // it counts only where no letter or digit is next to it
}

// needles are all forms of what is looked for, by their first bytes.
type needles struct {
	by     map[string][]needle
	starts [1 << 16]bool // by the first two bytes, for most of what is searched is none
}

func (l *Ledger) needles() *needles {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.made != nil {
		return l.made
	}
	n := &needles{by: make(map[string][]needle)}
	for secret, kind := range l.planted {
		for _, f := range forms(secret) {
			n.add(needle{text: f.text, form: f.name, secret: secret, kind: kind, alone: f.text == secret && digits(secret) && len(secret) <= 8})
		}
	}
	l.made = n
	return n
}

func (n *needles) add(one needle) {
	key := one.text[:stem]
	n.by[key] = append(n.by[key], one)
	n.starts[int(key[0])<<8|int(key[1])] = true
}

// at returns the needles that begin at a place.
func (n *needles) at(what []byte, at int) []needle {
	if len(what)-at < stem || !n.starts[int(what[at])<<8|int(what[at+1])] {
		return nil
	}
	var found []needle
	for _, one := range n.by[string(what[at:at+stem])] {
		end := at + len(one.text)
		if end > len(what) || string(what[at:end]) != one.text {
			continue
		}
		if one.alone && (goesOn(what[:at]) || end < len(what) && wordy(what[end])) {
			continue
		}
		found = append(found, one)
	}
	return found
}

// goesOn reports whether what is before digits makes them part of something longer. The
// escape of a URL does not.
func goesOn(before []byte) bool {
	n := len(before)
	return n > 0 && wordy(before[n-1]) && (n < 3 || before[n-3] != '%')
}

// wordy reports whether a byte next to digits makes them part of something longer, such as
// a time or an id.
func wordy(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
