package infra_test

import (
	"encoding/json"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	section, _, _ = strings.Cut(section, "\n\nThe last five ") // another table follows
	var written []string
	for _, row := range alarmRow.FindAllStringSubmatch(section, -1) {
		written = append(written, row[1])
	}
	slices.Sort(written)
	if diff := cmp.Diff(keys(alarms(t)), written); diff != "" {
		t.Errorf("the template has (-), docs/operations.md says (+):\n%s", diff)
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

func TestDashboardIsJSON(t *testing.T) {
	t.Parallel()
	body := properties[struct {
		DashboardBody string `yaml:"DashboardBody"`
	}](t, load(t, observability), "Dashboard").DashboardBody
	var dashboard struct {
		Widgets []struct{ Properties struct{ Title string } }
	}
	if err := json.Unmarshal([]byte(body), &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Widgets) < 6 {
		t.Errorf("%d widgets", len(dashboard.Widgets))
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
