package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/test/proxy"
)

// providerPaths are what a provider is asked for, with what comes of a failure: a sign-in
// that does not begin, one that goes back to the failure URL, and, for names that are
// merely nice to have, one that succeeds.
var providerPaths = map[string]struct {
	location string
	env      map[string]string
}{
	"openid-configuration": {},
	"token":                {location: "https://login.example.com/failed?error="},
	"keys":                 {location: "https://login.example.com/failed?error="},
	"userinfo":             {location: "https://login.example.com/ok?", env: map[string]string{"STEPUP_TIMEOUT": "4s"}},
}

var providerOutages = map[string]proxy.Failure{
	"hangs":              proxy.Hang,
	"throttles":          proxy.Answer(http.StatusTooManyRequests, nil, "slow down"),
	"denies":             proxy.Answer(http.StatusForbidden, nil, "no"),
	"meets a defect":     proxy.Answer(http.StatusInternalServerError, nil, "oops"),
	"answers nonsense":   proxy.Answer(http.StatusOK, map[string]string{"Content-Type": "application/json"}, "<html>"),
	"cuts the call off":  proxy.Reset,
	"loses its answer":   proxy.Lose,
	"floods":             proxy.Answer(http.StatusOK, map[string]string{"Content-Type": "application/json"}, strings.Repeat(" ", 1<<20)),
	"sends it elsewhere": proxy.Answer(http.StatusFound, map[string]string{"Location": "http://127.0.0.1:1/"}, ""),
}

// TestR1_EveryQuestionToAProviderFailsInEveryWay walks what a sign-in asks of a provider
// and each way in which that fails. Nobody waits longer than a sign-in may take, the
// person is sent to where they can begin anew, nothing is signed in, and the next sign-in
// succeeds.
func TestR1_EveryQuestionToAProviderFailsInEveryWay(t *testing.T) {
	t.Parallel()
	type row struct {
		path string
		how  proxy.Failure
	}
	rows := map[string]row{}
	for path := range providerPaths {
		for name, how := range providerOutages {
			rows[path+" "+name] = row{path, how}
		}
	}
	together(t, rows, func(t *testing.T, r row) {
		stub := idptest.NewStub(t)
		way := proxy.Start(t, stub.Issuer)
		stub.Issuer = way.URL
		// Only the userinfo endpoint has names.
		stub.Behave(idptest.Behaviour{
			Claims:   func(c map[string]any) { delete(c, "given_name") },
			UserInfo: map[string]any{"sub": "ada", "given_name": "Ada"},
		})
		tb := apptest.Bolt(t)
		s := apptest.New(t, apptest.Options{Table: tb, Providers: []idp.Provider{stub.Config("google")}, Env: providerPaths[r.path].env})
		f := federated{client: client{t, s.Serve(t), s.NewKey(t, access.IAMLoginClient, "")}}
		want := providerPaths[r.path]
		fail := func() { way.Break(r.how, func(x proxy.Call) bool { return x.Name == r.path }) }
		began := time.Now()
		if want.location == "" {
			fail()
			f.wantRefusedStart(tb)
		} else {
			callback := stub.SignIn(t, f.must(http.MethodPost, "/v2/idp_intents", googleStart)["authUrl"].(string), "ada")
			fail()
			began = time.Now()
			status, location := f.back(callback)
			if status != http.StatusSeeOther || !strings.HasPrefix(location.String(), want.location) ||
				location.Query().Has("error") == location.Query().Has("token") {
				t.Errorf("%d to %s\n%s", status, location, s.Logs)
			}
		}
		if took := time.Since(began); took > 7*time.Second { // the request has eight
			t.Errorf("answered after %v", took)
		}
		if r.path != "userinfo" && !strings.Contains(s.Logs.String(), `"cause":"`) {
			t.Errorf("no cause is logged:\n%s", s.Logs)
		}
		way.Heal()
		next := stub.SignIn(t, f.must(http.MethodPost, "/v2/idp_intents", googleStart)["authUrl"].(string), "ada")
		if status, location := f.back(next); status != http.StatusSeeOther || location.Query().Get("token") == "" {
			t.Errorf("the next sign-in: %d to %s\n%s", status, location, s.Logs)
		}
		code, _ := url.Parse(next)
		if found := leaks([]byte(s.Logs.String()), map[string][]byte{
			"key": []byte(f.key), "code": []byte(code.Query().Get("code")), "state": []byte(code.Query().Get("state")), "secret": []byte(idptest.ClientSecret),
		}); len(found) > 0 {
			t.Errorf("logged: %v in\n%s", found, s.Logs)
		}
	})
}

