package apptest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
)

// trial is a test that notes its failures, and ends when it is told to.
type trial struct {
	testing.TB

	failed string
	ends   []func()
}

func (t *trial) Errorf(format string, args ...any) { t.failed += fmt.Sprintf(format, args...) + "\n" }
func (t *trial) Cleanup(f func())                  { t.ends = append(t.ends, f) }

func (t *trial) end() {
	for _, f := range t.ends {
		f()
	}
}

// TestG2_ATestOfTheServiceFailsForASecretInAnySink has a service leak a secret of each
// source into each sink, and nothing leak.
func TestG2_ATestOfTheServiceFailsForASecretInAnySink(t *testing.T) {
	t.Parallel()
	for sink, leak := range map[string]func(t *testing.T, s *apptest.Service, secret string){
		"":        func(*testing.T, *apptest.Service, string) {},
		"log":     func(_ *testing.T, s *apptest.Service, secret string) { fmt.Fprint(s.Logs, secret) },
		"metrics": func(_ *testing.T, s *apptest.Service, secret string) { fmt.Fprintf(s.Metrics, "%x", secret) },
		"refusal": func(_ *testing.T, s *apptest.Service, secret string) {
			tells := s.Secrets.Over(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, secret, http.StatusTeapot)
			}))
			tells.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		},
		"store": func(t *testing.T, s *apptest.Service, secret string) {
			t.Helper()
			key, item := table.Key{PK: "P", SK: fmt.Sprint(len(secret))}, table.Item{"a": []any{map[string]any{"b": []byte(secret)}}}
			err := s.Table.Write(context.Background(), table.Write{Ops: []table.Op{table.Put(key, item, nil)}})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(sink, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				failed := leaking(t, tb, leak)
				n := strings.Count(failed, "in the "+sink+":")
				if sink == "" && failed != "" || sink != "" && (n < 2 || !strings.Contains(failed, "API key")) {
					t.Errorf("the test says %q", failed)
				}
			})
		})
	}
}

// leaking has a service leak a password and a key, and returns what its test says of that.
func leaking(t *testing.T, tb table.Table, leak func(t *testing.T, s *apptest.Service, secret string)) string {
	t.Helper()
	const guessed = "canary: a wrong password"
	tr := &trial{TB: t}
	s := apptest.New(tr, apptest.Options{Table: tb})
	key := s.NewKey(t, access.IAMOwner, "")
	r := httptest.NewRequest(http.MethodPost, "/v2/sessions", strings.NewReader(`{"checks":{"user":{"loginName":"nobody"},"password":{"password":"`+guessed+`"}}}`))
	r.Header.Set("Authorization", "Bearer "+key)
	s.Handler.ServeHTTP(httptest.NewRecorder(), r)
	for _, secret := range []string{guessed, key} {
		leak(t, s, secret)
	}
	tr.end()
	return tr.failed
}
