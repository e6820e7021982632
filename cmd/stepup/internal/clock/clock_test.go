package clock_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/cmd/stepup/internal/clock"
)

func noon() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

const here = "127.0.0.1:4711"

// ask makes a request that comes from an address, with headers in turn.
func ask(c *clock.Clock, method, query, from string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+clock.Path+query, http.NoBody)
	r.RemoteAddr = from
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w
}

func offset(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var shown struct {
		Now    time.Time
		Offset string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if d, err := time.ParseDuration(shown.Offset); err != nil || !shown.Now.Equal(noon().Add(d)) {
		t.Errorf("it shows %v and %s", shown.Now, shown.Offset)
	}
	return shown.Offset
}

func TestTheClockIsShownAndMoved(t *testing.T) {
	t.Parallel()
	c := clock.New(noon)
	for _, step := range []struct{ method, query, want string }{
		{"GET", "", "0s"}, {"POST", "?advance=10m", "10m0s"}, {"POST", "?advance=1h", "1h10m0s"}, {"GET", "?advance=1h", "1h10m0s"},
	} {
		if got := offset(t, ask(c, step.method, step.query, here)); got != step.want {
			t.Errorf("%s %s: offset %s, want %s", step.method, step.query, got, step.want)
		}
	}
	if got := c.Now(); !got.Equal(noon().Add(70 * time.Minute)) {
		t.Errorf("now = %v", got)
	}
}

func TestWhatIsNoStepForwardMovesNothing(t *testing.T) {
	t.Parallel()
	c := clock.New(noon)
	if got := offset(t, ask(c, "POST", "?advance=87600h", here)); got != "87600h0m0s" {
		t.Errorf("ten years: %s", got)
	}
	for _, query := range []string{"", "?advance=", "?advance=soon", "?advance=0s", "?advance=-1m", "?advance=1ns", "?advance=2562047h47m16.854775807s"} {
		if w := ask(c, "POST", query, here); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "advance") {
			t.Errorf("%q: %d %s", query, w.Code, w.Body)
		}
	}
	if got := offset(t, ask(c, "GET", "", here)); got != "87600h0m0s" {
		t.Errorf("the clock is at %s", got)
	}
}

func TestOnlyThisMachineMovesTheClockAndNoForeignPage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from    string
		headers []string
		status  int
	}{
		"this machine":          {here, nil, http.StatusOK},
		"this machine by IPv6":  {"[::1]:4711", nil, http.StatusOK},
		"IPv4 in IPv6":          {"[::ffff:127.0.0.1]:4711", nil, http.StatusOK},
		"a page of this server": {here, []string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		"another machine":       {"192.0.2.1:4711", nil, http.StatusForbidden},
		"another by IPv6":       {"[2001:db8::1]:4711", nil, http.StatusForbidden},
		"no address":            {"", nil, http.StatusForbidden},
		"a forwarded request":   {"192.0.2.1:4711", []string{"X-Forwarded-For", "127.0.0.1"}, http.StatusForbidden},
		"a foreign page":        {here, []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"one in an old browser": {here, []string{"Origin", "https://example.com"}, http.StatusForbidden},
	} {
		c := clock.New(noon)
		moved := ask(c, "POST", "?advance=1m", tc.from, tc.headers...).Code
		if moved != tc.status || c.Now().Equal(noon()) != (tc.status != http.StatusOK) {
			t.Errorf("%s: status %d, want %d; now %v", name, moved, tc.status, c.Now())
		}
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	t.Parallel()
	if w := ask(clock.New(noon), "DELETE", "", here); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, POST" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestNoStepIsLostWhereManyAreTaken(t *testing.T) {
	t.Parallel()
	c := clock.New(noon)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { ask(c, "POST", "?advance=1s", here) })
	}
	all.Wait()
	if got := c.Now(); !got.Equal(noon().Add(100 * time.Second)) {
		t.Errorf("now = %v", got)
	}
}
