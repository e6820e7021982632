package prove_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// createUser creates one under a new id, an id that is free again, or one that is taken.
func (m *machine) createUser(rt *rapid.T) {
	if len(m.users) > 2 {
		rt.Skip("enough of them")
	}
	u := &account{state: stateActive, given: m.fresh(), guesses: make(map[string]guessing)}
	body := fields{"profile": fields{"givenName": u.given, "familyName": "Lovelace"}}
	want := m.drawNames(rt, u, body)
	mail, phone := m.drawContact(rt, aMail), m.drawContact(rt, anSMS)
	body["email"], body["phone"] = mail.body("email"), phone.body("phone")
	if u.name == "" {
		u.name = mail.to
	}
	m.drawSecrets(rt, u, body)
	if account := m.fresh(); one(rt, 3, "linked") {
		u.links = []string{account}
		body["idpLinks"] = []any{linkBody(account)}
	}
	if want == carriedOut {
		want = m.setContacts(u, mail, phone)
	}
	method, id := "AddHumanUser", "userId"
	if rapid.Bool().Draw(rt, "newer") {
		human := fields{}
		for _, name := range []string{"profile", "email", "phone", "password", "hashedPassword", "totpSecret", "idpLinks"} {
			if value, has := body[name]; has {
				human[name] = value
				delete(body, name)
			}
		}
		method, id, body["human"], body["organizationId"] = "CreateUser", "id", human, "default"
	}
	a := m.call(rt, method, body, want)
	if want != carriedOut {
		return
	}
	u.id = a.string(id)
	m.users[u.id], m.order = u, append(m.order, u.id)
	m.gone = slices.DeleteFunc(m.gone, func(id string) bool { return id == u.id })
	m.tookCode(rt, u, mail, a.string("emailCode"))
	m.tookCode(rt, u, phone, a.string("phoneCode"))
	m.lookAt(rt, u.id)
}

// drawNames draws id and user name, and says whether they are free.
func (m *machine) drawNames(rt *rapid.T, u *account, body fields) refusal {
	want, ids := carriedOut, m.userIDs()
	switch n := rapid.IntRange(0, 9).Draw(rt, "id"); {
	case n < 4:
		u.id = m.fresh()
	case n < 7 && len(m.gone) > 0:
		u.id = rapid.SampledFrom(m.gone).Draw(rt, "again")
	case n == 9 && len(ids) > 0:
		u.id, want = rapid.SampledFrom(ids).Draw(rt, "taken"), userExists
	}
	switch n := rapid.IntRange(0, 9).Draw(rt, "name"); {
	case n < 7:
		u.name = m.fresh()
	case n == 9 && len(ids) > 0:
		u.name = strings.ToUpper(m.users[rapid.SampledFrom(ids).Draw(rt, "whose")].name)
		if want == carriedOut {
			want = nameTaken
		}
	}
	if u.id != "" {
		body["userId"] = u.id
	}
	if u.name != "" {
		body["username"] = u.name
	}
	return want
}

// drawSecrets gives a new user a password, or an app that they had elsewhere.
func (m *machine) drawSecrets(rt *rapid.T, u *account, body fields) {
	if !one(rt, 4, "no password") {
		u.setPassword(m.fresh() + " horse battery")
		body["hashedPassword"] = fields{"hash": apptest.CheapHash(m.t, u.password)}
	}
	if one(rt, 3, "app") {
		u.app = app{seed: []byte("12345678901234567890"), confirmed: true}
		body["totpSecret"] = otp.EncodeSecret(u.app.seed)
	}
}

