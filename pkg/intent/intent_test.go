package intent_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// world is a service with a provider, and ada, who is linked there.
type world struct {
	*apptest.Service

	t    *testing.T
	stub *idptest.Stub
	ada  string
}

func newWorld(t *testing.T, tb table.Table) world {
	t.Helper()
	stub := idptest.NewStub(t)
	s := apptest.New(t, apptest.Options{Table: tb, Providers: []idp.Provider{stub.Config("p")}})
	w := world{s, t, stub, s.NewUserCheap(t, "ada@example.com").ID}
	s.Link(t, w.ada, "p", "ada")
	return w
}

// answer is what a person's browser brings back.
func (w world) answer(login string) intent.Answer {
	w.t.Helper()
	return apptest.Answer(w.t, w.stub.SignIn(w.t, w.StartAt(w.t, "p"), login))
}

// back hands it over, and returns where the browser goes and why.
func (w world) back(a intent.Answer) (where string, query url.Values, why *fault.Fault) {
	w.t.Helper()
	outcome, err := w.Intents.Callback(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	u, err := url.Parse(outcome.Redirect)
	if err != nil {
		w.t.Fatal(err)
	}
	return u.Path, u.Query(), outcome.Failure
}

// over fails the test unless the answer is to no open intent.
func (w world) over(what string, a intent.Answer) {
	w.t.Helper()
	if outcome, err := w.Intents.Callback(w.t.Context(), a); !errors.Is(err, intent.ErrState) {
		w.t.Errorf("%s: %+v, %v", what, outcome, err)
	}
}

func TestASuccessNamesTheIntentItsTokenAndWhoIsLinked(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		w := newWorld(t, tb)
		for login, user := range map[string]string{"ada": w.ada, "nobody": ""} {
			where, query, why := w.back(w.answer(login))
			if where != "/ok" || why != nil || query.Get("user") != user || query.Has("user") != (user != "") {
				t.Fatalf("%s: %s %v, %v", login, where, query, why)
			}
			i, said, err := w.Intents.Retrieve(t.Context(), apptest.Admin(), query.Get("id"), query.Get("token"))
			if err != nil || i.UserID != user || said.Subject != login || said.ProviderID != "p" || said.AccessToken != "access token of "+login {
				t.Errorf("%s: %+v, %+v, %v", login, i, said, err)
			}
			if len(query.Get("token")) != 70 {
				t.Errorf("the token has %d characters", len(query.Get("token")))
			}
		}
	})
}

func TestAnAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		w := newWorld(t, tb)
		good := w.answer("ada")
		w.back(good)
		w.over("the same answer", good)
		other := good
		other.Code = w.answer("eve").Code
		w.over("another code", other)
		denied := good
		denied.Error = "access_denied"
		w.over("a denial afterwards", denied)
	})
}

func TestParallelAnswersAreOneSuccess(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		w := newWorld(t, tb)
		good := w.answer("ada")
		var all sync.WaitGroup
		outcomes, errs := make([]intent.Outcome, 50), make([]error, 50)
		for i := range outcomes {
			all.Go(func() { outcomes[i], errs[i] = w.Intents.Callback(t.Context(), good) })
		}
		all.Wait()
		passed := 0
		for i, o := range outcomes {
			switch {
			case errs[i] != nil && !errors.Is(errs[i], intent.ErrState):
				t.Errorf("call %d: %v", i, errs[i])
			case errs[i] == nil && o.Failure == nil:
				passed++
			case errs[i] == nil && !errors.Is(o.Failure, idp.ErrRefused): // the provider takes a code once
				t.Errorf("call %d: %v", i, o.Failure)
			}
		}
		if passed != 1 {
			t.Errorf("%d passed", passed)
		}
	})
}

func TestAnAnswerMustBeToAnOpenIntent(t *testing.T) {
	t.Parallel()
	w, stranger := newWorld(t, nil), newWorld(t, nil)
	good := w.answer("ada")
	w.over("no state", intent.Answer{Code: good.Code})
	w.over("a state that was made up", intent.Answer{State: "AAAA", Code: good.Code})
	w.over("a state of another service", intent.Answer{State: stranger.answer("ada").State, Code: good.Code})
	_, query, _ := w.back(w.answer("ada"))
	w.over("a token for a state", intent.Answer{State: query.Get("token"), Code: good.Code})
	w.Clock.Advance(15 * time.Minute)
	late := w.answer("ada")
	w.back(good) // in the last moment
	w.Clock.Advance(15*time.Minute + time.Microsecond)
	w.over("a late answer", late)
}

func TestAForgedStateCostsNoLookUp(t *testing.T) {
	t.Parallel()
	meter := tabletest.NewMeter(apptest.Bolt(t), 0)
	w := newWorld(t, meter)
	good := w.answer("ada").State
	meter.Reset()
	for _, state := range []string{"", "AAAA", good[1:], good + "A", good + "\n", "%%%", strings.Repeat("A", 70)} {
		w.over(state, intent.Answer{State: state, Code: "c"})
	}
	for _, token := range []string{"", "AAAA", good} {
		if _, _, err := w.Intents.Retrieve(t.Context(), apptest.Admin(), "x", token); fault.From(err).Kind != fault.PermissionDenied {
			t.Errorf("%q: %v", token, err)
		}
	}
	if n := meter.Calls().Total(); n != 0 {
		t.Errorf("forgeries made %d calls of the store", n)
	}
}

