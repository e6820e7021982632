package intent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
)

// Answer is the query with which a browser comes back from a provider (RFC 6749, section
// 4.1.2, and RFC 9207). All of it may come from anybody.
type Answer struct {
	State, Code, Error, Issuer string
}

// ErrState refuses an answer to no open intent: one that was forged, comes too late, or
// was given already.
var ErrState = fault.New(fault.FailedPrecondition, "STEPUP-idp-state", "This sign-in is not open any more; please start again")

// Outcome is what becomes of an answer.
type Outcome struct {
	// Redirect is where the browser goes.
	Redirect string
	// Failure is why it goes to the failure URL, for the log; nil after a success.
	Failure *fault.Fault
}

// Callback takes the answer to an intent and returns where the browser goes. Once the
// intent is known, every failure leads to its failure URL; before that the error is
// ErrState, or that of the store.
//
// A provider's own refusal, and an answer that proves nothing, end the intent. A provider
// that does not answer leaves it open, so that the browser may come again; and so does a
// code that was refused, because the second of two requests with one code looks like
// that, and must not undo the first.
func (s *Service) Callback(ctx context.Context, a Answer) (Outcome, error) {
	intentID, genuine := parseState(s.c.Ring, a.State)
	if !genuine {
		return Outcome{}, ErrState
	}
	i, err := s.c.Store.Intent(ctx, intentID)
	if err != nil {
		return Outcome{}, err
	}
	if i == nil || i.State != Started || s.now().After(i.ExpiresAt) {
		return Outcome{}, ErrState
	}
	next, failure := s.decide(ctx, i, a)
	if next != i {
		err := s.c.Store.SaveIntent(ctx, i, next)
		switch {
		case errors.Is(err, fault.Conflict):
			return Outcome{}, ErrState.Wrap(err)
		case err != nil:
			failure = &refusal{code: unavailable, cause: fault.From(err)}
		}
	}
	if failure != nil {
		return failure.outcome(i), nil
	}
	return s.succeeded(next)
}

// decide returns the intent after the answer, and why it did not succeed. It is the same
// intent when nothing was decided.
func (s *Service) decide(ctx context.Context, i *Intent, a Answer) (*Intent, *refusal) {
	if a.Error != "" || a.Code == "" {
		return i.step(Failed, s.now()), &refusal{code: known(a.Error), cause: errProvider.Wrap(fmt.Errorf("provider %s: %s", i.ProviderID, known(a.Error)))}
	}
	next, err := s.redeem(ctx, i, a)
	switch f := fault.From(err); {
	case err == nil:
		return next, nil
	case errors.Is(err, idp.ErrAnswer):
		return i.step(Failed, s.now()), &refusal{code: serverError, cause: f}
	case errors.Is(err, idp.ErrRefused), f.Kind == fault.Internal, errors.Is(err, idp.ErrUnknown):
		return i, &refusal{code: serverError, cause: f}
	default:
		return i, &refusal{code: unavailable, cause: f}
	}
}

// errProvider is the log's word for a refusal by the provider or its user.
var errProvider = fault.New(fault.FailedPrecondition, "STEPUP-idp-denied", "Identity provider or user refused the sign-in")

func (s *Service) redeem(ctx context.Context, i *Intent, a Answer) (*Intent, error) {
	held, err := i.secrets(s.c.Ring)
	if err != nil {
		return nil, err
	}
	said, err := s.c.Providers.Redeem(ctx, idp.Answer{
		ProviderID: i.ProviderID, Code: a.Code, Issuer: a.Issuer, Nonce: held.nonce, Verifier: held.verifier,
	})
	if err != nil {
		return nil, err
	}
	userID, err := s.c.Store.LinkedUser(ctx, said.ProviderID, said.Subject)
	if err != nil {
		return nil, err
	}
	return i.succeed(s.c.Ring, s.c.Random, success{identity: said, userID: userID, now: s.now(), lifetime: s.c.Lifetime})
}

func (s *Service) succeeded(i *Intent) (Outcome, error) {
	token, err := s.tokens.Format(i.ID)
	if err != nil {
		return Outcome{}, err
	}
	added := url.Values{"id": {i.ID}, "token": {token}}
	if i.UserID != "" {
		added.Set("user", i.UserID)
	}
	return Outcome{Redirect: extend(i.SuccessURL, added)}, nil
}

// refusal is a failure as the failure URL tells it.
type refusal struct {
	code  string
	cause *fault.Fault
}

func (r *refusal) outcome(i *Intent) Outcome {
	return Outcome{Failure: r.cause, Redirect: extend(i.FailureURL, url.Values{
		"id": {i.ID}, "error": {r.code}, "error_description": {description(r.code)},
	})}
}

// extend adds parameters to an address that Start has seen; its own of the same name give
// way.
func extend(address string, added url.Values) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	maps.Copy(query, added)
	u.RawQuery = query.Encode()
	return u.String()
}

// The codes of RFC 6749, section 4.1.2.1, that are ours to give.
const (
	serverError  = "server_error"
	unavailable  = "temporarily_unavailable"
	accessDenied = "access_denied"
)

// known returns a provider's code if it is one of RFC 6749; another could say anything.
func known(code string) string {
	if slices.Contains([]string{
		"invalid_request", "unauthorized_client", accessDenied, "unsupported_response_type", "invalid_scope", serverError, unavailable,
	}, code) {
		return code
	}
	return serverError
}

// description is for developers, as the code is.
func description(code string) string {
	switch code {
	case accessDenied:
		return "The sign-in was canceled or refused"
	case unavailable:
		return "The identity provider cannot be reached at the moment"
	case serverError:
		return "The sign-in could not be completed"
	default:
		return "The identity provider refused the request"
	}
}
