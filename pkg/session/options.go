package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

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
	sendable := s.sendable(ctx, at)
	for _, k := range []codeKind{emailCodes(), smsCodes()} {
		o, possible := k.option(at, sendable[k.channel])
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

// option is free where a code is out already and waits for its answer.
func (k codeKind) option(at standing, sendable bool) (o assurance.Option, possible bool) {
	o = assurance.Option{Factor: assurance.SMS, Sends: assurance.SMSSent}
	if k.channel == sending.Email {
		o = assurance.Option{Factor: assurance.Email, Sends: assurance.EmailSent}
	}
	switch {
	case !k.ready(at.user):
		return o, false
	case answerable(*k.challenge(at.Session), at.now):
		o.Sends = assurance.NothingSent
		return o, true
	}
	return o, sendable
}

func answerable(c otp.Challenge, now time.Time) bool { return c.Open() && !c.Expired(now) }

// sendable tells over which channels a code could leave now, if all limits hold still.
// Where they cannot be read no step is offered that would send something: the answer is
// worth more than that step.
func (s *Service) sendable(ctx context.Context, at standing) map[sending.Channel]bool {
	var ref Ref
	asked := s.unsent(at)
	for _, m := range asked {
		ref.Subjects = append(ref.Subjects, m.Subject())
		ref.Counts = append(ref.Counts, s.c.Sending[m.Channel].Counts(m, at.now)...)
		if u := s.c.Sending[m.Channel].UnusedFor(m, at.now); !u.None() {
			ref.Unused = append(ref.Unused, u)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	loaded, err := s.c.Store.Load(ctx, ref)
	if err != nil {
		return nil
	}
	sendable := make(map[sending.Channel]bool, len(asked))
	for _, m := range asked {
		var trial sending.Outbox
		denied := trial.Add(m, s.c.Sending[m.Channel], loaded.Usage[m.Subject()], at.now)
		sendable[m.Channel] = denied == nil && trial.Fits(loaded.Counted, loaded.Unused)
	}
	return sendable
}

// unsent are messages, as far as limits look at them, that would be needed for a code.
func (s *Service) unsent(at standing) []sending.Message {
	var all []sending.Message
	for _, k := range []codeKind{smsCodes(), emailCodes()} {
		if k.ready(at.user) && !answerable(*k.challenge(at.Session), at.now) && s.c.Messenger.Carries(k.channel) {
			all = append(all, sending.Message{
				Channel: k.channel, To: k.address(at.user).Address,
				UserID: at.user.ID, Organization: at.user.Organization, ClientIP: at.Agent.IP,
			})
		}
	}
	return all
}
