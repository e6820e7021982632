package session

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// Alternatives are what the session's user can do instead of waiting for a message that a
// limit held back. They are the cause of the limit's fault, for callers who may know.
type Alternatives struct {
	// Steps are the cheapest first; empty when there are none.
	Steps []assurance.Step

	cause error
}

// Error implements error; it names nobody.
func (a *Alternatives) Error() string {
	if a.cause == nil {
		return "session: a limit held a message back"
	}
	return a.cause.Error()
}

// Unwrap returns what the limit said of itself; nil for nothing.
func (a *Alternatives) Unwrap() error { return a.cause }

// instead adds the alternatives to the fault of a limit. Other errors come back as they
// are. The step was all or nothing, so it can be repeated with one of them in the place of
// what was refused.
func (s *Service) instead(ctx context.Context, d *decision, err error) error {
	if sending.Limit(err) == "" || !d.gate.tells(d.user) {
		return err
	}
	at := d.refused()
	e, options := at.evidence(at.now), s.options(ctx, at)
	a := &Alternatives{}
	if r := d.gate.requirement; r != nil && !r.Met(e, at.now) {
		a.Steps = r.Steps(e, options, at.now)
	} else {
		a.Steps = assurance.Untried(e, options)
	}
	f := fault.From(err)
	a.cause = f.Unwrap()
	return f.Wrap(a)
}

// refused is where a step stands that was refused: its checks have passed, but the open
// challenges are those from before it. Where a receipt alone tells of it, the session
// stands as it is stored.
func (d *decision) refused() standing {
	var at Session
	before := d.loaded.Session
	switch {
	case d.session != nil:
		at = *d.session
	case before != nil:
		at = *before
		at.Factors.dropOutdated(d.loaded.Guard)
	}
	at.Challenges = Challenges{}
	if before != nil {
		at.Challenges = before.Challenges
	}
	return standing{&at, d.user, d.now}
}