// updateUser changes a few things at once.
func (m *machine) updateUser(rt *rapid.T) {
	id, u := m.pickUser(rt)
	if u == nil {
		m.call(rt, "UpdateHumanUser", fields{"userId": id, "profile": fields{"givenName": "A", "familyName": "B"}}, noUser)
		return
	}
	guesses, sends := maps.Clone(u.guesses), m.sent
	body, changed := fields{"userId": id}, *u
	var mail, phone *newContact
	var denied refusal
	if rapid.Bool().Draw(rt, "profile") {
		changed.given = m.fresh()
		body["profile"] = fields{"givenName": changed.given, "familyName": "Lovelace"}
	}
	if one(rt, 3, "email") {
		mail = new(m.drawContact(rt, aMail))
		body["email"] = mail.body("email")
	}
	if one(rt, 3, "phone") {
		phone = new(m.drawContact(rt, anSMS))
		body["phone"] = phone.body("phone")
	}
	denied = m.setContacts(&changed, deref(mail), deref(phone))
	if one(rt, 4, "password") && denied == carriedOut {
		denied = m.drawPassword(rt, u, &changed, body)
	}
	if one(rt, 4, "name") && denied == carriedOut {
		denied = m.drawName(rt, &changed, body)
	}
	a := m.call(rt, "UpdateHumanUser", body, denied)
	if denied == carriedOut {
		*u = changed
		m.tookCode(rt, u, deref(mail), a.string("emailCode"))
		m.tookCode(rt, u, deref(phone), a.string("phoneCode"))
	} else {
		m.sent = sends
	}
	if denied == nameTaken { // by the store, so that not even the proof counts
		u.guesses = guesses
	}
	m.lookAt(rt, id)
}

func deref(c *newContact) newContact {
	if c == nil {
		return newContact{}
	}
	return *c
}

func (m *machine) drawName(rt *rapid.T, u *account, body fields) refusal {
	name := m.fresh()
	for _, id := range m.userIDs() {
		if id != u.id && one(rt, 3, "taken") {
			body["username"] = strings.ToUpper(m.users[id].name)
			return nameTaken
		}
	}
	u.name, body["username"] = name, name
	return carriedOut
}

// drawPassword draws a new password, sometimes with the current one, or another, as
// proof, which counts for the user whatever comes out.
func (m *machine) drawPassword(rt *rapid.T, u, changed *account, body fields) refusal {
	plain := m.fresh() + " horse battery"
	password := fields{"hashedPassword": fields{"hash": apptest.CheapHash(m.t, plain)}}
	if one(rt, 3, "proof") {
		password["currentPassword"] = "wrong horse battery"
		if rapid.Bool().Draw(rt, "right") && u.password != "" {
			password["currentPassword"] = u.password
		}
		if denied := u.checkPassword(password["currentPassword"].(string), m.now()); denied != carriedOut {
			body["password"] = password
			return denied
		}
	}
	body["password"] = password
	changed.setPassword(plain)
	return carriedOut
}

func (m *machine) setPassword(rt *rapid.T) {
	id, u := m.pickUser(rt)
	plain := m.fresh() + " horse battery"
	body, want := fields{"userId": id, "newPassword": fields{"password": plain}}, carriedOut
	switch n := rapid.IntRange(0, 5).Draw(rt, "proof"); {
	case u == nil:
		want = noUser
	case n == 0:
		body["currentPassword"], want = "wrong horse battery", u.checkPassword("wrong horse battery", m.now())
	case n < 3 && u.password != "":
		body["currentPassword"], want = u.password, u.checkPassword(u.password, m.now())
		if n == 2 {
			body["newPassword"] = fields{"password": u.password}
			if want == carriedOut {
				want = passwordSame
			}
		}
	}
	m.call(rt, "SetPassword", body, want)
	if want == carriedOut {
		u.setPassword(plain)
	}
	if u != nil {
		m.lookAt(rt, id)
	}
}

// changeState locks, unlocks, deactivates or reactivates, the way back more often.
func (m *machine) changeState(rt *rapid.T) {
	id, u := m.pickUser(rt)
	methods := []string{"UnlockUser", "UnlockUser", "ReactivateUser", "ReactivateUser", "LockUser", "DeactivateUser"}
	if u != nil && u.state == stateActive && !one(rt, 2, "really") {
		methods = methods[:4]
	}
	method, want := rapid.SampledFrom(methods).Draw(rt, "method"), noUser
	if u != nil {
		want = u.change(method)
	}
	m.call(rt, method, fields{"userId": id}, want)
	if want == carriedOut && (method == "LockUser" || method == "DeactivateUser") {
		m.end(id, "", nil)
		m.lookAtSessions(rt)
	}
	if u != nil {
		m.lookAt(rt, id)
	}
}

