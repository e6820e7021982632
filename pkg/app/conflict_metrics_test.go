package app_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

func TestConflictsAreCountedEachTime(t *testing.T) {
	t.Parallel()
	var contended int
	tb := tabletest.NewFaulty(apptest.Bolt(t), func(_ int, call string) tabletest.Action {
		if call == tabletest.CallWrite && contended > 0 {
			contended--
			return tabletest.Contend
		}
		return tabletest.Pass
	})
	x := observe(t, apptest.Options{Table: tb})
	since := len(x.Metrics.String())
	contended = 3
	x.step(`{"checks":{"password":{"password":"wrong"}}}`)
	want := map[string]int{"ConflictsRetried": 3, "CheckOutcomes password wrong": 1, "CheckOutcomes wrong": 1}
	if diff := cmp.Diff(want, x.sums(since)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	since = len(x.Metrics.String())
	contended = 100
	x.step(`{"lifetime":"3600s"}`)
	if diff := cmp.Diff(map[string]int{"ConflictsRetried": 15}, x.sums(since)); diff != "" {
		t.Errorf("of a race that is lost for good (-want +got):\n%s", diff)
	}
}

// TestGuessThatLostARaceIsNotCountedTwice holds the metrics against what is stored.
func TestGuessThatLostARaceIsNotCountedTwice(t *testing.T) {
	t.Parallel()
	const guesses, limit = 40, 5
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_LOCKOUT_LIMIT": "5"}})
		x := &observed{Service: s, t: t, key: s.NewKey(t, access.IAMOwner, "")}
		u := s.NewUserCheap(t, "ada@example.com")
		x.path = "/v2/sessions/" + s.NewSession(t, session.Create{Step: apptest.Named(u.ID)}).SessionID
		var all sync.WaitGroup
		for range guesses {
			all.Go(func() { x.step(`{"checks":{"password":{"password":"wrong"}}}`) })
		}
		all.Wait()
		got := x.sums(0)
		if got["CheckOutcomes password wrong"] != limit {
			t.Errorf("%d wrong guesses are counted, %d were compared: %v", got["CheckOutcomes password wrong"], limit, got)
		}
		// Those that lost too often were told so, and are none.
		if n := got["CheckOutcomes password locked"] + limit; n > guesses || n != got["CheckOutcomes locked"]+got["CheckOutcomes wrong"] {
			t.Errorf("of %d guesses, counted %v", guesses, got)
		}
	})
}

func TestRequestThatRunsOutOfTimeIsCounted(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{})
	since := len(x.Metrics.String())
	ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "PATCH", x.path, strings.NewReader(`{"lifetime":"3600s"}`))
	r.Header.Set("Authorization", "Bearer "+x.key)
	w := httptest.NewRecorder()
	x.Handler.ServeHTTP(w, r)
	if diff := cmp.Diff(map[string]int{"DeadlineExceeded": 1}, x.sums(since)); diff != "" || w.Code != http.StatusGatewayTimeout {
		t.Errorf("%d %s; counted (-want +got):\n%s", w.Code, w.Body, diff)
	}
}
