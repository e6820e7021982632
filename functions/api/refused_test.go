package main_test

import (
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// refusals has what must be turned away, and how.
func refusals() []request {
	return []request{
		{
			file: "wrong-password", method: http.MethodPatch, path: sessionPath,
			body:   `{"checks":{"password":{"password":"wrong"}}}`,
			status: http.StatusBadRequest, want: "COMMAND-3M0fs",
		},
		{
			file: "expired-session", method: http.MethodPatch, path: "/v2/sessions/" + apitest.ExpiredSessionID, body: checkPassword,
			status: http.StatusBadRequest, want: "COMMAND-Hkl3d",
		},
		{
			file: "no-token", method: http.MethodGet, path: sessionPath,
			header: map[string]string{"authorization": ""},
			status: http.StatusUnauthorized, want: "auth header missing",
		},
		{
			file: "garbage-token", method: http.MethodGet, path: sessionPath,
			header: map[string]string{"authorization": "Bearer \u00ff%00../{}"},
			status: http.StatusUnauthorized, want: "AUTH-7fs1e",
		},
		{
			file: "forged-key", method: http.MethodGet, path: sessionPath,
			header: map[string]string{"authorization": "Bearer " + apitest.APIKey[:len(apitest.APIKey)-4] + "AAAA"},
			status: http.StatusUnauthorized, want: "AUTH-7fs1e",
		},
		{
			file: "broken-json", method: http.MethodPatch, path: sessionPath, body: `{"checks":`,
			status: http.StatusBadRequest, want: `"code":3`,
		},
		{
			file: "unknown-route", method: http.MethodGet, path: "/v2/nothing",
			status: http.StatusNotFound, want: "Not Found",
		},
		{
			file: "wrong-verb", method: http.MethodPut, path: sessionPath, body: checkPassword,
			status: http.StatusMethodNotAllowed, want: "Method Not Allowed",
		},
		{
			// The deadline is not in the event: Lambda tells it beside it.
			file: "expired-deadline", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			remaining: 100 * time.Millisecond,
			status:    http.StatusGatewayTimeout, want: "Too little time was left",
		},
		{
			// What an HTTP API sends that is set to the older format.
			file: "payload-version-1", method: http.MethodGet, path: sessionPath,
			edit:   func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" },
			status: http.StatusBadRequest, want: "payload version 2.0",
		},
	}
}
