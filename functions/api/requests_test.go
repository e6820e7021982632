package main_test

import (
	"encoding/binary"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"google.golang.org/protobuf/proto"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
)

// request is what one file in events/ holds, and what the function must answer.
type request struct {
	file   string // without .json
	method string
	path   string
	// header is added to what every client sends; an empty value takes away.
	header map[string]string
	body   string
	// edit changes what the gateway wrote.
	edit func(*events.APIGatewayV2HTTPRequest)
	// remaining is the time that the function is told it has; zero is all of it.
	remaining time.Duration

	status int
	// want is in the answer as it goes over the wire: status line, headers, body.
	want string
}

const (
	sessionPath = "/v2/sessions/" + apitest.SessionID
	userPath    = "/v2/users/" + apitest.UserID
	factorsPath = "/v2/users/" + apitest.FactorsID
	// unprovedPath is somebody whose addresses are not verified.
	unprovedPath = "/v2/users/" + apitest.UnprovedID

	setSessionRPC = "/zitadel.session.v2.SessionService/SetSession"
	getSessionRPC = "/zitadel.session.v2.SessionService/GetSession"

	checks        = `"checks":{"password":{"password":"` + apitest.Password + `"}}`
	checkPassword = `{` + checks + `}`
)

// requests returns one row for each file: every route as REST, one call in every
// other format, and then what tends to go wrong.
func requests() []request {
	var all []request
	for _, group := range [][]request{sessionRoutes(), userRoutes(), factorRoutes(), identityRoutes(), formats(), carriage(), signedRequests(), refusals()} {
		all = append(all, group...)
	}
	return all
}

func sessionRoutes() []request {
	return []request{
		{
			file: "create-session.rest", method: http.MethodPost, path: "/v2/sessions",
			body: `{"checks":{"user":{"loginName":"` + apitest.LoginName + `"},"password":{"password":"` + apitest.Password +
				`"}},"metadata":{"client":"d2Vi"},"userAgent":{"fingerprintId":"agent-1","ip":"198.51.100.7"},"lifetime":"3600s"}`,
			status: http.StatusCreated, want: `"sessionToken"`,
		},
		{
			file: "get-session.rest", method: http.MethodGet, path: sessionPath,
			status: http.StatusOK, want: `"loginName":"` + apitest.LoginName + `"`,
		},
		{
			file: "set-session.rest", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			file: "list-sessions.rest", method: http.MethodPost, path: "/v2/sessions/search",
			body:   `{"query":{"limit":10},"queries":[{"userIdQuery":{"id":"` + apitest.UserID + `"}}]}`,
			status: http.StatusOK, want: `"totalResult":"2"`,
		},
		{
			file: "delete-session.rest", method: http.MethodDelete, path: sessionPath,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "terminate-user-sessions.rest", method: http.MethodPost, path: "/stepup/v1/users/" + apitest.UserID + "/sessions/terminate",
			body: `{"keepSessionId":"` + apitest.SessionID + `"}`, status: http.StatusOK, want: `"everyUserAgent":true`,
		},
	}
}

