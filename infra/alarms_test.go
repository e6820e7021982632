package infra_test

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/metrics"
)

const observability = "infra/observability.yaml"

type alarm struct {
	Namespace        string            `yaml:"Namespace"`
	MetricName       string            `yaml:"MetricName"`
	Dimensions       []dimension       `yaml:"Dimensions"`
	TreatMissingData string            `yaml:"TreatMissingData"`
	AlarmActions     []string          `yaml:"AlarmActions"`
	OKActions        []string          `yaml:"OKActions"`
	Metrics          []metricOfFormula `yaml:"Metrics"`
}

type dimension struct {
	Name  string `yaml:"Name"`
	Value string `yaml:"Value"`
}

type metricOfFormula struct {
	MetricStat struct {
		Metric struct {
			Namespace  string      `yaml:"Namespace"`
			MetricName string      `yaml:"MetricName"`
			Dimensions []dimension `yaml:"Dimensions"`
		} `yaml:"Metric"`
	} `yaml:"MetricStat"`
}

func (a alarm) dimensions() map[string]string {
	all := map[string]string{}
	for _, d := range a.Dimensions {
		all[d.Name] = d.Value
	}
	return all
}

// watched returns the metrics behind an alarm, as "namespace name".
func (a alarm) watched() []string {
	var all []string
	if a.MetricName != "" {
		all = append(all, a.Namespace+" "+a.MetricName)
	}
	for _, m := range a.Metrics {
		if name := m.MetricStat.Metric.MetricName; name != "" {
			all = append(all, m.MetricStat.Metric.Namespace+" "+name)
		}
	}
	return all
}

func alarms(t *testing.T) map[string]alarm {
	t.Helper()
	s, all := load(t, observability), map[string]alarm{}
	for name := range s.of("AWS::CloudWatch::Alarm") {
		all[name] = properties[alarm](t, s, name)
	}
	return all
}

func TestWhatCanGoWrongIsWatched(t *testing.T) {
	t.Parallel()
	watched := map[string]bool{}
	for _, a := range alarms(t) {
		for _, metric := range a.watched() {
			watched[metric] = true
		}
	}
	for _, metric := range []string{
		"AWS/ApiGateway 5xx", "AWS/ApiGateway Latency", "AWS/Lambda Errors", "AWS/Lambda Throttles", "AWS/Lambda IteratorAge",
		"AWS/DynamoDB ReadThrottleEvents", "AWS/DynamoDB WriteThrottleEvents", "AWS/DynamoDB SystemErrors",
		"AWS/SQS ApproximateNumberOfMessagesVisible", "AWS/SES Reputation.BounceRate", "AWS/SES Reputation.ComplaintRate",
		"AWS/SNS SMSMonthToDateSpentUSD", "stepup SendRefused",
	} {
		if !watched[metric] {
			t.Errorf("nothing watches %s", metric)
		}
	}
}

func TestEveryAlarmCallsSomebodyAndSaysWhenItIsOver(t *testing.T) {
	t.Parallel()
	for name, a := range alarms(t) {
		if !slices.Equal(a.AlarmActions, []string{"Topic"}) || !slices.Equal(a.OKActions, []string{"Topic"}) {
			t.Errorf("%s calls %q and %q", name, a.AlarmActions, a.OKActions)
		}
		// A quiet night is no failure.
		if a.TreatMissingData != "notBreaching" {
			t.Errorf("%s takes missing data as %q", name, a.TreatMissingData)
		}
	}
}

func TestSystemErrorsOfEveryCallAreWatched(t *testing.T) {
	t.Parallel()
	var watched []string
	for _, m := range alarms(t)["TableSystemErrors"].Metrics {
		for _, d := range m.MetricStat.Metric.Dimensions {
			if d.Name == "Operation" {
				watched = append(watched, "dynamodb:"+d.Value)
			}
		}
	}
	need := storeNeeds()
	delete(need, "dynamodb:ConditionCheckItem") // no call of its own
	need["dynamodb:TransactWriteItems"] = nil
	slices.Sort(watched)
	if diff := cmp.Diff(keys(need), watched); diff != "" {
		t.Errorf("the store calls (-), the alarm watches (+):\n%s", diff)
	}
}

// alarmRow is a row of the table in docs/operations.md: alarm, what it means, what to do.
var alarmRow = regexp.MustCompile("(?m)^\\| `([A-Za-z0-9]+)` \\| [^|]+ \\| [^|]+ \\|$")

func TestEveryAlarmHasItsPageInOperations(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(read(t, "docs/operations.md"), "## Alarms")
	section, _, _ = strings.Cut(section, "\n### Metrics") // another table follows
	var written []string
	for _, row := range alarmRow.FindAllStringSubmatch(section, -1) {
		written = append(written, row[1])
	}
	slices.Sort(written)
	if diff := cmp.Diff(keys(alarms(t)), written); diff != "" {
		t.Errorf("the template has (-), docs/operations.md says (+):\n%s", diff)
	}
}

// TestThePriceOfTheAlarmsIsThatOfThoseThereAre, those of the application's stack too: each
// metric of an alarm costs ten cents a month.
func TestThePriceOfTheAlarmsIsThatOfThoseThereAre(t *testing.T) {
	t.Parallel()
	count, watched := 0, 0
	for _, path := range []string{observability, "template.yaml"} {
		s := load(t, path)
		for name := range s.of("AWS::CloudWatch::Alarm") {
			count, watched = count+1, watched+len(properties[alarm](t, s, name).watched())
		}
	}
	row := fmt.Sprintf("| alarms | %d metrics in %d alarms × 0.10 | %d.%d0 |", watched, count, watched/10, watched%10)
	if !strings.Contains(read(t, "docs/operations.md"), row) {
		t.Errorf("docs/operations.md does not say %s", row)
	}
}

