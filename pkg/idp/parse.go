package idp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// entry is a provider in the JSON text.
type entry struct {
	ID           string   `json:"id"`
	Name         string   `json:"name"`
	Issuer       string   `json:"issuer"`
	ClientID     string   `json:"clientId"`
	ClientSecret string   `json:"clientSecret"`
	Scopes       []string `json:"scopes"`
}

// Parse reads providers from their JSON text:
//
//	[{"id":"…","name":"…","issuer":"https://…","clientId":"…","clientSecret":"…","scopes":["profile","email"]}]
//
// Unknown fields are errors; scopes may be absent, and so may name, for which the id
// stands. The error names the provider by its place and the field, and never contains
// anything of the text, which holds secrets. What the values must be is New's to say.
func Parse(text []byte) ([]Provider, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var raw []json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		return nil, errors.New("not a JSON list")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text after the JSON list")
	}
	list := make([]Provider, len(raw))
	for i, object := range raw {
		e, err := parseEntry(object)
		if err != nil {
			return nil, fmt.Errorf("provider %d: %w", i+1, err)
		}
		list[i] = Provider(e)
		if e.Name == "" {
			list[i].Name = e.ID
		}
	}
	return list, nil
}

func parseEntry(object []byte) (entry, error) {
	var e entry
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&e)
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.As(err, &mistyped) && mistyped.Field != "":
		return e, fmt.Errorf("%s is not of the right type", mistyped.Field)
	case err != nil:
		return e, errors.New("is not an object with the fields id, name, issuer, clientId, clientSecret and scopes only")
	default:
		return e, nil
	}
}
