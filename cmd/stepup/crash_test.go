package main_test

import (
	"context"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
)

var crashFor = flag.Duration("crash.for", 0, "how long to kill servers under load; 0 kills a few")

const (
	// kills is how many servers make test kills.
	kills = 3
	// clients are more than the store puts into one transaction of the database at rest.
	clients = 24
	// everyNth change proves something that can be proved once.
	everyNth = 8
)

// client makes changes one after another, and knows what was answered.
type client struct {
	server

	user, session, token, old string
	n                         int // changes that were answered
	base                      int // the sequence of the session before the first
	// codes are unused recovery codes, and used those whose use was answered since the
	// last start.
	codes, used []string
	// created are sessions with their tokens, made beside.
	created [][2]string
	// open is the change that was asked for and not answered.
	open *change
	// lost counts the changes that were not answered, and there those of them that are there
	// all the same.
	lost, there int
}

// change is one step of a session, which is repeated with its key until it is answered.
type change struct{ key, body, code string }

// next makes the change after the last one.
func (c *client) next() change {
	value := base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(c.n + 1)))
	made := change{key: fmt.Sprintf("%s-%d", c.user, c.n+1)}
	checks := ""
	if (c.n+1)%everyNth == 0 && len(c.codes) > 0 {
		made.code, c.codes = c.codes[0], c.codes[1:]
		checks = `"checks":{"recoveryCode":{"code":"` + made.code + `"}},`
	}
	// Two values and a factor, which are there together or not at all.
	made.body = `{` + checks + `"metadata":{"a":"` + value + `","b":"` + value + `"}}`
	return made
}

// ask makes the change and reports whether it was answered. A refusal is a failure of
// the test: nobody else changes the session.
func (c *client) ask(ctx context.Context, t *testing.T, made change) bool {
	c.open = &made
	status, answer, err := c.keyed(ctx, "PATCH", "/v2/sessions/"+c.session, made)
	if err != nil {
		return false
	}
	if status != 200 {
		t.Errorf("%s: %d %v", made.key, status, answer)
		return false
	}
	c.old, c.token = c.token, answer["sessionToken"].(string)
	c.n, c.open = c.n+1, nil
	if made.code != "" {
		c.used = append(c.used, made.code)
	}
	return true
}

// work makes changes until the server is gone.
func (c *client) work(ctx context.Context, t *testing.T) {
	for ctx.Err() == nil {
		if !c.ask(ctx, t, c.next()) {
			return
		}
		if c.n%everyNth != everyNth/2 {
			continue
		}
		status, answer, err := c.call(ctx, "POST", "/v2/sessions", `{"checks":{"user":{"userId":"`+c.user+`"}}}`)
		if err != nil || status != 201 {
			return
		}
		c.created = append(c.created, [2]string{answer["sessionId"].(string), answer["sessionToken"].(string)})
	}
}

// enrol creates the client's user and session.
func (c *client) enrol(t *testing.T) {
	t.Helper()
	c.want(t, 200, "POST /v2/users/human", `{"userId":"`+c.user+`","username":"`+c.user+`","profile":{"givenName":"A","familyName":"L"},"email":{"email":"`+c.user+`@example.com"}}`)
	made := c.want(t, 201, "POST /v2/sessions", `{"checks":{"user":{"userId":"`+c.user+`"}}}`)
	c.session, c.token = made["sessionId"].(string), made["sessionToken"].(string)
	c.base = c.sequence(t, c.read(t))
	c.refill(t)
}

// refill gives the user new recovery codes.
func (c *client) refill(t *testing.T) {
	t.Helper()
	if len(c.codes) > 0 {
		return
	}
	made := c.want(t, 200, "POST /v2/users/"+c.user+"/recovery_codes", `{"count":10}`)
	c.codes = nil
	for _, code := range made["recoveryCodes"].([]any) {
		c.codes = append(c.codes, code.(string))
	}
	c.used = nil
}

func (c *client) read(t *testing.T) map[string]any {
	t.Helper()
	stored, _ := c.want(t, 200, "GET /v2/sessions/"+c.session, "")["session"].(map[string]any)
	return stored
}

