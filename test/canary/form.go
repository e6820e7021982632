package canary

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// form is a secret as it may be written.
type form struct{ name, text string }

// forms are all ways in which a secret is looked for, each text once.
func forms(secret string) []form {
	escaped := url.PathEscape(secret)
	encoded := hex.EncodeToString([]byte(secret))
	all := []form{
		{"as it is", secret},
		{"in hex", encoded},
		{"in hex", strings.ToUpper(encoded)},
		{"as part of a query", url.QueryEscape(secret)},
		{"as part of a query", lowerEscapes(url.QueryEscape(secret))},
		{"as part of a path", escaped},
		{"as part of a path", lowerEscapes(escaped)},
		{"percent-encoded", percent(encoded)},
		{"percent-encoded", percent(strings.ToUpper(encoded))},
		{"quoted", inside(strconv.Quote(secret))},
		{"in JSON", inJSON(secret, true)},
		{"in JSON", inJSON(secret, false)},
		{"in JSON in JSON", inJSON(inJSON(secret, true), true)},
		{"in JSON in JSON", inJSON(inJSON(secret, false), false)},
	}
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), secret...))
			all = append(all, form{"in base64", whole(text, shift, len(secret), 6)})
		}
	}
	for shift := range 5 {
		text := whole(base32.StdEncoding.EncodeToString(append(make([]byte, shift), secret...)), shift, len(secret), 5)
		all = append(all, form{"in base32", text}, form{"in base32", strings.ToLower(text)})
	}
	return distinct(all)
}

// whole is the part of an encoded text, of so many bits a character, that depends on the
// secret alone and not on what is next to it. So padding does not matter either.
func whole(text string, shift, size, bits int) string {
	return text[(shift*8+bits-1)/bits : (shift+size)*8/bits]
}

// percent is a text in hex with every byte escaped as in a URL.
func percent(encoded string) string {
	var b strings.Builder
	for i := 0; i < len(encoded); i += 2 {
		b.WriteString("%" + encoded[i:i+2])
	}
	return b.String()
}

// lowerEscapes writes the escapes of a URL with small letters.
func lowerEscapes(escaped string) string {
	parts := strings.Split(escaped, "%")
	for i, part := range parts[1:] {
		parts[i+1] = strings.ToLower(part[:2]) + part[2:]
	}
	return strings.Join(parts, "%")
}

// inJSON is a string as JSON has it, without its quotes; the one kind of writer escapes what
// HTML would take for its own.
func inJSON(secret string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if err := e.Encode(secret); err != nil {
		panic(err) // a string has no error
	}
	return inside(strings.TrimSuffix(b.String(), "\n"))
}

func inside(quoted string) string { return quoted[1 : len(quoted)-1] }

func distinct(all []form) []form {
	seen := make(map[string]bool)
	kept := all[:0]
	for _, f := range all {
		if !seen[f.text] && len(f.text) >= stem {
			seen[f.text] = true
			kept = append(kept, f)
		}
	}
	return kept
}
