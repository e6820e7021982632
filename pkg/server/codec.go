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

// unreadable is what clients are told of a message that a parser refuses in words that
// are not known here.
const unreadable = "the message could not be read"

// known is what parsers are known to say, from the beginning: where, what, and in which
// field. It ends where they begin to quote what they could not read, which may be a
// password: a refusal is kept by clients and proxies that would not keep a request. The
// parsers are protojson, encoding/json and the gateway's of queries and paths. The words
// of the second list quote nothing but names that the contract has, and must be all that
// there is.
//
// It is compiled by the first refusal that needs it, because functions start often and
// refuse seldom.
var known = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:proto:[ \x{a0}])?(?:syntax error )?(?:\(line \d+:\d+\): )?` +
		`(?:(?:unexpected token|unexpected character|unknown field|invalid character|invalid escape code|invalid URL escape` +
		`|duplicate map key|unable to resolve` +
		`|invalid (?:value for \w+ (?:field \w+|key)|google\.protobuf\.\w+(?: value)?|value)` +
		`|google\.protobuf\.\w+ value out of range` +
		`|too many values for field "\w+"|parsing (?:field|list|map key|map value) "\w+"` +
		`|more than one value provided|type mismatch, parameter: \w+)` +
		`|(?:unexpected EOF|unexpected end of JSON input|exceeded max recursion depth|invalid UTF-8 in string` +
		`|(?:duplicate|missing) "(?:@type|value)" field|duplicate field "\w+"|field already set for oneof "\w+"` +
		`|error parsing "\w+", oneof [\w.]+ is already set|missing parameter \w+)$)`)
})

// withoutValue is what a parser says of a message that it cannot read, without what it
// quotes of it. Where and in which field remain, if that is said in known words.
func withoutValue(text string) string {
	if found := known().FindString(text); found != "" {
		return found
	}
	return unreadable
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
