package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
)

// guess makes a user at the service and a wrong guess at the user's password.
func guess(t *testing.T, s server) {
	t.Helper()
	s.want(t, http.StatusOK, "POST /v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"A","familyName":"L"},
		"email":{"email":"ada@example.com","isVerified":true},"password":{"password":"correct horse battery"}}`)
	s.want(t, http.StatusBadRequest, "POST /v2/sessions", `{"checks":{"user":{"userId":"ada"},"password":{"password":"wrong"}}}`)
}

func ownerKey(t *testing.T, data string) string {
	t.Helper()
	e := run(t, nil, "key", "create", "--data", data, "--name", "of a test", "--role", "IAM_OWNER")
	if e.code != 0 {
		t.Fatalf("key create: %s", e.errors)
	}
	return strings.TrimSpace(e.out)
}

func TestServeCountsOnlyInTheNameThatItIsGiven(t *testing.T) {
	t.Parallel()
	for name, env := range map[string][]string{"door": {"STEPUP_METRICS=door"}, "": nil} {
		data := t.TempDir()
		key := ownerKey(t, data)
		p, url := serving(t, data, env...)
		guess(t, server{url, key})
		printed, _ := p.end(t, syscall.SIGTERM)
		lines := metricstest.Read(t, printed)
		if name == "" && len(lines) > 0 {
			t.Errorf("without a name:\n%s", printed)
		}
		if n := metricstest.Sum(t, printed, "CheckOutcomes", "service", "door", "outcome", "wrong"); name != "" && n != 1 {
			t.Errorf("%d wrong guesses in\n%s", n, printed)
		}
	}
}

// Whoever tries the service out sees no metrics, on the screen or in the log.
func TestDevCountsNothing(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	key := ownerKey(t, data)
	p, url := developing(t, data, "STEPUP_METRICS=door")
	guess(t, server{url, key})
	printed, _ := p.end(t, syscall.SIGTERM)
	log, err := os.ReadFile(filepath.Join(data, "stepup.log"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(printed+string(log), "CheckOutcomes") || !strings.Contains(string(log), "COMMAND-3M0fs") {
		t.Errorf("printed\n%s and logged\n%s", printed, log)
	}
}
