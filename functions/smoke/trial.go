package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// call is one request of a trial; key is empty for a stranger's.
type call struct{ method, path, key, body string }

// answer is what came back.
type answer struct {
	status int
	body   string
}

// try sends requests until one is answered wrongly: whether the version starts and
// lives, whether it keeps a stranger out, and, with a key, whether a session can be
// made, read and ended, which goes through the keyring and the table.
func try(
	ctx context.Context, send func(context.Context, call) (answer, error), readKey func(context.Context) (string, error),
	log *slog.Logger,
) error {
	expect := func(status int, c call) (answer, error) {
		a, err := send(ctx, c)
		if err == nil && a.status != status {
			err = fmt.Errorf("the answer has the status %d, not %d", a.status, status)
		}
		if err != nil {
			err = fmt.Errorf("%s %s: %w", c.method, c.path, err)
		}
		return a, err
	}
	if _, err := expect(http.StatusOK, call{method: http.MethodGet, path: "/debug/healthz"}); err != nil {
		return err
	}
	if _, err := expect(http.StatusUnauthorized, call{method: http.MethodPost, path: "/v2/sessions", body: "{}"}); err != nil {
		return err
	}
	key, err := readKey(ctx)
	if err != nil {
		return err
	}
	if key == "" {
		log.WarnContext(ctx, "there is no API key for trials, so the table was not tried")
		return nil
	}
	return roundTrip(key, expect)
}

// roundTrip makes a session, reads it and ends it.
func roundTrip(key string, expect func(status int, c call) (answer, error)) error {
	made, err := expect(http.StatusCreated, call{method: http.MethodPost, path: "/v2/sessions", key: key, body: `{"lifetime":"60s"}`})
	if err != nil {
		return err
	}
	var session struct {
		ID string `json:"sessionId"`
	}
	if err := json.Unmarshal([]byte(made.body), &session); err != nil || session.ID == "" {
		return errors.New("POST /v2/sessions: the answer has no sessionId")
	}
	path := "/v2/sessions/" + session.ID
	_, read := expect(http.StatusOK, call{method: http.MethodGet, path: path, key: key})
	_, ended := expect(http.StatusOK, call{method: http.MethodDelete, path: path, key: key, body: "{}"})
	return errors.Join(read, ended)
}
