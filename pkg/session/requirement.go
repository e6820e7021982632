package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// ErrInsufficient refuses a session that does not meet what was required of it. Its
// cause is an *Unmet.
var ErrInsufficient = fault.New(fault.FailedPrecondition, "STEPUP-insufficient-user-authentication",
	"The session does not meet the authentication requirement")

// Unmet says what a session lacks of a requirement.
type Unmet struct {
	Requirement assurance.Requirement
	// Steps are those that the session's user can take now, the cheapest first. They are
	// empty when none lead there, and for callers who may not know what the user has.
	Steps []assurance.Step
}

// Error implements error; it names nobody.
func (*Unmet) Error() string { return "session: requirement not met" }

// gate is a requirement and who makes it.
type gate struct {
	requirement *assurance.Requirement
	caller      access.Caller
}

// GetMeeting is Get of a session that has to meet the requirement. It returns
// ErrInsufficient when it does not.
func (s *Service) GetMeeting(ctx context.Context, caller access.Caller, sessionID, token string, r assurance.Requirement) (View, error) {
	loaded, err := s.read(ctx, caller, sessionID, token)
	if err != nil {
		return View{}, err
	}
	now := s.now()
	v := viewOf(loaded.Session, loaded.User, now)
	if !r.Met(v.evidence(now), now) {
		return View{}, ErrInsufficient.Wrap(s.unmet(ctx, gate{&r, caller}, standing{v.Session, loaded.User, now}))
	}
	return v, nil
}

// closed reports whether the step leaves the requirement unmet.
func (d *decision) closed() bool {
	r := d.gate.requirement
	return r != nil && !r.Met(d.session.evidence(d.now), d.now)
}

// hold ends a step whose requirement is not met. Its checks and challenges are the way
// to meet it, and are kept: what a check found out is never told without being counted.
// All else in it was for a session that meets the requirement, and is left out. A step
// without any of them is refused.
func (d *decision) hold() (*fault.Fault, error) {
	d.held = true
	if !d.changed {
		return ErrInsufficient, nil
	}
	return nil, d.advance()
}

// explain adds to a denial what a caller can do about it.
func (s *Service) explain(ctx context.Context, d *decision, denied *fault.Fault) error {
	if !d.held {
		return denied
	}
	return denied.Wrap(s.lacks(ctx, d))
}

// lacks returns what the step leaves unmet, nil when nothing.
func (s *Service) lacks(ctx context.Context, d *decision) *Unmet {
	if !d.held {
		return nil
	}
	return s.unmet(ctx, d.gate, standing{d.session, d.user, d.now})
}

// standing is where a session stands. The user is the session's, nil when there is none.
type standing struct {
	*Session

	user *user.User
	now  time.Time
}

// unmet looks for a way. What a user has set up is for those who may read users, and for
// the user.
func (s *Service) unmet(ctx context.Context, g gate, at standing) *Unmet {
	u := &Unmet{Requirement: *g.requirement}
	switch {
	case at.Expired(at.now):
	case !at.Bound():
		u.Steps = []assurance.Step{{Option: assurance.Option{Factor: "user"}, Why: assurance.NoUser}}
	case at.user != nil && (g.caller.IsUser(at.user.ID) || g.caller.Can(access.UserRead, at.user.Organization)):
		u.Steps = g.requirement.Steps(at.evidence(at.now), s.options(ctx, at), at.now)
	}
	return u
}

// options are the proofs that the user can give now: set up, not locked, and with a
// message that may leave where one is needed.
func (s *Service) options(ctx context.Context, at standing) []assurance.Option {
	var all []assurance.Option
	add := func(o assurance.Option, counted user.Authenticator, ready bool) {
		if ready && at.user.Locked(counted, s.c.Lockout, at.now) == nil {
			all = append(all, o)
		}
	}
	add(assurance.Option{Factor: assurance.Password}, user.AuthPassword, at.user.Password.Hash != "")
	add(assurance.Option{Factor: assurance.External}, user.AuthIDP, len(at.user.Links) > 0)
	add(assurance.Option{Factor: assurance.TOTP}, user.AuthTOTP, at.user.TOTP.Confirmed)
	add(assurance.Option{Factor: assurance.Recovery}, user.AuthRecovery, len(at.user.Guard.RecoveryCodes) > 0)
	for _, kind := range []passkey.Kind{passkey.Passkey, passkey.U2F} {
		o, ready := keyOption(at.user, kind)
		add(o, user.AuthPasskey, ready)
	}
	usage := s.usage(ctx, at)
	for _, k := range []codeKind{emailCodes(), smsCodes()} {
		o, possible := s.codeOption(k, at, usage)
		add(o, k.authenticator, possible)
	}
	return all
}

// keyOption is the best that the user's keys of a kind can bring.
func keyOption(u *user.User, kind passkey.Kind) (o assurance.Option, ready bool) {
	o = assurance.Option{Factor: assurance.Key, UserVerified: kind == passkey.Passkey}
	for _, c := range u.Credentials() {
		if c.Kind == kind {
			ready = true
			o.DeviceBound = o.DeviceBound || !c.BackupEligible
		}
	}
	return o, ready
}

// codeOption is free where a code is out already and waits for its answer.
func (s *Service) codeOption(k codeKind, at standing, usage map[sending.Subject]sending.Usage) (o assurance.Option, possible bool) {
	factor, price := assurance.SMS, assurance.SMSSent
	if k.channel == sending.Email {
		factor, price = assurance.Email, assurance.EmailSent
	}
	o = assurance.Option{Factor: factor, Sends: price}
	switch {
	case !k.ready(at.user):
		return o, false
	case answerable(*k.challenge(at.Session), at.now):
		o.Sends = assurance.NothingSent
		return o, true
	}
	used, known := usage[k.subject(at.user)]
	if !known {
		return o, false
	}
	_, denied := used.Take(s.c.Sending[k.channel], at.now)
	return o, denied == nil
}

func answerable(c otp.Challenge, now time.Time) bool { return c.Open() && !c.Expired(now) }

func (k codeKind) subject(u *user.User) sending.Subject {
	return sending.Subject{Channel: k.channel, Address: k.address(u).Address}
}

// usage reads what was sent to the user, as far as it matters. Where it cannot be read
// no step is offered that would send something: the answer is worth more than that step.
func (s *Service) usage(ctx context.Context, at standing) map[sending.Subject]sending.Usage {
	var asked []sending.Subject
	for _, k := range []codeKind{smsCodes(), emailCodes()} {
		open := answerable(*k.challenge(at.Session), at.now)
		if k.ready(at.user) && !open && s.c.Messenger.Carries(k.channel) && s.c.Sending[k.channel].Reaches(k.address(at.user).Address) == nil {
			asked = append(asked, k.subject(at.user))
		}
	}
	if len(asked) == 0 {
		return nil
	}
	loaded, err := s.c.Store.Load(ctx, Ref{Subjects: asked})
	if err != nil {
		return nil
	}
	usage := make(map[sending.Subject]sending.Usage, len(asked))
	for _, subject := range asked {
		usage[subject] = loaded.Usage[subject]
	}
	return usage
}
