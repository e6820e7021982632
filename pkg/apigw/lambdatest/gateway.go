package lambdatest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

// Gateway is an http.RoundTripper that plays the HTTP API in front of a function: it
// writes the event (payload format 2.0) as API Gateway writes it, and reads the
// answer as API Gateway reads it. With the Invoke of a Process it reaches a binary,
// with that of a handler it stays in the process.
//
// It fills the fields that a request decides. The identity of an authorizer, stages
// and times are left empty: edit the event in Invoke where a test needs them.
type Gateway struct {
	// Invoke serves one event.
	Invoke func(ctx context.Context, event []byte) ([]byte, error)
	// SourceIP is the client's address. Empty means 192.0.2.1 (RFC 5737).
	SourceIP string
}

// RoundTrip implements http.RoundTripper. An error of Invoke, which API Gateway would
// hide behind a 500 of its own, is returned as it is.
func (g *Gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, fmt.Errorf("lambdatest: reading the request: %w", err)
	}
	payload, err := json.Marshal(g.event(r, body))
	if err != nil {
		return nil, fmt.Errorf("lambdatest: %w", err)
	}
	answer, err := g.Invoke(r.Context(), payload)
	if err != nil {
		return nil, err
	}
	return readAnswer(r, answer)
}

// readBody reads and closes the body, as a RoundTripper must.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer func() { _ = r.Body.Close() }()
	return io.ReadAll(r.Body)
}

// event writes the request down. The path goes in decoded, as HTTP APIs send it.
func (g *Gateway) event(r *http.Request, body []byte) events.APIGatewayV2HTTPRequest {
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	event := events.APIGatewayV2HTTPRequest{
		Version:        "2.0",
		RouteKey:       "$default",
		RawPath:        r.URL.Path,
		RawQueryString: r.URL.RawQuery,
		Headers:        map[string]string{"host": host},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			event.Cookies = strings.Split(strings.Join(values, "; "), "; ")
			continue
		}
		event.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	event.Body, event.IsBase64Encoded = string(body), false
	if asText := travelsAsText(event.Headers["content-type"]) && utf8.Valid(body); len(body) > 0 && !asText {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	event.RequestContext = g.requestContext(r, host)
	return event
}

func (g *Gateway) requestContext(r *http.Request, host string) events.APIGatewayV2HTTPRequestContext {
	source := g.SourceIP
	if source == "" {
		source = "192.0.2.1"
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	prefix, _, _ := strings.Cut(host, ".")
	return events.APIGatewayV2HTTPRequestContext{
		RouteKey:     "$default",
		Stage:        "$default",
		AccountID:    "123456789012",
		APIID:        "api-id",
		RequestID:    "request-id",
		DomainName:   host,
		DomainPrefix: prefix,
		HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
			Method: method, Path: r.URL.Path, Protocol: "HTTP/1.1", SourceIP: source, UserAgent: r.UserAgent(),
		},
	}
}

// travelsAsText reports whether API Gateway puts a body of this type into the event
// as it is. AWS does not document the list; this one was observed on the service.
func travelsAsText(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch mediaType {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(mediaType, "text/")
}

// readAnswer makes a response of the function's answer.
func readAnswer(r *http.Request, answer []byte) (*http.Response, error) {
	var out events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(answer, &out); err != nil {
		return nil, fmt.Errorf("lambdatest: the answer is no gateway response: %w", err)
	}
	if out.StatusCode < 100 || out.StatusCode > 599 {
		return nil, fmt.Errorf("lambdatest: the answer has status %d", out.StatusCode)
	}
	body := []byte(out.Body)
	if out.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(out.Body); err != nil {
			return nil, fmt.Errorf("lambdatest: the answer's body: %w", err)
		}
	}
	header := http.Header{}
	for name, value := range out.Headers {
		header.Set(name, value)
	}
	for _, cookie := range out.Cookies {
		header.Add("Set-Cookie", cookie)
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", out.StatusCode, http.StatusText(out.StatusCode)),
		StatusCode:    out.StatusCode,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       r,
	}, nil
}
