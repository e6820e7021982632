package config

import "log/slog"

// Stream is what the function that reads the table's stream can be told. It is made by
// LoadStream and by nothing else.
type Stream struct {
	// EventBus is the name or the ARN of the event bus that lifecycle events go to.
	EventBus string
	// LogLevel is the least level that is logged.
	LogLevel slog.Level

	// Region and the endpoint keep the names that the AWS SDKs use.
	Region              string
	EventBridgeEndpoint string
}

// streamVariables is the complete list, in the order of the documentation.
var streamVariables = []setting[Stream]{
	{"STEPUP_EVENT_BUS", "", func(c *Stream, s string) error { c.EventBus = s; return filled(s) }},
	{"STEPUP_LOG_LEVEL", "INFO", func(c *Stream, s string) error { return level(&c.LogLevel, s) }},
	{"AWS_REGION", "", func(c *Stream, s string) error { c.Region = s; return filled(s) }},
	{"AWS_ENDPOINT_URL_EVENTBRIDGE", "", func(c *Stream, s string) error { c.EventBridgeEndpoint = s; return endpoint(s) }},
}

// StreamNames returns every variable that LoadStream reads.
func StreamNames() []string { return namesOf(streamVariables) }

// LoadStream is Load for the function that reads the stream.
func LoadStream(lookup Lookup) (Stream, error) {
	var c Stream
	return c, read(&c, streamVariables, lookup)
}
