package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
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
