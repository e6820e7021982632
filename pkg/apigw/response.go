package apigw

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"golang.org/x/net/http/httpguts"
)

// recorder collects what a handler writes. It follows net/http's server: the first
// status wins, later changes of the headers do not count, and a status that forbids
// a body refuses one.
type recorder struct {
	method string
	header http.Header
	status int
	sent   http.Header
	body   bytes.Buffer
}

func newRecorder(method string) *recorder {
	return &recorder{method: method, header: http.Header{}}
}

// Header implements http.ResponseWriter.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. A status outside 100 to 599 is a defect
// of the handler and panics, because the gateway would answer 500 without a trace.
func (w *recorder) WriteHeader(status int) {
	if status < 100 || status > 599 {
		panic(fmt.Sprintf("apigw: invalid status %d", status))
	}
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status, w.sent = status, w.header.Clone()
}

// Write implements http.ResponseWriter. It returns http.ErrBodyNotAllowed where the
// status has no body, and accepts and forgets the body of an answer to HEAD.
func (w *recorder) Write(p []byte) (int, error) {
	w.Flush()
	switch {
	case w.status == http.StatusNoContent || w.status == http.StatusNotModified:
		return 0, http.ErrBodyNotAllowed
	case w.method == http.MethodHead:
		return len(p), nil
	}
	return w.body.Write(p)
}

// Flush implements http.Flusher as far as it can be: it fixes status and headers.
func (w *recorder) Flush() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// response returns the answer. A handler that wrote nothing at all has answered 200
// with the headers that it set, which is how gRPC-Web reports an error.
func (w *recorder) response() events.APIGatewayV2HTTPResponse {
	w.Flush()
	body := w.body.Bytes()
	if _, ok := w.sent["Content-Type"]; !ok && len(body) > 0 && w.sent.Get("Content-Encoding") == "" {
		w.sent.Set("Content-Type", http.DetectContentType(body))
	}
	out := events.APIGatewayV2HTTPResponse{StatusCode: w.status, Body: string(body)}
	if len(body) > 0 && (!isText(w.sent) || !utf8.Valid(body)) {
		out.Body = base64.StdEncoding.EncodeToString(body)
		out.IsBase64Encoded = true
	}
	out.Headers, out.Cookies = responseHeader(w.sent)
	return out
}

// responseHeader folds the headers into the one value per name that the answer format
// has room for. Cookies cannot be folded (RFC 6265, 3) and have a list of their own.
func responseHeader(sent http.Header) (header map[string]string, cookies []string) {
	trailers := announced(sent)
	header = make(map[string]string, len(sent))
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		key := textproto.CanonicalMIMEHeaderKey(name)
		if notForGateway(key) || trailers[key] {
			continue
		}
		for _, value := range sent[name] {
			value = oneLine(value)
			folded, repeated := header[strings.ToLower(key)]
			switch {
			case key == "Set-Cookie":
				cookies = append(cookies, value)
			case repeated:
				header[strings.ToLower(key)] = folded + ", " + value
			default:
				header[strings.ToLower(key)] = value
			}
		}
	}
	return header, cookies
}

// announced returns the names that the handler declared to be trailers, so that their
// values are not mistaken for headers.
func announced(sent http.Header) map[string]bool {
	names := map[string]bool{}
	for _, list := range sent["Trailer"] {
		for name := range strings.SplitSeq(list, ",") {
			names[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	return names
}

// notForGateway reports headers that belong to a connection, which is the gateway's,
// and names that are none, among them every key with http.TrailerPrefix.
func notForGateway(key string) bool {
	switch key {
	case "Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return !httpguts.ValidHeaderFieldName(key)
}

// oneLine makes a value safe to stand in a header: whatever could end the line or is
// no text becomes a space.
func oneLine(value string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || (r < ' ' && r != '\t') || r == 0x7f {
			return ' '
		}
		return r
	}, value)
	return textproto.TrimString(clean)
}

// isText reports whether a body of this type may travel as a JSON string. Everything
// else is base64, and so is whatever has been compressed.
func isText(header http.Header) bool {
	if header.Get("Content-Encoding") != "" {
		return false
	}
	mediaType, _, _ := strings.Cut(header.Get("Content-Type"), ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	switch mediaType {
	case "application/json", "application/xml", "application/javascript":
		return true
	}
	return strings.HasPrefix(mediaType, "text/") || strings.HasSuffix(mediaType, "+json")
}