// TestAProvidersRefusalEndsTheIntent, and tells no more than RFC 6749 knows.
func TestAProvidersRefusalEndsTheIntent(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]struct{ code, text string }{
		"access_denied":           {"access_denied", "The sign-in was canceled or refused"},
		"temporarily_unavailable": {"temporarily_unavailable", "The identity provider cannot be reached at the moment"},
		"invalid_scope":           {"invalid_scope", "The identity provider refused the request"},
		"<script>":                {"server_error", "The sign-in could not be completed"},
		"login_required":          {"server_error", "The sign-in could not be completed"},
	} {
		w := newWorld(t, nil)
		a := w.answer("ada")
		a.Error = sent
		where, query, why := w.back(a)
		if diff := cmp.Diff(url.Values{"id": query["id"], "error": {want.code}, "error_description": {want.text}}, query); diff != "" || where != "/failed" {
			t.Errorf("%s: %s (-want +got):\n%s", sent, where, diff)
		}
		if why == nil || strings.Contains(why.Error(), "<") {
			t.Errorf("%s: logged %v", sent, why)
		}
		a.Error = ""
		w.over("afterwards", a)
	}
}

func TestAnAnswerWithoutACodeEndsTheIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.answer("ada")
	code := a.Code
	a.Code = ""
	if where, query, _ := w.back(a); where != "/failed" || query.Get("error") != "server_error" {
		t.Errorf("%s %v", where, query)
	}
	a.Code = code
	w.over("afterwards", a)
}

func TestAnAnswerThatProvesNothingEndsTheIntent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.answer("ada")
	w.stub.Behave(idptest.Behaviour{Claims: func(c map[string]any) { c["nonce"] = "another" }})
	where, query, why := w.back(a)
	if where != "/failed" || query.Get("error") != "server_error" || !errors.Is(why, idp.ErrAnswer) {
		t.Errorf("%s %v, %v", where, query, why)
	}
	w.over("afterwards", a)
}

// TestR1_AProviderThatDoesNotAnswerLeavesTheIntentOpen: the browser may come again.
func TestR1_AProviderThatDoesNotAnswerLeavesTheIntentOpen(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/.well-known/openid-configuration", "/token"} {
		w := newWorld(t, nil)
		a := w.answer("ada")
		w.Clock.Advance(10 * time.Minute)
		w.stub.Behave(idptest.Behaviour{Answer: func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == path {
				rw.WriteHeader(http.StatusBadGateway)
			}
			return r.URL.Path == path
		}})
		fresh := apptest.New(t, apptest.Options{Table: w.Table, Ring: w.Ring, Providers: []idp.Provider{w.stub.Config("p")}})
		outcome, err := fresh.Intents.Callback(t.Context(), a)
		if err != nil || !errors.Is(outcome.Failure, idp.ErrUnavailable) || !strings.Contains(outcome.Redirect, "error=temporarily_unavailable") {
			t.Errorf("%s: %+v, %v", path, outcome, err)
		}
		w.stub.Behave(idptest.Behaviour{})
		if where, _, why := w.back(a); where != "/ok" {
			t.Errorf("%s: afterwards %s, %v", path, where, why)
		}
	}
}

func TestACodeThatIsRefusedLeavesTheIntentOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := w.answer("ada")
	wrong := a
	wrong.Code = "another"
	where, query, why := w.back(wrong)
	if where != "/failed" || query.Get("error") != "server_error" || !errors.Is(why, idp.ErrRefused) {
		t.Errorf("%s %v, %v", where, query, why)
	}
	if where, _, _ := w.back(a); where != "/ok" {
		t.Errorf("afterwards %s", where)
	}
}

// failing is a table in which writes fail while it is told so.
type failing struct {
	table.Table

	fail bool
}

var errDown = fault.New(fault.Unavailable, "TEST-down", "down")

func (f *failing) Write(ctx context.Context, w table.Write) error {
	if f.fail {
		return errDown
	}
	return f.Table.Write(ctx, w)
}

func TestR1_AStoreThatFailsIsAFailureOfTheSignIn(t *testing.T) {
	t.Parallel()
	tb := &failing{Table: apptest.Bolt(t)}
	w := newWorld(t, tb)
	a := w.answer("ada")
	tb.fail = true
	where, query, why := w.back(a)
	if where != "/failed" || query.Get("error") != "temporarily_unavailable" || !errors.Is(why, errDown) {
		t.Errorf("%s %v, %v", where, query, why)
	}
	start := intent.Start{ProviderID: "p", SuccessURL: "https://a.example", FailureURL: "https://a.example"}
	if _, _, err := w.Intents.Start(t.Context(), apptest.Admin(), start); !errors.Is(err, errDown) {
		t.Errorf("start: %v", err)
	}
}

func TestAStartSaysWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	s := apptest.New(t, apptest.Options{
		Providers: []idp.Provider{stub.Config("p")}, Env: map[string]string{"STEPUP_LINK_HOSTS": "login.example.com,localhost"},
	})
	const good = "https://login.example.com/x"
	for name, tc := range map[string]struct {
		start intent.Start
		id    string
	}{
		"a good one":                   {intent.Start{"p", good, "http://localhost:3000/failed", "ada"}, ""},
		"an unknown provider":          {intent.Start{"q", good, good, ""}, "STEPUP-idp"},
		"a success URL elsewhere":      {intent.Start{"p", "https://evil.example/", good, ""}, "STEPUP-idp-url"},
		"a failure URL elsewhere":      {intent.Start{"p", good, "https://evil.example/", ""}, "STEPUP-idp-url"},
		"a host that looks like ours":  {intent.Start{"p", "https://login.example.com.evil.example/", good, ""}, "STEPUP-idp-url"},
		"a user that looks like ours":  {intent.Start{"p", "https://login.example.com@evil.example/", good, ""}, "STEPUP-idp-url"},
		"a URL by plain http":          {intent.Start{"p", "http://login.example.com/", good, ""}, "STEPUP-idp-url"},
		"a relative URL":               {intent.Start{"p", "/x", good, ""}, "STEPUP-idp-url"},
		"a URL that runs a script":     {intent.Start{"p", "javascript:alert(1)", good, ""}, "STEPUP-idp-url"},
		"a URL that breaks the header": {intent.Start{"p", good + "\r\nSet-Cookie: x", good, ""}, "STEPUP-idp-url"},
	} {
		_, address, err := s.Intents.Start(t.Context(), apptest.Admin(), tc.start)
		if got := idOf(err); got != tc.id || (address != "") != (tc.id == "") {
			t.Errorf("%s: %q, %v", name, address, err)
		}
	}
}

func idOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ID
}

// TestOnlyThoseWhoMayWriteSessionsSignPeopleIn: the one who starts a sign-in says where its
// proof goes, so an end user must not.
func TestOnlyThoseWhoMayWriteSessionsSignPeopleIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	proof := w.SignInAt(t, w.stub, "p", "ada")
	for _, caller := range []access.Caller{
		{}, {ID: w.ada, UserID: w.ada}, {ID: "k", Role: access.IAMUserManager}, {ID: "k", Role: access.IAMOwnerViewer},
	} {
		start := intent.Start{ProviderID: "p", SuccessURL: "https://a.example", FailureURL: "https://a.example"}
		if _, _, err := w.Intents.Start(t.Context(), caller, start); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%+v starts: %v", caller, err)
		}
		if _, _, err := w.Intents.Retrieve(t.Context(), caller, proof.ID, proof.Token); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%+v retrieves: %v", caller, err)
		}
	}
}

func TestAnIntentIsRetrievedUntilItIsUsedOrExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	used, old := w.SignInAt(t, w.stub, "p", "ada"), w.SignInAt(t, w.stub, "p", "ada")
	retrieve := func(c session.CheckIntent) string {
		_, _, err := w.Intents.Retrieve(t.Context(), apptest.Admin(), c.ID, c.Token)
		return idOf(err)
	}
	step := apptest.Named(w.ada)
	step.Checks.Intent = &used
	got := []string{retrieve(used), retrieve(used)} // twice is fine
	w.NewSession(t, session.Create{Step: step})
	w.Clock.Advance(time.Hour)
	got = append(got, retrieve(used), retrieve(old))
	w.Clock.Advance(time.Microsecond)
	got = append(got, retrieve(old))
	if diff := cmp.Diff([]string{"", "", "IDP-nme4gszsvx", "", "IDP-SAf42"}, got); diff != "" {
		t.Errorf("retrievals (-want +got):\n%s", diff)
	}
}

func TestTheLifetimeIsConfigured(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	s := apptest.New(t, apptest.Options{
		Providers: []idp.Provider{stub.Config("p")}, Env: map[string]string{"STEPUP_INTENT_LIFETIME": "5m"},
	})
	proof := s.SignInAt(t, stub, "p", "ada")
	s.Clock.Advance(5*time.Minute + time.Microsecond)
	if _, _, err := s.Intents.Retrieve(t.Context(), apptest.Admin(), proof.ID, proof.Token); idOf(err) != "IDP-SAf42" {
		t.Errorf("got %v", err)
	}
}

func TestARedirectKeepsTheAddressAndItsParametersButThoseOfOurs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, address, err := w.Intents.Start(t.Context(), apptest.Admin(), intent.Start{
		ProviderID: "p", SuccessURL: "https://a.example/x?app=1&id=forged&user=forged#here", FailureURL: "https://a.example",
	})
	if err != nil {
		t.Fatal(err)
	}
	outcome, err := w.Intents.Callback(t.Context(), apptest.Answer(t, w.stub.SignIn(t, address, "ada")))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(outcome.Redirect)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Path != "/x" || u.Fragment != "here" || q.Get("app") != "1" || len(q["id"]) != 1 || q.Get("id") == "forged" || q.Get("user") != w.ada {
		t.Errorf("the browser goes to %s", u)
	}
}
