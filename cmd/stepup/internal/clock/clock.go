// Package clock owns a time that a developer can move, so that what expires can be seen
// to expire. It is below cmd/stepup because nothing that is deployed may have one: the
// compiler keeps it out of everything else.
package clock

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"
)

// Path is where a laptop serves its clock.
const Path = "/dev/clock"

// Clock is a time that is ahead of another by what somebody asked for. It is safe for
// concurrent use.
type Clock struct {
	base  func() time.Time
	ahead atomic.Int64
}

// New returns a clock that shows the time of base until it is moved.
func New(base func() time.Time) *Clock { return &Clock{base: base} }

// Now returns the time.
func (c *Clock) Now() time.Time { return c.base().Add(c.offset()) }

func (c *Clock) offset() time.Duration { return time.Duration(c.ahead.Load()) }

// furthest bounds how far ahead a clock can get, so that every time stays one that can
// be stored.
const furthest = 10 * 365 * 24 * time.Hour

// advance moves the clock, which never goes back: a service may rely on that. It reports
// whether the step is one that can be taken.
func (c *Clock) advance(d time.Duration) bool {
	for {
		before := c.ahead.Load()
		if d <= 0 || d > furthest-time.Duration(before) {
			return false
		}
		if c.ahead.CompareAndSwap(before, before+int64(d)) {
			return true
		}
	}
}

// reading is the JSON of the clock.
type reading struct {
	Now    time.Time `json:"now"`
	Offset string    `json:"offset"`
}

// ServeHTTP answers GET with {"now", "offset"}: the service's time (RFC 3339, UTC) and
// how far it is ahead. POST with the query advance=10m moves it first. Only this machine
// is answered, and no page of another site.
func (c *Clock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !local(r) || http.NewCrossOriginProtection().Check(r) != nil:
		http.Error(w, "the clock is for this machine only", http.StatusForbidden)
	case r.Method == http.MethodGet:
		c.show(w)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "the clock is read with GET and moved with POST", http.StatusMethodNotAllowed)
	default:
		d, err := time.ParseDuration(r.URL.Query().Get("advance"))
		if err != nil || !c.advance(d) {
			http.Error(w, "advance: is not a duration above zero, such as 10m, or leads more than ten years ahead", http.StatusBadRequest)
			return
		}
		c.show(w)
	}
}

func (c *Clock) show(w http.ResponseWriter) {
	body, err := json.Marshal(reading{Now: c.Now().UTC(), Offset: c.offset().String()})
	if err != nil {
		http.Error(w, "the clock cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

// local reports whether the request comes from this machine.
func local(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
