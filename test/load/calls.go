package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/descope/virtualwebauthn"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// request is a call over HTTP. The body is made into JSON.
type request struct {
	verb, path string
	body       any
}

func (r request) reader() io.Reader {
	if r.body == nil {
		return http.NoBody
	}
	text, err := json.Marshal(r.body)
	if err != nil {
		panic(err) // bodies are made in this file, of strings
	}
	return bytes.NewReader(text)
}

// tree is a JSON object.
type tree = map[string]any

// call is something that is measured.
type call struct {
	name string
	// prepare, where there is one, does what has to come before each call, unmeasured.
	prepare func(ctx context.Context, w *world, i int) error
	do      func(ctx context.Context, w *world, i int) error
	// once is a call that a person can make once in a while only: what it proves with is
	// used up until prepare was there again.
	once bool
}

// world is a service with people, and what calls it.
type world struct {
	*service

	client *client
	people []*person
	ready  [slots]any // what prepare left for do

	changes atomic.Int64 // of metadata, so far
}

func newWorld(ctx context.Context, s *service) (*world, error) {
	all, err := people(ctx, s)
	if err != nil {
		return nil, err
	}
	w := &world{service: s, people: all, client: newClient(s.Handler, s.key)}
	for i := range all { // the process has met everybody then
		if err := get(ctx, w, i); err != nil {
			w.client.close()
			return nil, err
		}
	}
	return w, nil
}

// calls are those of a login, in the order of the tables.
func calls() []call {
	return []call{
		{name: "create", do: create},
		{name: "set metadata", do: setMetadata},
		{name: "set password", do: setPassword},
		{name: "set TOTP", prepare: nextCode, do: setTOTP, once: true},
		{name: "open a code and check it", do: codeRound},
		{name: "set passkey", prepare: askForPasskey, do: setPasskey, once: true},
		{name: "get", do: get},
		{name: "list 10 of a user", do: list},
	}
}

func (w *world) patch(ctx context.Context, i int, body tree) ([]byte, error) {
	return w.client.do(ctx, request{http.MethodPatch, "/v2/sessions/" + w.people[i].session, body})
}

// create makes a session for somebody else, so that the people's lists stay as long as
// they are.
func create(ctx context.Context, w *world, _ int) error {
	_, err := w.client.do(ctx, request{http.MethodPost, "/v2/sessions", tree{"metadata": tree{"client": "d2Vi"}}})
	return err
}

// setMetadata writes another value each time: one that is there already is not written.
func setMetadata(ctx context.Context, w *world, i int) error {
	value := strconv.AppendInt(nil, w.changes.Add(1), 10)
	_, err := w.patch(ctx, i, tree{"metadata": tree{"client": value}})
	return err
}

func setPassword(ctx context.Context, w *world, i int) error {
	_, err := w.patch(ctx, i, tree{"checks": tree{"password": tree{"password": plain}}})
	return err
}

// nextCode reads the authenticator app. The time has moved since the last code.
func nextCode(_ context.Context, w *world, i int) error {
	w.ready[i] = otp.Code(w.people[i].seed, w.clock.now())
	return nil
}

func setTOTP(ctx context.Context, w *world, i int) error {
	_, err := w.patch(ctx, i, tree{"checks": tree{"totp": tree{"code": w.ready[i]}}})
	return err
}

// codeRound is two calls. The code is in the first answer: nothing is sent.
func codeRound(ctx context.Context, w *world, i int) error {
	answer, err := w.patch(ctx, i, tree{"challenges": tree{"otpSms": tree{"returnCode": true}}})
	if err != nil {
		return err
	}
	var opened struct{ Challenges struct{ OTPSMS string } }
	if err := json.Unmarshal(answer, &opened); err != nil { //nolint:musttag // names match without regard to case
		return err
	}
	_, err = w.patch(ctx, i, tree{"checks": tree{"otpSms": tree{"code": opened.Challenges.OTPSMS}}})
	return err
}

// askForPasskey opens a challenge and lets the person's authenticator answer it.
func askForPasskey(ctx context.Context, w *world, i int) error {
	answer, err := w.patch(ctx, i, tree{"challenges": tree{"webAuthN": tree{
		"domain": relyingParty, "userVerificationRequirement": "USER_VERIFICATION_REQUIREMENT_REQUIRED",
	}}})
	if err != nil {
		return err
	}
	var opened struct {
		Challenges struct {
			WebAuthN struct{ PublicKeyCredentialRequestOptions json.RawMessage }
		}
	}
	if err := json.Unmarshal(answer, &opened); err != nil { //nolint:musttag // names match without regard to case
		return err
	}
	options, err := virtualwebauthn.ParseAssertionOptions(string(opened.Challenges.WebAuthN.PublicKeyCredentialRequestOptions))
	if err != nil {
		return fmt.Errorf("options of the challenge: %w", err)
	}
	p := w.people[i]
	w.ready[i] = json.RawMessage(virtualwebauthn.CreateAssertionResponse(browser(), p.device, p.credential, *options))
	return nil
}

func setPasskey(ctx context.Context, w *world, i int) error {
	_, err := w.patch(ctx, i, tree{"checks": tree{"webAuthN": tree{"credentialAssertionData": w.ready[i]}}})
	return err
}

func get(ctx context.Context, w *world, i int) error {
	_, err := w.client.do(ctx, request{verb: http.MethodGet, path: "/v2/sessions/" + w.people[i].session})
	return err
}

func list(ctx context.Context, w *world, i int) error {
	_, err := w.client.do(ctx, request{http.MethodPost, "/v2/sessions/search", tree{
		"queries": []tree{{"userIdQuery": tree{"id": w.people[i].id}}},
	}})
	return err
}
