package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const maxIDLen = 8

// validID reports whether id is 1 to 8 characters of a-z and 0-9. Ids this short
// cannot be a key that somebody put in the wrong place, so errors may print them.
func validID(id string) bool {
	if len(id) < 1 || len(id) > maxIDLen {
		return false
	}
	for i := range len(id) {
		if c := id[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Parse reads a ring from its JSON text:
//
//	{"current":"k1","keys":{"k1":"<32 bytes in base64>"}}
//
// Key ids are 1 to 8 characters of a-z and 0-9. Unknown and repeated fields, keys
// of another length and a current key that is not there are errors. An error names
// what is wrong and never contains anything that could be key material, even when
// a key stands where an id belongs.
func Parse(text []byte) (*Ring, error) {
	r, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("keyring: %w", err)
	}
	return r, nil
}

func parse(text []byte) (*Ring, error) {
	fields, err := members(text)
	if err != nil {
		return nil, err
	}
	r := &Ring{}
	for _, field := range fields {
		switch field.name {
		case "current":
			err = json.Unmarshal(field.value, &r.current)
			if err != nil {
				err = errors.New("current must be a string")
			}
		case "keys":
			r.masters, err = parseKeys(field.value)
		default:
			err = errors.New("unknown field: only current and keys are known")
		}
		if err != nil {
			return nil, err
		}
	}
	return r, r.check()
}

// check looks at what only the whole document shows.
func (r *Ring) check() error {
	if len(r.masters) == 0 {
		return errors.New("keys is missing or empty")
	}
	if !validID(r.current) {
		return errors.New("current is missing or is not 1 to 8 characters of a-z and 0-9")
	}
	if _, ok := r.masters[r.current]; !ok {
		return fmt.Errorf("current names %q, which is not in keys", r.current)
	}
	return nil
}

func parseKeys(text []byte) (map[string][]byte, error) {
	entries, err := members(text)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	keys := make(map[string][]byte, len(entries))
	for i, entry := range entries {
		if !validID(entry.name) {
			return nil, fmt.Errorf("keys: the id of entry %d is not 1 to 8 characters of a-z and 0-9", i+1)
		}
		var encoded string
		if err := json.Unmarshal(entry.value, &encoded); err != nil {
			return nil, fmt.Errorf("key %q must be a string", entry.name)
		}
		key, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("key %q is not base64 with padding", entry.name)
		}
		if len(key) != KeySize {
			return nil, fmt.Errorf("key %q has %d bytes instead of %d", entry.name, len(key), KeySize)
		}
		keys[entry.name] = key
	}
	return keys, nil
}

type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of the one JSON object in text, in their order.
// Decoding into a map would silently drop the first of two members with the same
// name, and with it a master key that a hasty edit repeated.
func members(text []byte) ([]member, error) {
	notObject := errors.New("not a JSON object")
	decoder := json.NewDecoder(bytes.NewReader(text))
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return nil, notObject
	}
	var all []member
	seen := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, notObject
		}
		m := member{name: name.(string)}
		if err := decoder.Decode(&m.value); err != nil {
			return nil, notObject
		}
		if seen[m.name] {
			return nil, fmt.Errorf("member %d repeats the name of an earlier one", len(all)+1)
		}
		seen[m.name] = true
		all = append(all, m)
	}
	if _, err := decoder.Token(); err != nil { // the closing brace
		return nil, notObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text after the JSON object")
	}
	return all, nil
}

// document is the JSON text that Generate writes and Parse reads.
type document struct {
	Current string            `json:"current"`
	Keys    map[string][]byte `json:"keys"`
}

// Generate returns the JSON text of a new ring with one key, read from random. The
// text is the secret itself: store it where only the service can read it.
func Generate(random io.Reader, id string) ([]byte, error) {
	if !validID(id) {
		return nil, errors.New("keyring: the id is not 1 to 8 characters of a-z and 0-9")
	}
	key := make([]byte, KeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("keyring: read randomness: %w", err)
	}
	text, err := json.MarshalIndent(document{id, map[string][]byte{id: key}}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("keyring: encode: %w", err)
	}
	return append(text, '\n'), nil
}
