package session

import (
	"context"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Config holds what a Service needs; all fields but Limits and PerUser are required.
type Config struct {
	Store   Store
	Hasher  user.Hasher
	Lockout user.Lockout
	// Sending are the limits by channel.
	Sending   map[sending.Channel]sending.Policy
	Messenger sending.Messenger
	// Limits end sessions that last too long, or are not used; the zero value ends none.
	Limits Limits
	// PerUser is how many sessions of a user are alive at a time; 0 for any number.
	PerUser int
	// RelyingParties are those that keys may be asked for.
	RelyingParties *passkey.RelyingParties
	// Ring makes tokens and codes.
	Ring   *keyring.Ring
	Now    func() time.Time
	Random io.Reader
	Retry  retry.Policy
	// Checked hears how the checks of a step ended, once they are committed.
	Checked func(ctx context.Context, checks []user.Check)
	// Converted hears of a code that was sent and is used now, once that is committed and
	// cannot be taken back any more. It is told the count that the code belongs to, which
	// counts nothing for most codes. It fails nothing, and takes a moment at most.
	Converted func(ctx context.Context, u sending.Unused)
}

// Service is the session service. It is safe for concurrent use.
type Service struct {
	c       Config
	tokens  Tokens
	intents intent.Tokens
}

// New returns a service.
func New(c Config) *Service {
	return &Service{c: c, tokens: NewTokens(c.Ring), intents: intent.NewTokens(c.Ring)}
}

// now is the time of a decision, at the precision that the store keeps.
func (s *Service) now() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// Create starts a session. The caller needs session.write for the instance. If a
// check fails no session comes to be, but the failure counts.
func (s *Service) Create(ctx context.Context, caller access.Caller, c Create) (Result, error) {
	if err := caller.Require(access.SessionWrite, ""); err != nil {
		return Result{}, err
	}
	if err := c.Agent.validate(); err != nil {
		return Result{}, err
	}
	ref := Ref{}
	if !c.Once.None() {
		ref.SessionID = c.Once.ID()
	}
	return s.take(ctx, attempt{ref, c.Step, gate{nil, caller}, func(d *decision) (*fault.Fault, error) {
		if denied, err := d.userCanStart(ctx, c.Checks); denied != nil || err != nil {
			return denied, err
		}
		return d.create(ctx, caller, c)
	}})
}

// Set steps a session up. The caller needs session.write where the session's user
// is. It is all or nothing: a failing check leaves the session as it was, its token
// included. A Set that has nothing to change answers without a new token.
func (s *Service) Set(ctx context.Context, caller access.Caller, c Set) (Result, error) {
	if err := caller.RequireAnywhere(access.SessionWrite); err != nil {
		return Result{}, err
	}
	ref := Ref{SessionID: c.SessionID}
	if c.Require != nil {
		ref.Depth = WholeUser // to say what the user can do about it
	}
	return s.take(ctx, attempt{ref, c.Step, gate{c.Require, caller}, func(d *decision) (*fault.Fault, error) {
		return d.set(ctx, caller, c)
	}})
}

// attempt is a step that somebody wants to take.
type attempt struct {
	ref    Ref
	step   Step
	gate   gate
	decide func(*decision) (*fault.Fault, error)
}

// take loads, decides and commits, again when the race is lost, and then answers.
func (s *Service) take(ctx context.Context, a attempt) (Result, error) {
	step := a.step
	if err := step.validate(); err != nil {
		return Result{}, err
	}
	if err := s.acceptable(step.Challenges); err != nil {
		return Result{}, err
	}
	proof, answer, forged := s.proof(step.Checks), parseAnswer(step.Checks.Key), s.forged(step.Checks.Intent)
	ref := a.ref.naming(step, answer)
	if forged != nil {
		ref.IntentID = "" // nobody reads for a token that was made up
	}
	var result Result
	err := s.c.Retry.OnConflict(ctx, func() error {
		d, err := s.load(ctx, ref)
		if err != nil {
			return err
		}
		d.gate = a.gate
		known, err := d.receipt(step.Once)
		if err != nil {
			return err
		}
		if known != nil {
			result, err = s.repeat(ctx, d, *known)
			return err
		}
		d.proof, d.answer, d.forged = proof, answer, forged
		denied, err := a.decide(d)
		if err != nil {
			return err
		}
		ref.Subjects = d.outbox.Subjects()
		result, err = s.conclude(ctx, d, step.Once, denied)
		return err
	})
	return result, err
}

// conclude commits a decision and only then reveals it.
func (s *Service) conclude(ctx context.Context, d *decision, once idempotency.Request, denied *fault.Fault) (Result, error) {
	if err := d.keep(once, denied); err != nil {
		return Result{}, err
	}
	if err := s.commit(ctx, d.change(denied)); err != nil {
		return Result{}, s.instead(ctx, d, err)
	}
	s.c.Checked(ctx, d.checked)
	if denied != nil {
		return Result{}, s.explain(ctx, d, denied)
	}
	result, err := s.answer(ctx, d)
	if err != nil {
		return Result{}, err
	}
	return result, s.deliver(ctx, d, once)
}

// naming adds what the checks say about whom to load.
func (r Ref) naming(s Step, answer keyAnswer) Ref {
	if u := s.Checks.User; u != nil {
		r.UserID, r.LoginName = u.ID, u.LoginName
	}
	if i := s.Checks.Intent; i != nil {
		r.IntentID = i.ID
	}
	r.CredentialID = answer.credentialID()
	if s.Checks.any() || s.Challenges.any() {
		r.Depth = WholeUser
	}
	return r
}

// acceptable refuses a link template that could not be sent later.
func (s *Service) acceptable(r RequestChallenges) error {
	if r.Email == nil || r.Email.URLTemplate == "" {
		return nil
	}
	return s.c.Messenger.Accepts(sending.OTPEmail, r.Email.URLTemplate)
}

func (s *Service) proof(c Checks) *user.Proof {
	if c.Password == nil {
		return nil
	}
	return user.NewProof(s.c.Hasher, s.c.Random, c.Password.Plain)
}

func (s *Service) load(ctx context.Context, ref Ref) (*decision, error) {
	loaded, err := s.c.Store.Load(ctx, ref)
	if err != nil {
		return nil, err
	}
	d := &decision{
		now: s.now(), random: s.c.Random, config: &s.c, ring: s.c.Ring, lockout: s.c.Lockout, loaded: loaded,
	}
	if loaded.User != nil {
		d.user = loaded.User.Clone()
	}
	d.peers, err = s.peers(ctx, ref, d.user)
	return d, err
}

func (s *Service) commit(ctx context.Context, c Change) error {
	if c.empty() {
		return nil
	}
	return sending.WithWait(s.c.Store.Commit(ctx, c), s.now())
}

func (s *Service) answer(ctx context.Context, d *decision) (Result, error) {
	r := Result{SessionID: d.session.ID, Details: d.session.details(), Codes: d.opened, Prices: d.outbox.Prices, KeyOptions: d.keyOptions}
	r.Assurance = assurance.Of(d.session.evidence(d.now))
	r.Unmet = s.lacks(ctx, d)
	if !d.changed {
		return r, nil
	}
	var err error
	r.Token, err = s.tokens.Format(Token{SessionID: d.session.ID, ID: d.session.TokenID})
	return r, err
}
