package migration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/user"
)

// at is an error about a field, whose text repeats nothing of what stands there.
func at(field, format string, args ...any) error {
	return &user.FieldError{Field: field, Err: fmt.Errorf(format, args...)}
}

// strict decodes one JSON object into v, a pointer to a struct. What encoding/json would
// let pass is refused, with the path of the name: names that are unknown, in other
// capitals or there twice, and text that is not UTF-8.
func strict(text []byte, v any) error {
	if !utf8.Valid(text) {
		return errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := checkNames(d, "", reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	err := json.Unmarshal(text, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return at(wrong.Field, "is a number out of range")
	}
	if err != nil {
		return fmt.Errorf("is not one JSON object: %w", err)
	}
	return nil
}

const aNumber = "a number"

// kinds are what JSON has for the kinds of Go that the formats use.
var kinds = map[reflect.Kind]string{
	reflect.String: "a string", reflect.Bool: "a boolean", reflect.Int: aNumber,
	reflect.Uint32: aNumber, reflect.Uint64: aNumber, reflect.Struct: "an object", reflect.Slice: "an array",
}

// opaque stands for a value that is not looked into: whatever it is, it is not used.
var opaque = reflect.TypeFor[json.RawMessage]()

// checkNames reads one value and compares it with the type that it is decoded into. A
// null stands for a field that is not there.
func checkNames(d *json.Decoder, path string, t reflect.Type) error {
	if t == opaque {
		var skipped json.RawMessage
		return syntax(d.Decode(&skipped))
	}
	token, err := d.Token()
	if err != nil {
		return syntax(err)
	}
	var found reflect.Kind
	switch token := token.(type) {
	case nil:
		if path != "" {
			return nil
		}
	case string:
		found = reflect.String
	case bool:
		found = reflect.Bool
	case json.Number:
		found = reflect.Int
	case json.Delim:
		found = reflect.Struct
		if token == '[' {
			found = reflect.Slice
		}
	}
	if kinds[found] != kinds[t.Kind()] {
		return at(path, "is not %s", kinds[t.Kind()])
	}
	switch found {
	case reflect.Struct:
		return checkObject(d, path, t)
	case reflect.Slice:
		return checkArray(d, path, t.Elem())
	default:
		return nil
	}
}

func checkObject(d *json.Decoder, path string, t reflect.Type) error {
	fields := make(map[string]reflect.Type, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = f.Type
	}
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return syntax(err)
		}
		name, _ := token.(string) // the decoder lets nothing else stand here
		field := strings.TrimPrefix(path+"."+name, ".")
		if fields[name] == nil {
			return at(quoted(field), "is an unknown field")
		}
		if seen[name] {
			return at(field, "is there twice")
		}
		seen[name] = true
		if err := checkNames(d, field, fields[name]); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return syntax(err)
}

func checkArray(d *json.Decoder, path string, element reflect.Type) error {
	for i := 0; d.More(); i++ {
		if err := checkNames(d, fmt.Sprintf("%s[%d]", path, i), element); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return syntax(err)
}

func syntax(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("is not one JSON object: %w", err)
}

// quoted makes a name from outside fit for a terminal and a report.
func quoted(name string) string {
	text := fmt.Sprintf("%.100q", name)
	return text[1 : len(text)-1]
}
