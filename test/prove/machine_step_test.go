package prove_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/otp"
)

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// step draws what to ask for: few things at a time, so that most steps come far.
func (m *machine) step(rt *rapid.T, s modelSession) modelStep {
	var step modelStep
	if s.user == "" && rapid.Bool().Draw(rt, "bind") {
		step.user, _ = m.pickUser(rt)
	}
	id := s.user
	if id == "" {
		id = step.user
	}
	checks := []string{"user", aPassword, aTOTP, anSMS, aMail, aRecovery, anIDP, "key"}
	for _, what := range rapid.SliceOfNDistinct(rapid.SampledFrom(checks), 0, 2, rapid.ID).Draw(rt, "checks") {
		m.drawCheck(rt, &step, s, what, m.users[id])
	}
	for _, what := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{anSMS, aMail, aPasskey, aU2F, "none", "nothing"}), 1, 2, rapid.ID).Draw(rt, "challenges") {
		switch what {
		case anSMS, aMail:
			if step.askCodes == nil {
				step.askCodes = make(map[string]bool)
			}
			step.askCodes[what] = one(rt, 3, "send")
		case aPasskey, aU2F:
			step.askKey = what
		}
	}
	step.metadata = rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"", "x", "y"}), 0, 2).Draw(rt, "metadata")
	if one(rt, 8, "lifetime") {
		step.lifetime = 10 * time.Minute
	}
	if one(rt, 6, "match") {
		step.match = max(1, s.sequence-rapid.IntRange(0, 1).Draw(rt, "stale"))
	}
	return step
}

// drawCheck adds a check that the user passes, or one that they fail.
func (m *machine) drawCheck(rt *rapid.T, step *modelStep, s modelSession, what string, u *account) {
	right := rapid.IntRange(0, 2).Draw(rt, what) > 0
	switch what {
	case "user":
		if step.user = s.user; !right || s.user == "" {
			step.user, _ = m.pickUser(rt)
		}
		step.byName = ""
		if named := m.users[step.user]; named != nil && rapid.Bool().Draw(rt, "by name") {
			step.byName = named.name
		}
	case aPassword:
		if step.password = "wrong horse battery"; right && u != nil && u.password != "" {
			step.password = u.password
		}
	case aTOTP:
		if step.totp = "wrong!"; right && u != nil && len(u.app.seed) > 0 {
			offset := rapid.SampledFrom([]int{0, 0, -1, 1, 5}).Draw(rt, "offset")
			step.totp = otp.Code(u.app.seed, m.now().Add(time.Duration(offset)*appStep))
		}
	case anSMS, aMail:
		code := "wrong"
		if open := s.codes[what]; right && open.open() {
			code = open.code
		}
		if step.codes == nil {
			step.codes = make(map[string]string)
		}
		step.codes[what] = code
	case aRecovery:
		if step.recovery = "wrong"; right && u != nil && len(u.recovery) > 0 {
			step.recovery = u.recovery[0]
		}
	case anIDP:
		if n := len(m.signIn); n > 0 {
			step.intent, step.forged = m.signIn[n-1-rapid.IntRange(0, min(n-1, 3)).Draw(rt, "intent")], !right
		}
	case "key":
		step.key = m.assertion(rt, s)
	}
}

func (m *machine) checks(step modelStep) fields {
	checks := fields{}
	if step.user != "" {
		checks["user"] = fields{"userId": step.user}
	}
	if step.byName != "" {
		checks["user"] = fields{"loginName": step.byName}
	}
	if step.password != "" {
		checks["password"] = fields{"password": step.password}
	}
	if i := step.intent; i != nil {
		token := i.token
		if step.forged {
			token = "forged"
		}
		checks["idpIntent"] = fields{"idpIntentId": i.id, "idpIntentToken": token}
	}
	if step.key != nil {
		checks["webAuthN"] = fields{"credentialAssertionData": json.RawMessage(step.key.text)}
	}
	for name, code := range map[string]string{"totp": step.totp, "otpSms": step.codes[anSMS], "otpEmail": step.codes[aMail], "recoveryCode": step.recovery} {
		if code != "" {
			checks[name] = fields{"code": code}
		}
	}
	return checks
}

// assertion lets a key sign a challenge of some session: mostly of this one, and mostly
// with a counter that grew.
func (m *machine) assertion(rt *rapid.T, s modelSession) *keyAnswer {
	asked := s.asked
	if len(asked) == 0 || one(rt, 8, "of another") {
		asked = nil
		for _, other := range m.sessions {
			asked = append(asked, other.asked...)
		}
	}
	held := m.held(rt, s)
	if len(asked) == 0 || held == nil {
		return nil
	}
	c := asked[rapid.IntRange(0, len(asked)-1).Draw(rt, "challenge")]
	a := &keyAnswer{value: c.value, key: held, count: held.count}
	if held.credential.Counter > 0 && !one(rt, 5, "stale count") {
		a.count++
	}
	signed := held.heldKey
	signed.credential.Counter = a.count
	a.text = signed.sign(c.options)
	return a
}

// held is a key in somebody's hand, mostly one of the session's user.
func (m *machine) held(rt *rapid.T, s modelSession) *modelKey {
	keys := m.lost
	for _, id := range m.userIDs() {
		if s.user == id || s.user == "" || one(rt, 6, "of others") {
			keys = append(slices.Clone(keys), m.users[id].keys...)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return keys[rapid.IntRange(0, len(keys)-1).Draw(rt, "key")]
}
