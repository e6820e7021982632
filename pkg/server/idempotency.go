package server

import (
	"context"
	"regexp"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
)

// IdempotencyHeader names a request so that it can be repeated
// (draft-ietf-httpapi-idempotency-key-header). RPC protocols carry it as metadata.
const IdempotencyHeader = "Idempotency-Key"

var errIdempotencyKey = fault.New(fault.InvalidArgument, "STEPUP-idempotency-key",
	"Idempotency-Key must be one string of 1 to 255 characters, with or without double quotes")

// idempotencyKey is a string of a structured field (RFC 9651, section 3.3.3) without
// escapes, or the same without its quotes, as most clients send it. How long it may be is not
// in the pattern, which would have a state for each character.
var idempotencyKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:"([ !#-\[\]-~]+)"|([!#-+\--:<-\[\]-~]+))$`)
})

const maxIdempotencyKey = 255

// once is the request's name for itself, with all that makes it this request.
func once(ctx context.Context, caller access.Caller, m proto.Message) (idempotency.Request, error) {
	values := exchangeOf(ctx).header.Values(IdempotencyHeader)
	if len(values) == 0 {
		return idempotency.Request{}, nil
	}
	parts := idempotencyKey().FindStringSubmatch(values[0])
	if len(values) > 1 || parts == nil || len(parts[1]+parts[2]) > maxIdempotencyKey {
		return idempotency.Request{}, errIdempotencyKey
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return idempotency.Request{}, fault.From(err)
	}
	return idempotency.Request{
		Caller: scope(caller), Key: parts[1] + parts[2], Operation: string(m.ProtoReflect().Descriptor().FullName()), Body: body,
	}, nil
}

// scope keeps users apart from keys, because ids of users are chosen by callers.
func scope(caller access.Caller) string {
	if caller.UserID != "" {
		return "user " + caller.UserID
	}
	return "key " + caller.ID
}
