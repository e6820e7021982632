package metricstest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
)

// line has one metric by one dimension; the arguments replace parts of it.
func line(old, replaced string) string {
	const good = `{"_aws":{"Timestamp":1772366400123,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[["d"]],` +
		`"Metrics":[{"Name":"m","Unit":"Count"}]}]},"d":"v","m":3,"note":{"x":1}}`
	return strings.Replace(good, old, replaced, 1) + "\n"
}

func TestLinesAreReadAsCloudWatchReadsThem(t *testing.T) {
	t.Parallel()
	log := "START RequestId: x\n" + `{"level":"INFO"}` + "\n" + line("", "") + line(`[["d"]]`, `[[],["d"],["d","e"]]`) + line(`"m":3`, `"m":0.5,"e":"w"`)
	_, err := metricstest.Parse(log)
	if err == nil || !strings.Contains(err.Error(), `dimension "e"`) {
		t.Fatalf("a dimension without a value: %v", err)
	}
	log = strings.Replace(log, `,["d","e"]`, "", 1)
	lines := metricstest.Read(t, log)
	if len(lines) != 3 || !lines[0].Time.Equal(time.UnixMilli(1772366400123)) {
		t.Fatalf("%+v", lines)
	}
	want := []metricstest.Value{{"n", "m", map[string]string{}, 3}, {"n", "m", map[string]string{"d": "v"}, 3}}
	if diff := cmp.Diff(want, lines[1].Values); diff != "" {
		t.Error(diff)
	}
	if by, alone := metricstest.Sum(t, log, "m", "d", "v"), metricstest.Sum(t, log, "m"); by != 6 || alone != 3 {
		t.Errorf("sums %d and %d", by, alone)
	}
}

func TestWhatCloudWatchWouldLeaveOutIsAnError(t *testing.T) {
	t.Parallel()
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf(`{"Name":"m%d"}`, i)
	}
	dimensions, err := json.Marshal([][]string{strings.Split(strings.Repeat("d", 31), "")})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no time":               line(`"Timestamp":1772366400123,`, ""),
		"a time in seconds":     line("1772366400123", "1772366400"),
		"a time as text":        line("1772366400123", `"1772366400123"`),
		"no directive":          line(`[{"Namespace":"n","Dimensions":[["d"]],"Metrics":[{"Name":"m","Unit":"Count"}]}]`, "[]"),
		"no array":              line(`"CloudWatchMetrics":[`, `"CloudWatchMetrics":1,"x":[`),
		"an unknown member":     line(`"Namespace":"n"`, `"Namespace":"n","Name":"n"`),
		"no namespace":          line(`"Namespace":"n",`, ""),
		"a namespace of AWS's":  line(`"Namespace":"n"`, `"Namespace":":n"`),
		"no sets":               line(`[["d"]]`, `[]`),
		"31 dimensions":         line(`[["d"]]`, string(dimensions)),
		"a dimension twice":     line(`[["d"]]`, `[["d","d"]]`),
		"a set twice":           line(`[["d"]]`, `[["d"],["d"]]`),
		"no value":              line(`"d":"v",`, ""),
		"an empty value":        line(`"d":"v"`, `"d":""`),
		"a value of no text":    line(`"d":"v"`, `"d":1`),
		"a value that is null":  line(`"d":"v"`, `"d":null`),
		"a value not in ASCII":  line(`"d":"v"`, `"d":"ä"`),
		"a value too long":      line(`"d":"v"`, `"d":"`+strings.Repeat("v", 1025)+`"`),
		"no metrics":            line(`[{"Name":"m","Unit":"Count"}]`, "[]"),
		"101 metrics":           line(`[{"Name":"m","Unit":"Count"}]`, "["+strings.Join(many, ",")+"]"),
		"a metric without name": line(`"Name":"m",`, ""),
		"an unknown unit":       line(`"Count"`, `"Counts"`),
		"another resolution":    line(`"Unit":"Count"`, `"StorageResolution":30`),
		"no number":             line(`"m":3,`, ""),
		"a number as text":      line(`"m":3`, `"m":"3"`),
		"a number that is null": line(`"m":3`, `"m":null`),
		"more than 256 KB":      line(`"x":1`, `"x":"`+strings.Repeat("x", 256<<10)+`"`),
	} {
		if lines, err := metricstest.Parse(text); err == nil {
			t.Errorf("%s: %+v", name, lines)
		}
	}
	if lines, err := metricstest.Parse(line(`"Unit":"Count"`, `"StorageResolution":1`)); err != nil || len(lines) != 1 {
		t.Errorf("a second's resolution: %v", err)
	}
}
