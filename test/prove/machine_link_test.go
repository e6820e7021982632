package prove_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"

	"pgregory.net/rapid"
)

func linkBody(account string) fields {
	return fields{"idpId": provider, "userId": account, "userName": account}
}

// linked returns who is linked to the account, empty for nobody.
func (m *machine) linked(account string) string {
	for id, u := range m.users {
		if slices.Contains(u.links, account) {
			return id
		}
	}
	return ""
}

// accounts are those that are linked, or have signed in.
func (m *machine) accounts() (all []string) {
	for _, id := range m.userIDs() {
		all = append(all, m.users[id].links...)
	}
	for _, i := range m.signIn {
		all = append(all, i.account)
	}
	return all
}

func (m *machine) drawAccount(rt *rapid.T) string {
	if all := m.accounts(); len(all) > 0 && !one(rt, 4, "new") {
		return rapid.SampledFrom(all).Draw(rt, "account")
	}
	return m.fresh()
}

// changeLink links a user to an account, or takes the link away.
func (m *machine) changeLink(rt *rapid.T) {
	id, u := m.pickUser(rt)
	account, want := m.drawAccount(rt), carriedOut
	if one(rt, 3, "remove") {
		switch {
		case u == nil:
			want = noUser
		case !slices.Contains(u.links, account):
			want = linkNotThere
		default:
			u.links = slices.DeleteFunc(slices.Clone(u.links), func(l string) bool { return l == account })
		}
		m.call(rt, "RemoveIDPLink", fields{"userId": id, "idpId": provider, "linkedUserId": account}, want)
		return
	}
	link := linkBody(account)
	switch {
	case u == nil:
		want = noUser
	case one(rt, 8, "provider"):
		link["idpId"], want = "nowhere", providerNotThere
	case m.linked(account) != "":
		want = linkTaken
	default:
		u.links = append(slices.Clone(u.links), account)
	}
	m.call(rt, "AddIDPLink", fields{"userId": id, "idpLink": link}, want)
	if u != nil {
		m.lookAt(rt, id)
	}
}

// signInElsewhere begins a sign-in and comes back from it, sometimes without having signed
// in.
func (m *machine) signInElsewhere(rt *rapid.T) {
	body := fields{"idpId": provider, "urls": fields{"successUrl": origin + "/ok", "failureUrl": origin + "/failed"}}
	if one(rt, 10, "provider") {
		body["idpId"] = "nowhere"
		m.call(rt, "StartIdentityProviderIntent", body, providerNotThere)
		return
	}
	if one(rt, 8, "turn back") {
		m.turnBack(rt, m.call(rt, "StartIdentityProviderIntent", body, carriedOut).string("authUrl"))
		return
	}
	m.signInAs(rt, m.drawAccount(rt))
}

func (m *machine) signInAs(rt *rapid.T, account string) *modelIntent {
	rt.Helper()
	a := m.call(rt, "StartIdentityProviderIntent", fields{
		"idpId": provider, "urls": fields{"successUrl": origin + "/ok", "failureUrl": origin + "/failed"},
	}, carriedOut)
	i := &modelIntent{account: account, ends: m.now().Add(intentLife)}
	m.stub.Now = m.now()
	i.linked = m.linked(i.account)
	back := m.back(rt, m.stub.SignIn(m.t, a.string("authUrl"), i.account))
	i.id, i.token = back.Query().Get("id"), back.Query().Get("token")
	if back.Path != "/ok" || i.token == "" || back.Query().Get("user") != i.linked {
		rt.Fatalf("want %+v, came back to %v", *i, back)
	}
	m.signIn = append(m.signIn, i)
	return i
}

// turnBack is what a provider answers for somebody who does not want to.
func (m *machine) turnBack(rt *rapid.T, address string) {
	rt.Helper()
	asked, err := url.Parse(address)
	check(m.t, err)
	answered := "/idps/callback?" + url.Values{"error": {"access_denied"}, "state": {asked.Query().Get("state")}}.Encode()
	back := m.back(rt, answered)
	if back.Path != "/failed" || back.Query().Get("error") != "access_denied" || back.Query().Has("token") {
		rt.Fatalf("came back to %v", back)
	}
}

// back is where the browser ends after the callback.
func (m *machine) back(rt *rapid.T, callback string) *url.URL {
	rt.Helper()
	recorder := httptest.NewRecorder()
	m.instance().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://stepup.test"+callback, http.NoBody))
	location, err := url.Parse(recorder.Header().Get("Location"))
	if err != nil || recorder.Code != http.StatusSeeOther {
		rt.Fatalf("%d %s", recorder.Code, recorder.Body)
	}
	return location
}

// retrieve asks what the provider said.
func (m *machine) retrieve(rt *rapid.T) {
	if len(m.signIn) == 0 {
		rt.Skip("no sign-in")
	}
	i := rapid.SampledFrom(m.signIn).Draw(rt, "intent")
	body, want := fields{"idpIntentId": i.id, "idpIntentToken": i.token}, i.usable(m.now(), retrieveUnused, retrieveExpired)
	if one(rt, 5, "forged") {
		body["idpIntentToken"], want = "forged", intentForged
	}
	a := m.call(rt, "RetrieveIdentityProviderIntent", body, want)
	if want == carriedOut && (a.string("userId") != i.linked || a.string("idpInformation", "userId") != i.account) {
		rt.Fatalf("want %+v, got %s", *i, a.text)
	}
}

func (m *machine) lookAtLinks(rt *rapid.T, u *account) {
	rt.Helper()
	var got []string
	a := m.call(rt, "ListIDPLinks", fields{"userId": u.id}, carriedOut)
	for _, l := range a.list("result") {
		got = append(got, l.string("userId"))
	}
	want := slices.Clone(u.links)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("want %v, got %s", want, a.text)
	}
}
