package server

import (
	"errors"
	"fmt"
	"regexp"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// quoting is where a parser's words end and what it could not read begins, which may be a
// password: a refusal is kept by clients and proxies that would not keep a request.
//
// It is compiled by the first refusal that needs it, because functions start often and
// refuse seldom.
var quoting = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`unexpected token|unexpected character|duplicate map key|value out of range|unable to (?:resolve|unmarshal)|` +
		`invalid (?:value for \w+ (?:field \w+|key)|[\w.]+ value|value|google\.protobuf\.\w+)|` +
		`too many values for field "\w+"|parsing (?:field|list|map key|map value) "\w+"|more than one value provided|type mismatch, parameter: \w+`)
})

// withoutValue is what a parser says of a message that it cannot read, without what it
// quotes of it. Where and in which field remain.
func withoutValue(text string) string {
	if at := quoting().FindStringIndex(text); at != nil {
		return text[:at[1]]
	}
	return text
}

// codecs read JSON as the library's own do, and quote nothing of what they cannot read.
// They have its names.
func codecs() []connect.HandlerOption {
	return []connect.HandlerOption{connect.WithCodec(jsonCodec("json")), connect.WithCodec(jsonCodec("json; charset=utf-8"))}
}

type jsonCodec string

var _ connect.Codec = jsonCodec("")

// Name implements connect.Codec.
func (c jsonCodec) Name() string { return string(c) }

// Marshal implements connect.Codec.
func (jsonCodec) Marshal(m any) ([]byte, error) {
	message, ok := m.(proto.Message)
	if !ok {
		return nil, fmt.Errorf("%T is no message", m)
	}
	return protojson.Marshal(message)
}

// Unmarshal implements connect.Codec.
func (jsonCodec) Unmarshal(text []byte, m any) error {
	message, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("%T is no message", m)
	}
	if len(text) == 0 {
		return errors.New("zero-length payload is not a valid JSON object")
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, message); err != nil {
		return errors.New(withoutValue(err.Error()))
	}
	return nil
}
