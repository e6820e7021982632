package prove_test

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// changeApp registers, confirms or removes an authenticator app.
func (m *machine) changeApp(rt *rapid.T) {
	id, u := m.pickUser(rt)
	method := rapid.SampledFrom([]string{"RegisterTOTP", "VerifyTOTPRegistration", "VerifyTOTPRegistration", "RemoveTOTP"}).Draw(rt, "method")
	code := "wrong!"
	if u != nil && len(u.app.seed) > 0 && !one(rt, 4, "wrong") {
		offset := rapid.SampledFrom([]int{0, -1, 1, -3}).Draw(rt, "offset")
		code = otp.Code(u.app.seed, m.now().Add(time.Duration(offset)*appStep))
	}
	m.callApp(rt, id, method, code)
}

func (m *machine) callApp(rt *rapid.T, id, method, code string) {
	rt.Helper()
	u, body, want := m.users[id], fields{"userId": id}, noUser
	if method == "VerifyTOTPRegistration" {
		body["code"] = code
	}
	if u != nil {
		want = m.app(u, method, code)
	}
	a := m.call(rt, method, body, want)
	if method == "RegisterTOTP" && want == carriedOut {
		seed, err := otp.ParseSecret(a.string("secret"))
		check(m.t, err)
		u.app = app{seed: seed}
	}
	if u != nil {
		m.lookAt(rt, id)
	}
}

func (m *machine) app(u *account, method, code string) refusal {
	switch {
	case method == "VerifyTOTPRegistration":
		return u.confirm(code, m.now())
	case method == "RegisterTOTP" && u.app.confirmed:
		return appExists
	case method == "RemoveTOTP" && len(u.app.seed) == 0:
		return appMissing
	case method == "RemoveTOTP":
		u.app = app{}
	}
	return carriedOut
}

// changeCodes sets up one-time codes by SMS or mail, or ends them.
func (m *machine) changeCodes(rt *rapid.T) {
	id, _ := m.pickUser(rt)
	m.callCodes(rt, id, rapid.SampledFrom([]string{"AddOTPSMS", "AddOTPEmail", "RemoveOTPSMS", "RemoveOTPEmail"}).Draw(rt, "method"))
}

func (m *machine) callCodes(rt *rapid.T, id, method string) {
	rt.Helper()
	u, want := m.users[id], noUser
	if u != nil {
		want = u.codes(method)
	}
	m.call(rt, method, fields{"userId": id}, want)
	if u != nil {
		m.lookAt(rt, id)
	}
}

func (u *account) codes(method string) refusal {
	on, verified, unproved, exists, missing := &u.smsCodes, u.phone.verified, phoneUnproved, smsExists, smsMissing
	if strings.HasSuffix(method, "Email") {
		on, verified, unproved, exists, missing = &u.mailCodes, u.email.verified, mailUnproved, mailExists, mailMissing
	}
	switch adds := strings.HasPrefix(method, "Add"); {
	case !adds && !*on:
		return missing
	case adds && !verified:
		return unproved
	case adds && *on:
		return exists
	default:
		*on = adds
		return carriedOut
	}
}

// changeRecovery adds recovery codes, or removes them all.
func (m *machine) changeRecovery(rt *rapid.T) {
	id, u := m.pickUser(rt)
	if !one(rt, 5, "remove") {
		m.addRecovery(rt, id, rapid.IntRange(1, maxRecovery+2).Draw(rt, "count"))
		return
	}
	want := noUser
	if u != nil {
		u.recovery, want = nil, carriedOut
	}
	m.call(rt, "RemoveRecoveryCodes", fields{"userId": id}, want)
}

func (m *machine) addRecovery(rt *rapid.T, id string, count int) {
	rt.Helper()
	u, want := m.users[id], carriedOut
	switch {
	case count > maxRecovery: // which is told before anybody is looked up
		want = recoveryMany
	case u == nil:
		want = noUser
	case len(u.recovery)+count > maxRecovery:
		want = recoveryMany
	}
	a := m.call(rt, "GenerateRecoveryCodes", fields{"userId": id, "count": count}, want)
	if want != carriedOut {
		return
	}
	made, _ := a.at("recoveryCodes").([]any)
	for _, code := range made {
		u.recovery = append(slices.Clone(u.recovery), code.(string))
	}
	if len(made) != count {
		rt.Fatalf("want %d codes, got %s", count, a.text)
	}
	m.lookAt(rt, id)
}

// lookAtMethods compares what a user can sign in with.
func (m *machine) lookAtMethods(rt *rapid.T, u *account) {
	rt.Helper()
	var got []string
	a := m.call(rt, "ListAuthenticationMethodTypes", fields{"userId": u.id}, carriedOut)
	types, _ := a.at("authMethodTypes").([]any)
	for _, t := range types {
		got = append(got, strings.TrimPrefix(t.(string), "AUTHENTICATION_METHOD_TYPE_"))
	}
	slices.Sort(got)
	if want := u.methods(); !slices.Equal(want, got) {
		rt.Fatalf("want %v, got %s", want, a.text)
	}
}

// lookAround compares all that is listed of a user.
func (m *machine) lookAround(rt *rapid.T) {
	id, u := m.pickUser(rt)
	if u == nil {
		for _, method := range []string{"ListAuthenticationMethodTypes", "ListAuthenticationFactors", "ListPasskeys", "ListIDPLinks"} {
			m.call(rt, method, fields{"userId": id}, noUser)
		}
		return
	}
	m.lookAt(rt, id)
	m.lookAtFactors(rt, u)
	m.lookAtKeys(rt, u)
	m.lookAtLinks(rt, u)
}

// lookAtFactors compares second factors, those in the making included.
func (m *machine) lookAtFactors(rt *rapid.T, u *account) {
	rt.Helper()
	state := func(ready bool) string {
		if ready {
			return "AUTH_FACTOR_STATE_READY"
		}
		return "AUTH_FACTOR_STATE_NOT_READY"
	}
	var want, got []string
	if len(u.app.seed) > 0 {
		want = append(want, "otp "+state(u.app.confirmed))
	}
	if u.smsCodes {
		want = append(want, "otpSms "+state(u.takes(anSMS)))
	}
	if u.mailCodes {
		want = append(want, "otpEmail "+state(u.takes(aMail)))
	}
	for _, k := range u.keys {
		if k.kind == aU2F && k.listed(m.now()) {
			want = append(want, "u2f "+state(k.ready))
		}
	}
	a := m.call(rt, "ListAuthenticationFactors", fields{"userId": u.id, "states": []any{state(true), state(false)}}, carriedOut)
	for _, f := range a.list("result") {
		for _, name := range []string{"otp", "otpSms", "otpEmail", "u2f"} {
			if f.at(name) != nil {
				got = append(got, name+" "+f.string("state"))
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("want %v, got %s", want, a.text)
	}
}