func userRoutes() []request {
	const (
		profile = `"profile":{"givenName":"Grace","familyName":"Hopper"}`
		email   = `"email":{"email":"grace@example.com","isVerified":true}`
	)
	return []request{
		{
			file: "add-human-user.rest", method: http.MethodPost, path: "/v2/users/human",
			body:   `{"userId":"grace",` + profile + `,` + email + `,"password":{"password":"` + apitest.Password + `"}}`,
			status: http.StatusOK, want: `"userId":"grace"`,
		},
		{
			file: "create-user.rest", method: http.MethodPost, path: "/v2/users/new",
			body:   `{"organizationId":"default","userId":"grace","human":{` + profile + `,` + email + `}}`,
			status: http.StatusOK, want: `"id":"grace"`,
		},
		{
			file: "get-user-by-id.rest", method: http.MethodGet, path: userPath,
			status: http.StatusOK, want: `"userId":"` + apitest.UserID + `"`,
		},
		{
			file: "list-users.rest", method: http.MethodPost, path: "/v2/users",
			body:   `{"queries":[{"loginNameQuery":{"loginName":"` + apitest.LoginName + `"}}]}`,
			status: http.StatusOK, want: `"totalResult":"1"`,
		},
		{
			file: "update-human-user.rest", method: http.MethodPut, path: "/v2/users/human/" + apitest.UserID,
			body: `{` + profile + `}`, status: http.StatusOK, want: `"details"`,
		},
		{
			file: "set-password.rest", method: http.MethodPost, path: userPath + "/password",
			body:   `{"newPassword":{"password":"another correct horse"}}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "set-email.rest", method: http.MethodPost, path: userPath + "/email",
			body:   `{"email":"ada@new.example.com","returnCode":{}}`,
			status: http.StatusOK, want: `"verificationCode"`,
		},
		{
			file: "send-email-code.rest", method: http.MethodPost, path: unprovedPath + "/email/send", body: `{"returnCode":{}}`,
			status: http.StatusOK, want: `"verificationCode"`,
		},
		{
			file: "resend-email-code.rest", method: http.MethodPost, path: unprovedPath + "/email/resend", body: `{"returnCode":{}}`,
			status: http.StatusOK, want: `"verificationCode"`,
		},
		{
			file: "verify-email.rest", method: http.MethodPost, path: unprovedPath + "/email/verify", body: `{"verificationCode":"12345678"}`,
			status: http.StatusBadRequest, want: "COMMAND-eis9R",
		},
		{
			file: "set-phone.rest", method: http.MethodPost, path: userPath + "/phone",
			body:   `{"phone":"+41446681801","returnCode":{}}`,
			status: http.StatusOK, want: `"verificationCode"`,
		},
		{
			file: "remove-phone.rest", method: http.MethodDelete, path: userPath + "/phone",
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "resend-phone-code.rest", method: http.MethodPost, path: unprovedPath + "/phone/resend", body: `{"returnCode":{}}`,
			status: http.StatusOK, want: `"verificationCode"`,
		},
		{
			file: "verify-phone.rest", method: http.MethodPost, path: unprovedPath + "/phone/verify", body: `{"verificationCode":"12345678"}`,
			status: http.StatusBadRequest, want: "COMMAND-eis9R",
		},
		{
			file: "lock-user.rest", method: http.MethodPost, path: userPath + "/lock", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "unlock-user.rest", method: http.MethodPost, path: "/v2/users/" + apitest.LockedID + "/unlock", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "deactivate-user.rest", method: http.MethodPost, path: userPath + "/deactivate", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "reactivate-user.rest", method: http.MethodPost, path: "/v2/users/" + apitest.InactiveID + "/reactivate", body: `{}`,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "delete-user.rest", method: http.MethodDelete, path: userPath,
			status: http.StatusOK, want: `"details"`,
		},
		{
			file: "list-authentication-method-types.rest", method: http.MethodGet, path: userPath + "/authentication_methods",
			status: http.StatusOK, want: `"AUTHENTICATION_METHOD_TYPE_PASSWORD"`,
		},
	}
}

// formats has the same call in every other format, and the errors of each.
func formats() []request {
	connectJSON := map[string]string{"content-type": "application/json", "connect-protocol-version": "1"}
	connectProto := map[string]string{"content-type": "application/proto", "connect-protocol-version": "1"}
	grpcWeb := map[string]string{"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
	grpc := map[string]string{"content-type": "application/grpc+proto", "te": "trailers"}
	stepUp := message(&sessionv2.SetSessionRequest{
		SessionId: apitest.SessionID,
		Checks:    &sessionv2.Checks{Password: &sessionv2.CheckPassword{Password: apitest.Password}},
	})
	unknown := message(&sessionv2.GetSessionRequest{SessionId: "unknown"})
	return []request{
		{
			file: "set-session.connect-json", method: http.MethodPost, path: setSessionRPC, header: connectJSON,
			body:   `{"sessionId":"` + apitest.SessionID + `",` + checks + `}`,
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			file: "set-session.connect-proto", method: http.MethodPost, path: setSessionRPC, header: connectProto, body: stepUp,
			status: http.StatusOK, want: "Content-Type: application/proto",
		},
		{
			file: "set-session.grpc-web", method: http.MethodPost, path: setSessionRPC, header: grpcWeb, body: frame(stepUp),
			status: http.StatusOK, want: "grpc-status: 0",
		},
		{
			file: "set-session.grpc", method: http.MethodPost, path: setSessionRPC, header: grpc, body: frame(stepUp),
			status: http.StatusUnsupportedMediaType, want: "use Connect, gRPC-Web or REST",
		},
		{
			file: "unknown-session.rest", method: http.MethodGet, path: "/v2/sessions/unknown",
			status: http.StatusNotFound, want: "QUERY-SFeaa",
		},
		{
			file: "unknown-session.connect-json", method: http.MethodPost, path: getSessionRPC, header: connectJSON,
			body: `{"sessionId":"unknown"}`, status: http.StatusNotFound, want: `"code":"not_found"`,
		},
		{
			// An error without a message travels in the headers alone.
			file: "unknown-session.grpc-web", method: http.MethodPost, path: getSessionRPC, header: grpcWeb, body: frame(unknown),
			status: http.StatusOK, want: "Grpc-Status: 5",
		},
	}
}

// message returns the wire form of a request, the same every time.
func message(m proto.Message) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic(err) // a request of this file
	}
	return string(b)
}

// frame puts gRPC's prefix in front: a flag, which is zero, and the length.
func frame(message string) string {
	return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))) + message
}

// carriage has what a request goes through on its way and must survive.
func carriage() []request {
	return []request{
		{
			// The gateway sends as text only the types that it knows.
			file: "base64-body", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			header: map[string]string{"content-type": "application/vnd.example+json"},
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			file: "no-content-type", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			header: map[string]string{"content-type": ""},
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			file: "two-cookies", method: http.MethodGet, path: sessionPath,
			header: map[string]string{"cookie": "theme=dark; language=de"},
			status: http.StatusOK, want: `"loginName"`,
		},
		{
			// One value with a comma, not two values: the first alone would be accepted.
			file: "comma-header", method: http.MethodGet, path: userPath,
			header: map[string]string{"x-zitadel-orgid": "default,other"},
			status: http.StatusForbidden, want: "AUTH-Bs7Ds",
		},
		{
			// HTTP APIs decode the path; a function URL and some proxies do not.
			file: "encoded-path", method: http.MethodGet, path: userPath,
			edit:   func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "/v2/users/d%65mo" },
			status: http.StatusOK, want: `"userId":"` + apitest.UserID + `"`,
		},
		{
			// A host name of one's own leads to the root of the API: no mapping key.
			file: "custom-domain", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			edit: func(e *events.APIGatewayV2HTTPRequest) {
				e.Headers["host"] = "login.example.com"
				e.RequestContext.DomainName, e.RequestContext.DomainPrefix = "login.example.com", "login"
			},
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			// A route with limits of its own is named in the event, and changes nothing.
			file: "own-route", method: http.MethodPatch, path: sessionPath, body: checkPassword,
			edit: func(e *events.APIGatewayV2HTTPRequest) {
				e.RouteKey = "PATCH /v2/sessions/{session_id}"
				e.RequestContext.RouteKey = e.RouteKey
				e.PathParameters = map[string]string{"session_id": apitest.SessionID}
			},
			status: http.StatusOK, want: `"sessionToken"`,
		},
		{
			file: "session-token", method: http.MethodGet, path: sessionPath,
			header: map[string]string{"authorization": "Bearer " + apitest.SessionToken},
			status: http.StatusOK, want: `"loginName"`,
		},
		{
			file: "preflight", method: http.MethodOptions, path: sessionPath,
			header: map[string]string{
				"authorization": "", "origin": "https://login.example.com",
				"access-control-request-method": "PATCH", "access-control-request-headers": "authorization,content-type",
			},
			status: http.StatusNoContent, want: "Access-Control-Allow-Methods: PATCH",
		},
		{
			file: "health", method: http.MethodGet, path: "/debug/healthz",
			header: map[string]string{"authorization": ""},
			status: http.StatusOK, want: "ok",
		},
		{
			file: "openapi", method: http.MethodGet, path: "/openapi.json",
			header: map[string]string{"authorization": ""},
			status: http.StatusOK, want: `"openapi": "3.0`,
		},
	}
}
