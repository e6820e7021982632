package main_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// written is a session with the last change of it that was answered.
type written struct {
	id, token string
	n         int
}

// load creates sessions and changes each a few times, until the context ends or an
// answer does not come, and returns what was answered.
func (s server) load(ctx context.Context) []written {
	var all []written
	for ctx.Err() == nil && len(all) < 500 {
		status, answer, err := s.call(ctx, "POST", "/v2/sessions", `{}`)
		if err != nil || status != 201 {
			break
		}
		w := written{id: answer["sessionId"].(string), token: answer["sessionToken"].(string)}
		for range 5 {
			n := base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(w.n + 1)))
			status, answer, err := s.call(ctx, "PATCH", "/v2/sessions/"+w.id, `{"metadata":{"n":"`+n+`"}}`)
			if err != nil || status != 200 {
				break
			}
			w.n++
			w.token = answer["sessionToken"].(string)
		}
		all = append(all, w)
	}
	return all
}

// TestKilledProcessLosesNothingThatItAnswered kills a server in the middle of its work
// and asks the next one for every change that was answered.
func TestKilledProcessLosesNothingThatItAnswered(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	_, key := newKey(t, data)
	p, url := serving(t, data)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	answered := make([][]written, 8)
	var workers sync.WaitGroup
	for i := range answered {
		workers.Go(func() { answered[i] = server{url, key}.load(ctx) })
	}
	time.AfterFunc(time.Second, func() { _ = p.cmd.Process.Signal(syscall.SIGKILL) })
	workers.Wait()
	if _, code := p.end(t, syscall.Signal(0)); code != -1 {
		t.Fatalf("the server ended by itself with %d", code)
	}

	p, url = serving(t, data)
	found := 0
	for _, w := range answered {
		for _, w := range w {
			found++
			server{url, key}.verify(t, w)
		}
	}
	if found < len(answered) {
		t.Fatalf("only %d sessions were answered", found)
	}
	t.Logf("%d sessions are all there", found)
	if _, code := p.end(t, syscall.SIGTERM); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// verify reads a session. The one change that was under way when the process died may
// be there or not; then the token is the old one or one that nobody knows.
func (s server) verify(t *testing.T, w written) {
	t.Helper()
	answer := s.want(t, 200, "GET /v2/sessions/"+w.id, "")
	stored, _ := answer["session"].(map[string]any)
	metadata, _ := stored["metadata"].(map[string]any)
	text, _ := metadata["n"].(string)
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(string(plain))
	if n != w.n && n != w.n+1 || stored["sequence"] != fmt.Sprint(n+1) {
		t.Errorf("session %s has change %d at sequence %v, %d were answered", w.id, n, stored["sequence"], w.n)
	}
	if n == w.n {
		s.want(t, 200, "GET /v2/sessions/"+w.id+"?sessionToken="+w.token, "")
	}
}