// wantRefusedStart begins a sign-in that cannot begin, and leaves nothing.
func (f federated) wantRefusedStart(tb *bolt.Store) {
	f.t.Helper()
	before := apptest.Dump(f.t, tb)
	status, answer := f.call(http.MethodPost, "/v2/idp_intents", f.key, googleStart)
	if status != http.StatusServiceUnavailable || faultOf(answer) != "STEPUP-idp-unavailable" {
		f.t.Errorf("got %d %v", status, answer)
	}
	if diff := cmp.Diff(before, apptest.Dump(f.t, tb)); diff != "" {
		f.t.Errorf("stored:\n%s", diff)
	}
}

// TestR1_ASecretThatCannotBeFetchedStopsTheStartInTime has each secret of the start fail
// in each way. Lambda gives a start ten seconds.
func TestR1_ASecretThatCannotBeFetchedStopsTheStartInTime(t *testing.T) {
	t.Parallel()
	ring := string(keyringText(t))
	json11 := map[string]string{"Content-Type": "application/x-amz-json-1.1"}
	type row struct {
		n     int
		how   proxy.Failure
		cause string
	}
	rows := map[string]row{}
	for name, n := range map[string]int{"STEPUP_KEYRING": 1, "STEPUP_IDENTITY_PROVIDERS": 2} {
		rows[name+" hangs"] = row{n, proxy.Hang, "deadline exceeded"}
		rows[name+" is throttled"] = row{n, proxy.Answer(http.StatusBadRequest, json11, `{"__type":"ThrottlingException"}`), "ThrottlingException"}
		rows[name+" is denied"] = row{n, proxy.Answer(http.StatusBadRequest, json11, `{"__type":"AccessDeniedException"}`), "AccessDeniedException"}
		rows[name+" meets a defect"] = row{n, proxy.Answer(http.StatusInternalServerError, json11, `{"__type":"InternalServiceError"}`), "InternalServiceError"}
		rows[name+" is answered by nonsense"] = row{n, proxy.Answer(http.StatusOK, json11, "<html>"), "deserialization failed"}
		rows[name+" is cut off"] = row{n, proxy.Reset, "connection reset"}
		rows[name+" loses its answer"] = row{n, proxy.Lose, "connection reset"}
	}
	together(t, rows, func(t *testing.T, r row) {
		way := proxy.Start(t, secrets(t, map[string]string{"stepup/keyring": ring, "stepup/providers": oneProvider}))
		start := func() error {
			d := deployment{logs: &apptest.Log{}, asked: &apptest.Log{}, env: map[string]string{
				"STEPUP_TABLE": "table", "STEPUP_KEYRING": "stepup/keyring", "STEPUP_IDENTITY_PROVIDERS": "stepup/providers", "STEPUP_URL": "https://api.example.com",
				"AWS_ENDPOINT_URL_SECRETS_MANAGER": way.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-central-1",
			}}
			_, err := d.open(t)
			return err
		}
		way.Break(r.how, func(x proxy.Call) bool { return x.N == r.n })
		began := time.Now()
		err := start()
		name := []string{"STEPUP_KEYRING: ", "STEPUP_IDENTITY_PROVIDERS: "}[r.n-1]
		if err == nil || !strings.HasPrefix(err.Error(), name) || !strings.Contains(err.Error(), r.cause) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("stopped after %v", took)
		}
		if found := leaks([]byte(err.Error()), map[string][]byte{"keyring": []byte(ring), "client secret": []byte("canary of a provider")}); len(found) > 0 {
			t.Errorf("told: %v in %v", found, err)
		}
		way.Heal()
		if err := start(); err != nil {
			t.Errorf("the next start: %v", err)
		}
	})
}
