package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// subject is a function under measurement, and what was measured.
type subject struct {
	name, pkg string
	env       []string
	// event is what the n-th call sends; without it there are no calls.
	event func(n int) []byte
	// store, where there is one, knows how long a call waited for it.
	store *store

	binary string
	zip    map[string]int64 // in bytes, by processor

	sent int // calls so far, over all starts

	init, first, warm, waiting, overhead []time.Duration
	peak, resident                       []int64 // KiB: VmHWM and VmRSS after all calls
}

// measure starts the function once, sends it a first event and more, and stops it.
func (s *subject) measure(ctx context.Context, calls int) error {
	begin := time.Now()
	p, err := lambdatest.Start(ctx, lambdatest.Options{Binary: s.binary, Env: s.env})
	if err != nil {
		return err
	}
	defer p.Stop() //nolint:errcheck // its end says nothing about what was measured
	s.init = append(s.init, time.Since(begin))
	for i := 0; s.event != nil && i <= calls; i++ {
		s.sent++
		took, waited, err := s.call(ctx, p, s.event(s.sent))
		if err != nil {
			return err
		}
		if i == 0 {
			s.first = append(s.first, took)
			continue
		}
		s.warm, s.waiting, s.overhead = append(s.warm, took), append(s.waiting, waited), append(s.overhead, took-waited)
	}
	return s.weigh(p.PID())
}

// call sends the event and returns how long the answer took, and how much of that a
// request was at the store.
func (s *subject) call(ctx context.Context, p *lambdatest.Process, event []byte) (took, waited time.Duration, err error) {
	if s.store != nil {
		s.store.reset()
	}
	begin := time.Now()
	answer, err := p.Invoke(ctx, event)
	took = time.Since(begin)
	if err != nil || s.store == nil {
		return took, 0, err
	}
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(answer, &response); err != nil || response.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("the call failed: %s", answer)
	}
	return took, s.store.busy(), nil
}

// patch is the event of a change of metadata to a value that no call had before, for
// what is stored already is not written again.
func patch(n int) []byte {
	var event []byte
	gateway := &lambdatest.Gateway{Invoke: func(_ context.Context, e []byte) ([]byte, error) {
		event = e
		return []byte(`{"statusCode":200}`), nil
	}}
	r, err := http.NewRequest(http.MethodPatch, "https://api.example.com/v2/sessions/"+apitest.SessionID,
		strings.NewReader(fmt.Sprintf(`{"metadata":{"client":%q}}`, base64.StdEncoding.EncodeToString([]byte(strconv.Itoa(n))))))
	if err != nil {
		panic(err) // the URL is a constant
	}
	r.Header.Set("Authorization", "Bearer "+apitest.APIKey)
	r.Header.Set("Content-Type", "application/json")
	resp, err := gateway.RoundTrip(r)
	if err != nil {
		panic(err) // the answer is a constant
	}
	_ = resp.Body.Close()
	return event
}

// weigh reads the memory of the process.
func (s *subject) weigh(pid int) error {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		into := map[string]*[]int64{"VmHWM": &s.peak, "VmRSS": &s.resident}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
		if err != nil {
			return fmt.Errorf("%s of process %d: %w", name, pid, err)
		}
		*into = append(*into, kib)
	}
	return nil
}
