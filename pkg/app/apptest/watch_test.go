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

// leakKey is where a secret is leaked to, each to a place of its own.
func leakKey(secret string) table.Key { return table.Key{PK: "P", SK: fmt.Sprint(len(secret))} }

// TestG2_ATestOfTheServiceFailsForASecretInAnySink has a service leak a secret of each
// source into each sink, and nothing leak.
func TestG2_ATestOfTheServiceFailsForASecretInAnySink(t *testing.T) {
	t.Parallel()
	const guessed = "canary: a wrong password"
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		for sink, leak := range map[string]func(s *apptest.Service, secret string){
			"":        func(*apptest.Service, string) {},
			"log":     func(s *apptest.Service, secret string) { fmt.Fprint(s.Logs, secret) },
			"metrics": func(s *apptest.Service, secret string) { fmt.Fprintf(s.Metrics, "%x", secret) },
			"refusal": func(s *apptest.Service, secret string) {
				tells := s.Secrets.Over(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					http.Error(w, secret, http.StatusTeapot)
				}))
				tells.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", http.NoBody))
			},
			"store": func(s *apptest.Service, secret string) {
				key, item := leakKey(secret), table.Item{"a": []any{map[string]any{"b": []byte(secret)}}}
				err := s.Table.Write(context.Background(), table.Write{Ops: []table.Op{table.Put(key, item, nil)}})
				if err != nil {
					t.Fatal(err)
				}
			},
		} {
			tr := &trial{TB: t}
			s := apptest.New(tr, apptest.Options{Table: tb})
			key := s.NewKey(t, access.IAMOwner, "")
			r := httptest.NewRequest(http.MethodPost, "/v2/sessions", strings.NewReader(`{"checks":{"user":{"loginName":"nobody"},"password":{"password":"`+guessed+`"}}}`))
			r.Header.Set("Authorization", "Bearer "+key)
			s.Handler.ServeHTTP(httptest.NewRecorder(), r)
			for _, secret := range []string{guessed, key} {
				leak(s, secret)
			}
			tr.end()
			if n := strings.Count(tr.failed, "in the "+sink+":"); sink == "" && tr.failed != "" || sink != "" && (n < 2 || !strings.Contains(tr.failed, "API key")) {
				t.Errorf("a secret in the %q: the test says %q", sink, tr.failed)
			}
			err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Delete(leakKey(guessed), nil), table.Delete(leakKey(key), nil)}})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}
