package server_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// unreadable are requests whose parser quotes what it meets, which here is a secret. The
// values are what clients are told all the same.
var unreadable = map[string]string{
	`{"checks": {"password": canary-secret}}`:                             "invalid",
	`{"checks": {"password": "canary-secret"}}`:                           "(line 1:25): unexpected token",
	`{"checks": {"password": {"password": ["canary-secret"]}}}`:           "invalid value for string field password",
	`{"checks": {"totp": {"code": 13579024, "x": 1}}}`:                    "invalid value for string field code",
	`{"checks": {"password": {"password": "a"} "canary-secret"}}`:         "",
	`{"checks": {"password": {"password": "canary-secret` + "\x01" + `"}`: "invalid character",
	`{"lifetime": "canary-secret"}`:                                       "invalid google.protobuf.Duration value",
	`{"metadata": {"k": "canary-secret!"}}`:                               "invalid value for bytes field value",
	`{"metadata": {"canary-secret": "", "canary-secret": ""}}`:            "duplicate map key",
	`"canary-secret"`: "unexpected token",
}

// TestG2_ARefusalQuotesNothingOfWhatItCannotRead has each parser meet a secret where none is
// expected, over REST and over Connect.
func TestG2_ARefusalQuotesNothingOfWhatItCannotRead(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	s := c.create(t, session.Create{})
	for body, want := range unreadable {
		for name, a := range map[string]answer{
			"REST":    c.do(http.MethodPatch, "/v2/sessions/"+s.SessionID, body),
			"Connect": c.do(http.MethodPost, "/zitadel.session.v2.SessionService/SetSession", body, "Content-Type", "application/json"),
		} {
			text := strings.ReplaceAll(a.body, "\u00a0", " ")
			if a.status != http.StatusBadRequest || !strings.Contains(text, want) || strings.Contains(text, "canary") || strings.Contains(text, "13579024") {
				t.Errorf("%s, %s: %d %s", name, body, a.status, text)
			}
		}
	}
	for _, query := range []string{
		"sessionToken=canary-secret&sessionToken=b", "require.minAal=canary-secret", "require.maxAge=canary-secret", "sessionToken.x=canary-secret",
	} {
		if a := c.do(http.MethodGet, "/v2/sessions/"+s.SessionID+"?"+query, ``); strings.Contains(a.body, "canary") {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}

// TestG2_ARefusalQuotesNothingWhereverItIs puts a secret at every place of a body and of a
// query, as a string and as something that is no JSON.
func TestG2_ARefusalQuotesNothingWhereverItIs(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	id := c.create(t, session.Create{}).SessionID
	const (
		body  = `{"checks": {"totp": {"code": "1"}, "webAuthN": {"credentialAssertionData": {"a": [1]}}}, "metadata": {"k": "YQ=="}, "lifetime": "1s"}`
		query = `sessionToken=a&require.minAal=AAL_2&require.maxAge=1s`
	)
	quotes := func(what string, a answer) {
		if strings.Contains(a.body, "canary") {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	for _, secret := range []string{`"canary-secret"`, `canary-secret`, `"canary-secret`, `\ucanary`} {
		for at := range len(body) {
			torn := body[:at] + secret + body[at:]
			quotes(torn, c.do(http.MethodPatch, "/v2/sessions/"+id, torn))
			quotes(torn, c.do(http.MethodPost, "/zitadel.session.v2.SessionService/SetSession", torn, "Content-Type", "application/json"))
			quotes(torn, c.do(http.MethodPost, "/zitadel.session.v2.SessionService/SetSession", torn, "Content-Type", "application/proto"))
		}
		for at := range len(query) {
			torn := query[:at] + url.QueryEscape(secret) + query[at:]
			quotes(torn, c.do(http.MethodGet, "/v2/sessions/"+id+"?"+torn, ``))
		}
	}
}

// saying is a store that speaks of sessions as a parser does.
type saying struct {
	table.Table

	text string // "" while it works
}

func (s *saying) Get(ctx context.Context, key table.Key) (table.Item, error) {
	if s.text != "" && strings.HasPrefix(key.PK, "SES#") {
		return nil, status.Error(codes.InvalidArgument, s.text)
	}
	return s.Table.Get(ctx, key)
}

// TestG2_WhatIsNotKnownOfAParserIsNotTold: words of a version to come fail closed, whatever
// they begin with, and known words keep where and in which field.
func TestG2_WhatIsNotKnownOfAParserIsNotTold(t *testing.T) {
	t.Parallel()
	const closed = "the message could not be read"
	store := &saying{Table: apptest.Bolt(t)}
	s := apptest.New(t, apptest.Options{Table: store})
	c := restClient{s, nil, s.NewKey(t, access.IAMOwner, "")}
	for said, want := range map[string]string{
		`proto: (line 1:25): cannot digest "canary"`: closed,
		`canary`:                                closed,
		`canary: unexpected EOF`:                closed,
		`unexpected EOF after "canary"`:         closed,
		`"canary" is an unexpected token`:       closed,
		`parsing query "canary": invalid value`: closed,
		`duplicate field "canary\n"`:            closed,
		`missing parameter user_id`:             "missing parameter user_id",
		`proto: (line 1:2): error parsing "a", oneof b.c is already set`:           `proto: (line 1:2): error parsing "a", oneof b.c is already set`,
		`proto:` + "\u00a0" + `(line 1:2): invalid value for string key: "canary"`: "proto:\u00a0(line 1:2): invalid value for string key",
		`proto: syntax error (line 3:4): unexpected token "canary"`:                "proto: syntax error (line 3:4): unexpected token",
		`proto: (line 1:2): google.protobuf.Duration value out of range: "canary"`: "proto: (line 1:2): google.protobuf.Duration value out of range",
		`too many values for field "session_token": canary, canary`:                `too many values for field "session_token"`,
		`type mismatch, parameter: user_id, error: canary`:                         "type mismatch, parameter: user_id",
		`parsing field "max_age": canary`:                                          `parsing field "max_age"`,
		`proto: (line 1:2): duplicate map key "canary"`:                            "proto: (line 1:2): duplicate map key",
	} {
		store.text = said
		a := c.do(http.MethodGet, "/v2/sessions/x", ``)
		if got := a.refusal(t); a.status != http.StatusBadRequest || got.Message != want {
			t.Errorf("%s: %d %q", said, a.status, got.Message)
		}
	}
}