// change moves the user to another state, if that is possible.
func (u *account) change(method string) refusal {
	switch method {
	case "LockUser":
		if !u.canStart() {
			return noLock
		}
		u.state = stateLocked
	case "UnlockUser":
		if u.state != stateLocked && len(u.guesses) == 0 {
			return noUnlock
		}
		if u.state == stateLocked {
			u.state = stateActive
		}
		clear(u.guesses)
	case "DeactivateUser":
		if u.state == stateInactive {
			return isInactive
		}
		u.state = stateInactive
	default:
		if u.state != stateInactive {
			return noReactivate
		}
		u.state = stateActive
	}
	return carriedOut
}

func (m *machine) deleteUser(rt *rapid.T) {
	if len(m.users) > 0 && !one(rt, 3, "really") {
		rt.Skip("seldom")
	}
	id, u := m.pickUser(rt)
	want := noUser
	if u != nil {
		want = carriedOut
		m.end(id, "", nil)
		delete(m.users, id)
		m.order = slices.DeleteFunc(m.order, func(other string) bool { return other == id })
		m.gone, m.lost = append(m.gone, id), append(m.lost, u.keys...)
	}
	m.call(rt, "DeleteUser", fields{"userId": id}, want)
	m.lookAtSessions(rt)
	m.call(rt, "GetUserByID", fields{"userId": id}, noUser)
}

// listUsers finds users by ids, by login name or by address.
func (m *machine) listUsers(rt *rapid.T) {
	_, u := m.pickUser(rt)
	all := append(m.userIDs(), m.gone...)
	if u == nil || len(all) == 0 {
		rt.Skip("nobody")
	}
	for _, c := range []struct {
		query fields
		match func(*account) bool
	}{
		{fields{"inUserIdsQuery": fields{"userIds": all}}, func(*account) bool { return true }},
		{fields{"loginNameQuery": fields{"loginName": u.name}}, func(other *account) bool { return other == u }},
		{fields{"emailQuery": fields{"emailAddress": u.email.text}}, func(other *account) bool { return other.email.text == u.email.text }},
	} {
		var want, got []string
		for _, id := range m.userIDs() {
			if c.match(m.users[id]) {
				want = append(want, id)
			}
		}
		a := m.call(rt, "ListUsers", fields{"queries": []any{c.query}}, carriedOut)
		for _, found := range a.list("result") {
			got = append(got, found.string("userId"))
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(want, got) {
			rt.Fatalf("%v: want %v, got %s", c.query, want, a.text)
		}
	}
}

// lookAt compares a user with what is shown of them.
func (m *machine) lookAt(rt *rapid.T, id string) {
	rt.Helper()
	u := m.users[id]
	shown := m.call(rt, "GetUserByID", fields{"userId": id}, carriedOut)
	got := fmt.Sprint(
		shown.string("user", "state"), shown.string("user", "username"), shown.string("user", "human", "profile", "givenName"),
		shown.string("user", "human", "email", "email"), shown.at("user", "human", "email", "isVerified") == true,
		shown.string("user", "human", "phone", "phone"), shown.at("user", "human", "phone", "isVerified") == true,
	)
	want := fmt.Sprint(u.state, u.name, u.given, u.email.text, u.email.verified, u.phone.text, u.phone.verified)
	if got != want {
		rt.Fatalf("want %s, got %s", want, shown.text)
	}
	version, err := strconv.Atoi(shown.string("details", "sequence"))
	if err != nil || version < u.version {
		rt.Fatalf("sequence %d before %s", u.version, shown.text)
	}
	u.version = version
	m.lookAtMethods(rt, u)
}
