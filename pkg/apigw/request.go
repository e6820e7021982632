package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/net/http/httpguts"

	"github.com/stepup-auth/stepup/pkg/trace"
)

// payloadVersion is the only event format that is read here.
const payloadVersion = "2.0"

type eventKey struct{}

// SignedBy returns the ARN of whoever signed the request, as API Gateway's IAM
// authorizer verified it: of a user, or of the session of a role. It is empty where the
// authorizer gives none, and then still signed. It reports false for a request that no
// IAM authorizer let in, whatever its headers say. The ARN comes from the event and from
// nowhere else, so a client cannot write it; whoever may invoke the function itself can.
func SignedBy(r *http.Request) (arn string, ok bool) {
	event, ok := r.Context().Value(eventKey{}).(*events.APIGatewayV2HTTPRequest)
	if !ok || event.RequestContext.Authorizer == nil || event.RequestContext.Authorizer.IAM == nil {
		return "", false
	}
	return event.RequestContext.Authorizer.IAM.UserARN, true
}

func decodeEvent(payload []byte) (*events.APIGatewayV2HTTPRequest, error) {
	var event events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, errEvent.Wrap(err)
	}
	if event.Version != payloadVersion {
		return nil, errEvent.Wrap(fmt.Errorf("payload version %q", event.Version))
	}
	return &event, nil
}

// newRequest returns the request as net/http's own server would have handed it to a
// handler. It claims HTTP/1.1 whatever the client spoke, because only that much is
// true of the way through the gateway: no trailers, no full duplex.
func newRequest(ctx context.Context, event *events.APIGatewayV2HTTPRequest, maxBody int) (*http.Request, error) {
	header, err := requestHeader(event)
	if err != nil {
		return nil, err
	}
	if isGRPC(header.Get("Content-Type")) {
		return nil, errGRPC
	}
	if traced := traceHeader(ctx); traced != "" {
		header.Set(trace.Header, traced)
	}
	caller := event.RequestContext.HTTP
	// A method is a token, and so is the name of a header field (RFC 9110, 9.1).
	if !httpguts.ValidHeaderFieldName(caller.Method) {
		return nil, errEvent.Wrap(fmt.Errorf("method %q", caller.Method))
	}
	u, err := requestURL(event.RawPath, event.RawQueryString)
	if err != nil {
		return nil, err
	}
	body, err := requestBody(event, maxBody)
	if err != nil {
		return nil, err
	}
	r := &http.Request{
		Method:        caller.Method,
		URL:           u,
		RequestURI:    u.RequestURI(),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(body)),
		Host:          event.RequestContext.DomainName,
		RemoteAddr:    net.JoinHostPort(caller.SourceIP, "0"),
	}
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r.WithContext(context.WithValue(ctx, eventKey{}, event)), nil
}

// traceHeader is the trace of this invocation, as the Lambda runtime keeps it in the
// context. It is Lambda's own word, where a header of the event may be the client's.
func traceHeader(ctx context.Context) string {
	traced, _ := ctx.Value("x-amzn-trace-id").(string)
	return traced
}

// errURL is fixed, because net/url's own error quotes the query, which may hold a code.
var errURL = errors.New("path and query make no request target")

// requestURL reads the path as the package comment says and parses the result the
// way net/http's server does, so that Path and RawPath agree with each other.
func requestURL(rawPath, rawQuery string) (*url.URL, error) {
	if rawPath != "" && rawPath[0] != '/' {
		return nil, errEvent.Wrap(errURL)
	}
	plain := url.URL{Path: rawPath, RawQuery: rawQuery}
	if decoded, err := url.PathUnescape(rawPath); err == nil {
		// EscapedPath prefers RawPath only where it is a valid encoding of Path.
		plain.Path, plain.RawPath = decoded, rawPath
	}
	u, err := url.ParseRequestURI(plain.RequestURI())
	if err != nil {
		return nil, errEvent.Wrap(errURL)
	}
	return u, nil
}

// requestBody decodes by the event's flag alone. The gateway decides by a list of
// its own which content types travel as text, and form posts, protobuf and bodies
// without a type are not among them. The size is checked before decoding too, so
// that a body that is too large costs no memory.
func requestBody(event *events.APIGatewayV2HTTPRequest, maxBody int) ([]byte, error) {
	if !event.IsBase64Encoded {
		if len(event.Body) > maxBody {
			return nil, errTooLarge
		}
		return []byte(event.Body), nil
	}
	if len(event.Body) > base64.StdEncoding.EncodedLen(maxBody) {
		return nil, errTooLarge
	}
	body, err := base64.StdEncoding.DecodeString(event.Body)
	switch {
	case err != nil:
		return nil, errEvent.Wrap(err)
	case len(body) > maxBody:
		return nil, errTooLarge
	}
	return body, nil
}

// requestHeader copies the headers. The gateway has joined repeated ones with commas,
// and they stay joined: a comma may as well be part of a value, as in a date or in
// JSON. Cookies come in a list of their own and make one header (RFC 6265, 5.4).
func requestHeader(event *events.APIGatewayV2HTTPRequest) (http.Header, error) {
	header := make(http.Header, len(event.Headers)+1)
	for _, name := range slices.Sorted(maps.Keys(event.Headers)) {
		value := event.Headers[name]
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, errEvent.Wrap(fmt.Errorf("header %q is malformed", name))
		}
		if key := textproto.CanonicalMIMEHeaderKey(name); !notForHandler(key) {
			header.Add(key, value)
		}
	}
	if len(event.Cookies) == 0 {
		return header, nil
	}
	cookies := strings.Join(event.Cookies, "; ")
	if !httpguts.ValidHeaderFieldValue(cookies) {
		return nil, errEvent.Wrap(errors.New("a cookie is malformed"))
	}
	header.Set("Cookie", cookies)
	return header, nil
}

// notForHandler reports headers that the handler must not see: those whose place is a
// field of the request, and those that claim an address. The client may have sent the
// latter; the gateway's word on who called is in RemoteAddr.
func notForHandler(key string) bool {
	switch key {
	case "Content-Length", "Host", "Trailer", "Transfer-Encoding", "Forwarded", "X-Real-Ip":
		return true
	}
	return strings.HasPrefix(key, "X-Forwarded-")
}

// isGRPC reports native gRPC, whose content type is application/grpc, alone or with
// a codec after a plus sign. gRPC-Web has a type of its own.
func isGRPC(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType, _, _ = strings.Cut(mediaType, "+")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/grpc")
}