func TestMetricsOfTheServiceAreDocumented(t *testing.T) {
	t.Parallel()
	document := read(t, "docs/operations.md")
	for name, a := range alarms(t) {
		if a.Namespace == "stepup" && !strings.HasSuffix(name, "ErrorLines") && !strings.Contains(document, "`"+a.MetricName+"`") {
			t.Errorf("docs/operations.md does not name the metric %s of %s", a.MetricName, name)
		}
	}
}

// kept reports whether the code writes a metric by exactly these dimensions, with a word
// for the outcome that it knows; an empty word is any.
func kept(name string, dimensions []string, outcome string) bool {
	slices.Sort(dimensions)
	for _, m := range append(metrics.OfRequests(), metrics.OfStream()...) {
		bySet := slices.ContainsFunc(m.Sets, func(set []string) bool { return slices.Equal(slices.Sorted(slices.Values(set)), dimensions) })
		known := outcome == "" || slices.ContainsFunc(m.Labels, func(l metrics.Label) bool {
			return l.Name == metrics.Outcome && slices.Contains(l.Words, outcome)
		})
		if m.Name == name && bySet && known {
			return true
		}
	}
	return false
}

// TestEveryAlarmWatchesWhatTheCodeWrites holds the alarms against the metrics that the
// tests of pkg/app show to be written. An alarm on anything else is quiet for ever.
func TestEveryAlarmWatchesWhatTheCodeWrites(t *testing.T) {
	t.Parallel()
	n := 0
	for name, a := range alarms(t) {
		if a.Namespace != metrics.Namespace || strings.HasSuffix(name, "ErrorLines") { // those count lines of the log
			continue
		}
		n++
		by := a.dimensions()
		if !kept(a.MetricName, keys(by), by[metrics.Outcome]) || by[metrics.Service] != "Function" {
			t.Errorf("%s watches %s by %v, which nothing writes", name, a.MetricName, by)
		}
	}
	if n < 5 {
		t.Errorf("%d alarms watch the service's own metrics", n)
	}
}

// Both ways of a dashboard to name a metric: a search, and the metric itself.
var (
	searched  = regexp.MustCompile(`SEARCH\('\{stepup,([a-z,]+)\} MetricName=(?:"(\w+)"|\(([^)]+)\))([^']*)'`)
	searchFor = regexp.MustCompile(`"(\w+)"`)
	filter    = regexp.MustCompile(`outcome="(\w+)"`)
)

func TestDashboardShowsWhatTheCodeWrites(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	look := func(name string, dimensions []string, outcome string) {
		shown[name] = true
		if !kept(name, dimensions, outcome) {
			t.Errorf("the dashboard shows %s by %v, outcome %q, which nothing writes", name, dimensions, outcome)
		}
	}
	for _, w := range dashboard(t) {
		var namespace string
		for _, row := range w.Properties.Metrics {
			if e, ok := row[0].(map[string]any); ok {
				for _, found := range searched.FindAllStringSubmatch(e["expression"].(string), -1) {
					outcome := ""
					if f := filter.FindStringSubmatch(found[4]); f != nil {
						outcome = f[1]
					}
					names := searchFor.FindAllStringSubmatch(found[3], -1)
					if found[2] != "" {
						names = [][]string{{"", found[2]}}
					}
					for _, n := range names {
						look(n[1], strings.Split(found[1], ","), outcome)
					}
				}
				continue
			}
			if row[0] != "." && row[0] != "..." {
				namespace = row[0].(string)
			}
			if namespace == metrics.Namespace {
				look(row[1].(string), []string{metrics.Service}, "")
			}
		}
	}
	for _, m := range metrics.OfRequests() {
		if !shown[m.Name] {
			t.Errorf("the dashboard does not show %s", m.Name)
		}
	}
}

func TestEveryMetricIsDocumentedWithItsWords(t *testing.T) {
	t.Parallel()
	_, section, _ := strings.Cut(read(t, "docs/operations.md"), "### Metrics")
	for _, m := range append(metrics.OfRequests(), metrics.OfStream()...) {
		row := regexp.MustCompile("(?m)^\\|.*`" + m.Name + "`.*$").FindString(section)
		if row == "" {
			t.Errorf("docs/operations.md has no row for %s", m.Name)
		}
		for _, l := range m.Labels {
			words := append([]string{l.Name}, l.Words...)
			if m.Name == metrics.EventsRefused.Name {
				words = []string{l.Name} // every kind of fault
			}
			for _, word := range words {
				if !strings.Contains(row, "`"+word+"`") {
					t.Errorf("the row of %s does not name %s", m.Name, word)
				}
			}
		}
	}
}

// widget is one of the dashboard. A row is namespace, metric and dimensions in turn, or
// an expression; a dot repeats what the row before has there.
type widget struct {
	Properties struct {
		Title   string
		Metrics [][]any
	}
}

func dashboard(t *testing.T) []widget {
	t.Helper()
	body := properties[struct {
		DashboardBody string `yaml:"DashboardBody"`
	}](t, load(t, observability), "Dashboard").DashboardBody
	var d struct{ Widgets []widget }
	if err := json.Unmarshal([]byte(body), &d); err != nil {
		t.Fatal(err)
	}
	return d.Widgets
}

func TestDashboardIsJSON(t *testing.T) {
	t.Parallel()
	if n := len(dashboard(t)); n < 6 {
		t.Errorf("%d widgets", n)
	}
}

// keys returns the sorted keys of a map.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func values[V any](m map[string]V) iter.Seq[V] { return maps.Values(m) }

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
