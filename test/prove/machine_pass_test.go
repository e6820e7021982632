package prove_test

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// equip sets up something to prove oneself with, as it is meant to be done: chance alone
// seldom comes that far.
func (m *machine) equip(rt *rapid.T) {
	if len(m.order) == 0 {
		rt.Skip("nobody")
	}
	id := rapid.SampledFrom(m.order).Draw(rt, "id")
	u := m.users[id]
	switch kind := rapid.SampledFrom([]string{aTOTP, anSMS, aMail, aRecovery, aPasskey, aU2F, anIDP}).Draw(rt, "kind"); kind {
	case aTOTP:
		m.callApp(rt, id, "RegisterTOTP", "")
		m.callApp(rt, id, "VerifyTOTPRegistration", otp.Code(u.app.seed, m.now()))
	case anSMS:
		m.prepareContact(rt, u, "SetPhone", "phone", newContact{kind: kind, to: u.phone.text, how: "isVerified"})
		m.callCodes(rt, id, "AddOTPSMS")
	case aMail:
		m.prepareContact(rt, u, "SetEmail", "email", newContact{kind: kind, to: u.email.text, how: "isVerified"})
		m.callCodes(rt, id, "AddOTPEmail")
	case aRecovery:
		m.addRecovery(rt, id, 3)
	case aPasskey, aU2F:
		m.complete(rt, u, m.beginKey(rt, kind, fields{"userId": id, "domain": relyingParty}, carriedOut))
	default:
		account := m.fresh()
		u.links = append(slices.Clone(u.links), account)
		m.call(rt, "AddIDPLink", fields{"userId": id, "idpLink": linkBody(account)}, carriedOut)
		m.signInAs(rt, account)
	}
}

func (m *machine) prepareContact(rt *rapid.T, u *account, method, name string, c newContact) {
	rt.Helper()
	if c.to == "" {
		c.to = m.drawContact(rt, c.kind).to
	}
	body := c.body(name)
	body["userId"] = u.id
	m.call(rt, method, body, m.setContacts(u, c))
}

// pickAlive returns the latest session that can be stepped up, one with a user if there is.
func (m *machine) pickAlive(rt *rapid.T) *machineSession {
	for _, bound := range []bool{true, false} {
		for _, s := range slices.Backward(m.live) {
			if !s.over() && !s.late(m.now()) && (s.user != "") == bound {
				return s
			}
		}
	}
	return m.pick(rt)
}

// pass takes the next step with one of the user's factors: the right answer, or the
// question that comes before.
func (m *machine) pass(rt *rapid.T) {
	s := m.pickAlive(rt)
	step := modelStep{user: m.unbound(rt, s)}
	u := m.users[s.bound(step)]
	if u == nil || len(u.methods()) == 0 {
		rt.Skip("nothing to pass")
	}
	switch kind := rapid.SampledFrom(u.methods()).Draw(rt, "kind"); kind {
	case aPassword:
		step.password = u.password
	case aTOTP:
		step.totp = otp.Code(u.app.seed, m.now())
	case aRecovery:
		step.recovery = u.recovery[0]
	case anSMS, aMail:
		if open := s.codes[kind]; open.open() {
			step.codes = map[string]string{kind: open.code}
		} else {
			step.askCodes = map[string]bool{kind: false}
		}
	case anIDP:
		step.intent = m.unused(rt, u)
	default:
		m.passKey(u, s, &step, kind)
	}
	m.take(rt, s, step)
}

// unused is a sign-in of the user that waits to be used, or rarely one that was.
func (m *machine) unused(rt *rapid.T, u *account) *modelIntent {
	rt.Helper()
	used := one(rt, 4, "used")
	for _, i := range m.signIn {
		if i.consumed == used && slices.Contains(u.links, i.account) && !one(rt, 4, "new") {
			return i
		}
	}
	return m.signInAs(rt, u.links[0])
}

// passKey answers the latest challenge for the kind of key, or asks for one.
func (m *machine) passKey(u *account, s *machineSession, step *modelStep, kind string) {
	step.askKey = kind
	for _, c := range s.asked {
		for _, k := range u.keys {
			if k.ready && k.kind == kind && c.kind == kind {
				a := &keyAnswer{value: c.value, key: k, count: k.count}
				if k.credential.Counter > 0 {
					a.count++
				}
				signed := k.heldKey
				signed.credential.Counter = a.count
				a.text = signed.sign(c.options)
				step.key, step.askKey = a, ""
			}
		}
	}
}

// fail fails at one factor, some times.
func (m *machine) fail(rt *rapid.T) {
	s, kind := m.pickAlive(rt), rapid.SampledFrom([]string{aTOTP, anSMS, aMail, aRecovery, aPasskey}).Draw(rt, "kind")
	for range rapid.IntRange(1, machineLimit+1).Draw(rt, "times") {
		step := modelStep{user: m.unbound(rt, s)}
		switch kind {
		case aTOTP:
			step.totp = "wrong!"
		case aRecovery:
			step.recovery = "wrong"
		case aPasskey:
			step.key = m.assertion(rt, *s.modelSession)
		default:
			step.codes = map[string]string{kind: "wrong"}
		}
		m.take(rt, s, step)
	}
}

// sendOften asks for one message after the other, as soon as that may be.
func (m *machine) sendOften(rt *rapid.T) {
	s, kind := m.pickAlive(rt), rapid.SampledFrom([]string{anSMS, aMail}).Draw(rt, "kind")
	if u := m.users[s.user]; u == nil || !u.takes(kind) {
		rt.Skip("nothing to send")
	}
	for range rapid.IntRange(2, 7).Draw(rt, "times") {
		m.take(rt, s, modelStep{askCodes: map[string]bool{kind: true}})
		m.Clock.Advance(time.Minute)
	}
}