func (c *client) sequence(t *testing.T, stored map[string]any) int {
	t.Helper()
	n, err := strconv.Atoi(fmt.Sprint(stored["sequence"]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// verify looks at everything that was answered, and at the one change that was not: it is
// there as a whole or not at all, and its repetition has one effect in either case.
func (c *client) verify(t *testing.T) {
	t.Helper()
	stored := c.read(t)
	metadata, _ := stored["metadata"].(map[string]any)
	there := c.number(t, metadata["a"])
	if there != c.number(t, metadata["b"]) || c.sequence(t, stored) != c.base+there {
		t.Errorf("%s: half a change: %v at sequence %v after %d", c.user, metadata, stored["sequence"], c.base)
	}
	if there != c.n && (c.open == nil || there != c.n+1) {
		t.Errorf("%s: change %d is there, and %d were answered", c.user, there, c.n)
	}
	if c.open != nil {
		c.lost, c.there = c.lost+1, c.there+there-c.n
	}
	if there == c.n {
		c.want(t, 200, "GET /v2/sessions/"+c.session+"?sessionToken="+c.token, "")
	}
	if c.old != "" {
		c.want(t, 403, "GET /v2/sessions/"+c.session+"?sessionToken="+c.old, "")
	}
	for _, made := range c.created {
		c.want(t, 200, "GET /v2/sessions/"+made[0]+"?sessionToken="+made[1], "")
	}
	if made := c.open; made != nil && c.ask(t.Context(), t, *made) {
		if got := c.sequence(t, c.read(t)); got != c.base+c.n {
			t.Errorf("%s: the repetition went from change %d to sequence %d", c.user, there, got-c.base)
		}
	}
	// The last one is the one whose use may not have been answered at first. All would be
	// guesses enough to lock.
	if n := len(c.used); n > 0 {
		c.want(t, 400, "PATCH /v2/sessions/"+c.session, `{"checks":{"recoveryCode":{"code":"`+c.used[n-1]+`"}}}`)
		c.want(t, 400, "PATCH /v2/sessions/"+c.session, `{"checks":{"recoveryCode":{"code":"`+c.used[rand.IntN(n)]+`"}}}`)
	}
	c.base = c.sequence(t, c.read(t)) - c.n // a refusal counts in the guard, not in the session
	c.created = nil
	c.refill(t)
}

func (*client) number(t *testing.T, value any) int {
	t.Helper()
	text, _ := value.(string)
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(string(plain)) // nothing is none
	return n
}

// TestKilledProcessLosesNothingThatItAnswered kills servers in the middle of their work for
// many clients, each on the folder that the last one left, and asks the next one for every
// change that was answered: sessions, tokens and used codes. No change is there in half, and
// a repeated one has one effect.
func TestKilledProcessLosesNothingThatItAnswered(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	_, key := newKey(t, data)
	all := make([]*client, clients)
	p, url := serving(t, data)
	for i := range all {
		all[i] = &client{server: server{url, key}, user: fmt.Sprintf("user-%d", i)}
	}
	together(all, func(c *client) { c.enrol(t) })
	start, told, killed := time.Now(), time.Now(), 0
	for ; (killed < kills && *crashFor == 0 || time.Since(start) < *crashFor) && !t.Failed(); killed++ {
		load(t, p, all)
		p, url = serving(t, data)
		together(all, func(c *client) {
			c.url = url
			c.verify(t)
		})
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%d kills, %s in %v\n", killed+1, counted(all), time.Since(start).Round(time.Second))
		}
	}
	if n := total(all, func(c *client) int { return c.n }); n < killed*clients {
		t.Fatalf("only %d changes were answered", n)
	}
	if total(all, func(c *client) int { return c.lost }) == 0 {
		t.Fatal("no server was killed in the middle of its work")
	}
	t.Logf("%d kills under the load of %d clients: %s", killed, clients, counted(all))
	if _, code := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("ended with %d", code)
	}
	wantReadable(t, data)
}

// load has all clients work, and kills the server meanwhile.
func load(t *testing.T, p *process, all []*client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	time.AfterFunc(time.Duration(200+rand.IntN(500))*time.Millisecond, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) })
	together(all, func(c *client) { c.work(ctx, t) })
	if _, code := p.end(t, syscall.Signal(0)); code != -1 {
		t.Fatalf("the server ended by itself with %d", code)
	}
}

func together(all []*client, f func(c *client)) {
	var running sync.WaitGroup
	for _, c := range all {
		running.Go(func() { f(c) })
	}
	running.Wait()
}

func counted(all []*client) string {
	return fmt.Sprintf("%d changes were answered and are there, %d were not answered, and %d of them are there",
		total(all, func(c *client) int { return c.n }), total(all, func(c *client) int { return c.lost }), total(all, func(c *client) int { return c.there }))
}

func total(all []*client, count func(c *client) int) (n int) {
	for _, c := range all {
		n += count(c)
	}
	return n
}

// wantReadable reads the whole file that is left.
func wantReadable(t *testing.T, data string) {
	t.Helper()
	tb, err := bolt.Open(filepath.Join(data, "stepup.db"), store.Schema(), bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer tb.Close()
	if err := tb.Dump(t.Context(), func(table.Row) error { return nil }); err != nil {
		t.Error(err)
	}
}
