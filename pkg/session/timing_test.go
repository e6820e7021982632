package session_test

import (
	"runtime"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
)

// Time is noise, so the test measures what takes it: a hash fills 19 MiB, next to which
// all else of a call is little.
func TestP6_AnUnknownUserCostsTheServiceWhatAWrongPasswordDoes(t *testing.T) { // not parallel: it measures memory
	s := newService(t)
	u := s.NewUser(t, "ada@example.com")
	cost := func(who session.CheckUser, want string) uint64 {
		step := apptest.Guess("wrong")
		step.Checks.User = &who
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Step: step})
		runtime.ReadMemStats(&after)
		refused(t, err, want)
		return after.TotalAlloc - before.TotalAlloc
	}
	wrong := cost(session.CheckUser{LoginName: u.Username}, "COMMAND-3M0fs")
	if wrong < 19<<20 {
		t.Fatalf("a wrong password allocates %d bytes, which is no hash", wrong)
	}
	for name, who := range map[string]session.CheckUser{"a name": {LoginName: "eve@example.com"}, "an id": {ID: "eve"}} {
		unknown := cost(who, "QUERY-Dfbg2")
		if ratio := float64(unknown) / float64(wrong); ratio < 0.9 || ratio > 1.1 {
			t.Errorf("%s that is unknown allocates %d bytes, a wrong password %d", name, unknown, wrong)
		}
	}
}
