// Package metrics owns what the service counts, and the line in which CloudWatch reads
// it from the log: its embedded metric format, a JSON object whose member _aws says
// which of the others are metrics and dimensions.
//
// What a request counts is collected in its context, and is written when the request is
// over: nothing where there is nothing to say, and one line as a rule. A dimension has
// one value in a line, so that two factors in one request take two.
//
// A value of a dimension costs money as long as it is in use, and is kept for 15 months.
// Only words that are listed here become one, never an id, a name or an address.
package metrics

import (
	"slices"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Namespace is where CloudWatch keeps the metrics.
const Namespace = "stepup"

// Names of dimensions.
const (
	// Service is the name of the function.
	Service = "service"
	Outcome = "outcome"
	Factor  = "factor"
	Channel = "channel"
)

// other stands for a word that is not listed.
const other = "other"

// Metric is one thing that is counted.
type Metric struct {
	Name string
	// Labels are its dimensions besides Service, with what each may be.
	Labels []Label
	// Sets are the combinations of dimensions that it can be asked for by.
	Sets [][]string
}

// Label is a dimension with the words that it may be.
type Label struct {
	Name  string
	Words []string
}

// word is the value itself where it is listed.
func (l Label) word(value string) string {
	if slices.Contains(l.Words, value) {
		return value
	}
	return other
}

// What a request counts.
var (
	// CheckOutcomes counts checks of a factor that were decided and committed.
	CheckOutcomes = Metric{
		Name: "CheckOutcomes",
		Labels: []Label{
			{Factor, []string{"password", "totp", "sms", "email", "recovery", "passkey", "idp"}},
			{Outcome, []string{"passed", "wrong", "locked", "refused"}},
		},
		Sets: [][]string{{Service, Outcome}, {Service, Factor, Outcome}},
	}
	// Sends counts messages that were handed to a provider.
	Sends = Metric{
		Name: "Sends",
		Labels: []Label{
			{Channel, []string{"sms", "email"}},
			{Outcome, []string{"sent", "rejected", "failed"}},
		},
		Sets: [][]string{{Service, Outcome}, {Service, Channel, Outcome}},
	}
	// SendRefused counts messages that a limit of the service held back.
	SendRefused = Metric{
		Name:   "SendRefused",
		Labels: []Label{{Outcome, []string{"budget", "cooldown", "address", "prefix", "user", "organization", "country", "network", "conversion"}}},
		Sets:   [][]string{{Service, Outcome}},
	}
	// EventsRefused counts events of the gateway that no request could be made of, or
	// whose answer could not be given, by kind of fault.
	EventsRefused = Metric{
		Name:   "EventsRefused",
		Labels: []Label{{Outcome, kinds()}},
		Sets:   [][]string{{Service, Outcome}},
	}
	// ConflictsRetried counts decisions that were made again because another was faster.
	ConflictsRetried = Metric{Name: "ConflictsRetried", Sets: [][]string{{Service}}}
	// DeadlineExceeded counts requests that ran out of time.
	DeadlineExceeded = Metric{Name: "DeadlineExceeded", Sets: [][]string{{Service}}}
)

// What a batch of the table's stream counts.
var (
	StreamRecords   = Metric{Name: "StreamRecords", Sets: [][]string{{}}}
	EventsPublished = Metric{Name: "EventsPublished", Sets: [][]string{{}}}
	BatchesStopped  = Metric{Name: "BatchesStopped", Sets: [][]string{{}}}
)

// OfRequests returns all that requests count, for tests and documents that must cover it.
func OfRequests() []Metric {
	return []Metric{CheckOutcomes, Sends, SendRefused, EventsRefused, ConflictsRetried, DeadlineExceeded}
}

// OfStream returns all that batches count.
func OfStream() []Metric { return []Metric{StreamRecords, EventsPublished, BatchesStopped} }

func kinds() []string {
	var all []string
	for _, k := range fault.Kinds() {
		all = append(all, k.String())
	}
	return all
}
