package server

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Faults at the door (wire contract, section 4.3).
var (
	errNoHeader     = fault.NewBare(fault.Unauthenticated, "auth header missing")
	errBadHeader    = fault.New(fault.Unauthenticated, "AUTH-toLo1", "invalid auth header")
	errOrganization = fault.New(fault.PermissionDenied, "AUTH-Bs7Ds", "Organisation doesn't exist")
)

// door decides who comes in.
type door struct {
	keys       *access.Keys
	principals access.Principals
	sessions   *session.Service
	users      *user.Service
}

// message is a request with generated field validation.
type message interface {
	proto.Message
	Validate() error
}

// admit authenticates the caller and then validates the message, in that order, so
// that a stranger learns nothing about the rules. Only the first violation is
// reported, in the validator's words.
func (d *door) admit(ctx context.Context, m message) (access.Caller, error) {
	caller, err := d.authenticate(ctx)
	if err != nil {
		return access.Caller{}, err
	}
	exchangeOf(ctx).caller = caller.ID
	if org := organizationHeader(ctx); org != "" && !d.users.KnownOrganization(org) {
		return access.Caller{}, errOrganization
	}
	if err := m.Validate(); err != nil {
		return access.Caller{}, fault.NewBare(fault.InvalidArgument, err.Error())
	}
	return caller, nil
}

// authenticate takes one credential. A signed request has it in the signature, so that
// a key or token beside it is a second one, and refused: a caller has the rights of the
// one or of the other, and should not have to guess which. A signature that nobody in
// front verified is a header like any other, and no bearer credential.
func (d *door) authenticate(ctx context.Context) (access.Caller, error) {
	x := exchangeOf(ctx)
	header := joined(x.header, "Authorization")
	if x.signed {
		if header != "" && !awsSignature().MatchString(header) { // empty when the query has it
			return access.Caller{}, errBadHeader
		}
		return d.principals.Authenticate(x.signer)
	}
	if header == "" {
		return access.Caller{}, errNoHeader
	}
	token, ok := bearer(header)
	switch {
	case !ok:
		return access.Caller{}, errBadHeader
	case access.IsKey(token):
		return d.keys.Authenticate(ctx, token)
	default:
		return d.sessions.Authenticate(ctx, token)
	}
}

// organizationHeader returns the organization that the request is about, if it
// names one.
func organizationHeader(ctx context.Context) string {
	return joined(exchangeOf(ctx).header, "X-Zitadel-Orgid")
}

// joined returns a header as one line, as a gateway in front has made it already (RFC 9110,
// section 5.3): of two credentials none counts, rather than the first.
func joined(h http.Header, name string) string { return strings.Join(h.Values(name), ",") }
