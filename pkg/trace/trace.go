// Package trace owns the trace id of AWS X-Ray: how it comes with a request, and what is
// read from it. A client can send the same header, so that only what has the form of an
// id gets into a log.
package trace

import (
	"log/slog"
	"regexp"
)

// Header carries the trace through gateways and load balancers, as
// "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1" (AWS X-Ray,
// tracing header).
const Header = "X-Amzn-Trace-Id"

// maxHeader is far more than any gateway writes, in bytes.
const maxHeader = 1024

var root = regexp.MustCompile(`(?:^|;) *Root=(1-[0-9a-f]{8}-[0-9a-f]{24}) *(?:;|$)`)

// ID returns the id of the trace that a header names, or nothing.
func ID(header string) string {
	if len(header) > maxHeader {
		return ""
	}
	found := root.FindStringSubmatch(header)
	if found == nil {
		return ""
	}
	return found[1]
}

// Attrs is the trace id for a log line: one attribute, or none.
func Attrs(header string) []slog.Attr {
	if id := ID(header); id != "" {
		return []slog.Attr{slog.String("trace_id", id)}
	}
	return nil
}
