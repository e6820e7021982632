package prove_test

import (
	"encoding/json"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// listed reports whether the key is shown.
func (k *modelKey) listed(now time.Time) bool { return k.ready || now.Before(k.ends) }

// rpcOf is an RPC about passkeys, or its like for U2F keys.
func rpcOf(kind, verb string) string {
	names := map[string][2]string{
		"register": {"RegisterPasskey", "RegisterU2F"}, "complete": {"VerifyPasskeyRegistration", "VerifyU2FRegistration"}, "remove": {"RemovePasskey", "RemoveU2F"},
	}[verb]
	if kind == aU2F {
		return names[1]
	}
	return names[0]
}

// idOf is the name of a key's id in messages.
func idOf(kind string) string {
	if kind == aU2F {
		return "u2fId"
	}
	return "passkeyId"
}

// registerKey begins to register a key, for passkeys sometimes with a code.
func (m *machine) registerKey(rt *rapid.T) {
	id, u := m.pickUser(rt)
	kind := rapid.SampledFrom([]string{aPasskey, aPasskey, aU2F}).Draw(rt, "kind")
	body, want := fields{"userId": id, "domain": relyingParty}, carriedOut
	switch {
	case kind == aPasskey && one(rt, 3, "code"):
		want = m.redeem(rt, u, body)
	case u == nil:
		want = noUser
	case one(rt, 8, "domain"):
		body["domain"], want = "elsewhere.example", domainNotOurs
	}
	m.beginKey(rt, kind, body, want)
}

// beginKey makes a key, which waits to be completed.
func (m *machine) beginKey(rt *rapid.T, kind string, body fields, want refusal) *modelKey {
	rt.Helper()
	a := m.call(rt, rpcOf(kind, "register"), body, want)
	if want != carriedOut {
		return nil
	}
	id := body["userId"].(string)
	u := m.users[id]
	options, err := json.Marshal(a.at("publicKeyCredentialCreationOptions"))
	check(m.t, err)
	k := &modelKey{heldKey: newKey(id), kind: kind, ends: m.now().Add(keyLife)}
	k.id, k.device.Options.UserNotVerified = a.string(idOf(kind)), kind == aU2F
	if rapid.Bool().Draw(rt, "counts") {
		k.credential.Counter = 1
	}
	k.answer = k.register(m.t, options)
	u.dropKeys(func(other *modelKey) bool { return !other.ready && (other.kind == kind || !m.now().Before(other.ends)) })
	u.keys = append(u.keys, k)
	m.lookAt(rt, id)
	return k
}

// redeem draws a registration code, the right one more often than not.
func (m *machine) redeem(rt *rapid.T, u *account, body fields) refusal {
	if u == nil || !u.registration.open() {
		body["code"] = fields{"id": "id", "code": "12345678"}
		return registrationWrong
	}
	open := &u.registration
	code, right := open.code, !one(rt, 3, "wrong")
	if !right {
		code = "wrong"
	}
	body["code"] = fields{"id": open.id, "code": code}
	switch late := m.now().After(open.ends); {
	case late:
		return registrationWrong
	case !right:
		open.miss()
		return registrationWrong
	}
	*open = secretCode{}
	return carriedOut
}

// completeKey answers for the browser: for a key that waits, or does no more.
func (m *machine) completeKey(rt *rapid.T) {
	u, k := m.pickKey(rt)
	m.complete(rt, u, k)
}

func (m *machine) complete(rt *rapid.T, u *account, k *modelKey) {
	rt.Helper()
	want := carriedOut
	switch known := u.key(k.kind, k.id); {
	case known == nil:
		want = keyMissing
	case k.ready:
		want = keyReady
	case !m.now().Before(k.ends):
		want = keyExpired
	}
	name := map[string]string{aPasskey: "passkeyName", aU2F: "tokenName"}[k.kind]
	m.call(rt, rpcOf(k.kind, "complete"), fields{
		"userId": u.id, idOf(k.kind): k.id, name: "laptop", "publicKeyCredential": json.RawMessage(k.answer),
	}, want)
	if want == carriedOut {
		k.ready, k.count = true, k.credential.Counter
	}
	m.lookAt(rt, u.id)
}

// pickKey returns a key and a user, who mostly has it.
func (m *machine) pickKey(rt *rapid.T) (*account, *modelKey) {
	_, u := m.pickUser(rt)
	if u == nil {
		rt.Skip("nobody")
	}
	keys := append(slices.Clone(u.keys), m.lost...)
	if len(keys) == 0 {
		rt.Skip("no key")
	}
	return u, keys[rapid.IntRange(0, len(keys)-1).Draw(rt, "key")]
}

func (m *machine) removeKey(rt *rapid.T) {
	u, k := m.pickKey(rt)
	want := keyMissing
	if u.key(k.kind, k.id) != nil {
		want = carriedOut
		u.dropKeys(func(other *modelKey) bool { return other == k })
		m.lost = append(m.lost, k)
	}
	m.call(rt, rpcOf(k.kind, "remove"), fields{"userId": u.id, idOf(k.kind): k.id}, want)
	m.lookAt(rt, u.id)
}

// linkKey makes a code that registers a passkey, and returns or sends it.
func (m *machine) linkKey(rt *rapid.T) {
	id, u := m.pickUser(rt)
	body, want := fields{"userId": id}, carriedOut
	how := rapid.SampledFrom([]string{"returnCode", "returnCode", "sendLink", "pointless"}).Draw(rt, "how")
	switch how {
	case "returnCode":
		body[how] = fields{}
	case "sendLink":
		body[how] = fields{"urlTemplate": origin + "/{{.CodeID}}/{{.Code}}"}
	default:
		body["sendLink"], want = fields{}, linkPointless // which is told before anybody is looked up
	}
	switch {
	case want != carriedOut:
	case u == nil:
		want = noUser
	case how == "sendLink" && !u.email.verified:
		want = linkUnverified
	case how == "sendLink":
		want = m.sent.may(u.email.text, m.now())
	}
	a := m.call(rt, "CreatePasskeyRegistrationLink", body, want)
	if want != carriedOut {
		return
	}
	open := secretCode{id: a.string("code", "id"), code: a.string("code", "code"), ends: m.now().Add(linkLife)}
	if how == "sendLink" {
		open.id, open.code = m.message(rt, u.email.text)
	}
	if u.registration = open; !open.open() {
		rt.Fatalf("no code came: %s", a.text)
	}
}

func (m *machine) lookAtKeys(rt *rapid.T, u *account) {
	rt.Helper()
	var want, got []string
	for _, k := range u.keys {
		if k.kind == aPasskey && k.listed(m.now()) {
			want = append(want, k.id)
		}
	}
	a := m.call(rt, "ListPasskeys", fields{"userId": u.id}, carriedOut)
	for _, k := range a.list("result") {
		got = append(got, k.string("id"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("want %v, got %s", want, a.text)
	}
}
