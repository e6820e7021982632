package prove_test

import (
	"fmt"
	"maps"

	"pgregory.net/rapid"
)

// newContact is an address to be set, and how it is to be verified: "returnCode",
// "sendCode", "isVerified", or empty for what the service makes of nothing.
type newContact struct {
	kind, to, how string
}

// drawContact draws a new address.
func (m *machine) drawContact(rt *rapid.T, kind string) newContact {
	c := newContact{kind: kind, to: m.fresh() + "@example.com"}
	if kind == anSMS {
		m.registered++
		c.to = fmt.Sprintf("+4179%07d", m.registered)
	}
	c.how = rapid.SampledFrom([]string{"isVerified", "isVerified", "isVerified", "returnCode", "sendCode", ""}).Draw(rt, "verification")
	return c
}

// body is the address as part of a user.
func (c newContact) body(name string) fields {
	b := fields{name: c.to}
	switch c.how {
	case "":
	case "isVerified":
		b[c.how] = true
	default:
		b[c.how] = fields{}
	}
	return b
}

// setContacts puts the addresses into the user, all or none, and counts what is sent. A
// contact without an address is none. Codes are told by the answer.
func (m *machine) setContacts(u *account, all ...newContact) refusal {
	now, changed, counted := m.now(), *u, maps.Clone(m.sent)
	for _, c := range all {
		if c.to == "" {
			continue
		}
		to := changed.contact(c.kind)
		if c.how == "" && to.verified && to.text == c.to {
			continue // it stays as it is
		}
		if c.how != "isVerified" && u.locked(c.kind, now) {
			return verifyLocked
		}
		if c.how == "sendCode" || c.how == "" {
			if denied := counted.may(c.to, now); denied != carriedOut {
				return denied
			}
		}
		*to = address{text: c.to, verified: c.how == "isVerified"}
	}
	*u, m.sent = changed, counted
	return carriedOut
}

// tookCode notes the code of a new address, which was returned or sent.
func (m *machine) tookCode(rt *rapid.T, u *account, c newContact, returned string) {
	rt.Helper()
	to := u.contact(c.kind)
	if c.to == "" || c.how == "isVerified" || to.verified {
		return
	}
	m.opened(rt, c.kind, to, returned, c.how != "returnCode")
}

func (m *machine) opened(rt *rapid.T, kind string, to *address, code string, sends bool) {
	rt.Helper()
	if sends {
		_, code = m.message(rt, to.text)
	}
	life := mailLife
	if kind == anSMS {
		life = phoneLife
	}
	if to.code = (secretCode{code: code, ends: m.now().Add(life)}); code == "" {
		rt.Fatalf("no code came for %s", to.text)
	}
}

// setContact sets one address, removes the number, or sets the address that is set.
func (m *machine) setContact(rt *rapid.T) {
	id, u := m.pickUser(rt)
	c, want := m.drawContact(rt, rapid.SampledFrom([]string{aMail, anSMS}).Draw(rt, "kind")), noUser
	if one(rt, 6, "remove") {
		m.removePhone(rt)
		return
	}
	method, name := "SetEmail", "email"
	if c.kind == anSMS {
		method, name = "SetPhone", "phone"
	}
	if u != nil {
		if same := u.contact(c.kind).text; same != "" && one(rt, 4, "same") {
			c.to = same
		}
		want = m.setContacts(u, c)
	}
	body := c.body(name)
	body["userId"] = id
	a := m.call(rt, method, body, want)
	if want == carriedOut {
		m.tookCode(rt, u, c, a.string("verificationCode"))
	}
	if u != nil {
		m.lookAt(rt, id)
	}
}

func (m *machine) removePhone(rt *rapid.T) {
	id, u := m.pickUser(rt)
	if u == nil {
		m.call(rt, "RemovePhone", fields{"userId": id}, noUser)
		return
	}
	u.phone, u.smsCodes = address{}, false
	m.call(rt, "RemovePhone", fields{"userId": id}, carriedOut)
	m.lookAt(rt, id)
}

// sendContactCode asks for another code for an address.
func (m *machine) sendContactCode(rt *rapid.T) {
	id, u := m.pickUser(rt)
	method := rapid.SampledFrom([]string{"SendEmailCode", "ResendEmailCode", "ResendPhoneCode"}).Draw(rt, "method")
	kind, body, want := aMail, fields{"userId": id}, noUser
	if method == "ResendPhoneCode" {
		kind = anSMS
	}
	how := rapid.SampledFrom([]string{"returnCode", "sendCode", ""}).Draw(rt, "how")
	if how != "" {
		body[how] = fields{}
	}
	if u != nil {
		want = m.mayResend(u, kind, how != "returnCode")
	}
	a := m.call(rt, method, body, want)
	if want == carriedOut {
		m.opened(rt, kind, u.contact(kind), a.string("verificationCode"), how != "returnCode")
	}
}

func (m *machine) mayResend(u *account, kind string, sends bool) refusal {
	switch to := u.contact(kind); {
	case to.text == "":
		return noAddress
	case to.verified:
		return isVerified
	case u.locked(kind, m.now()):
		return verifyLocked
	case sends:
		return m.sent.may(to.text, m.now())
	}
	return carriedOut
}

// verifyContact answers the code of an address, right more often than not.
func (m *machine) verifyContact(rt *rapid.T) {
	id, u := m.pickUser(rt)
	method, kind := "VerifyEmail", aMail
	if rapid.Bool().Draw(rt, "phone") {
		method, kind = "VerifyPhone", anSMS
	}
	code, want := "wrong", noUser
	if u != nil {
		if open := u.contact(kind).code; open.open() && !one(rt, 3, "wrong") {
			code = open.code
		}
		want = u.verify(kind, code, m.now())
	}
	m.call(rt, method, fields{"userId": id, "verificationCode": code}, want)
	if u != nil {
		m.lookAt(rt, id)
	}
}
