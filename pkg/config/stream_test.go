package config_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/config"
)

func TestStreamReadsItsOwnVariables(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"STEPUP_EVENT_BUS": "auth", "STEPUP_LOG_LEVEL": "WARN", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_EVENTBRIDGE": "http://localhost",
	}
	var asked []string
	got, err := config.LoadStream(func(name string) (string, bool) {
		asked = append(asked, name)
		v, ok := values[name]
		return v, ok
	})
	want := config.Stream{EventBus: "auth", LogLevel: slog.LevelWarn, Region: "eu-west-1", EventBridgeEndpoint: "http://localhost"}
	if got != want || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if diff := cmp.Diff(config.StreamNames(), asked); diff != "" || len(asked) != len(values) {
		t.Errorf("named (-), read (+):\n%s", diff)
	}
}

func TestStreamNamesEveryBadVariableAndRepeatsNone(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]map[string]string{
		"STEPUP_EVENT_BUS AWS_REGION":       {},
		"STEPUP_EVENT_BUS STEPUP_LOG_LEVEL": {"STEPUP_EVENT_BUS": " ", "STEPUP_LOG_LEVEL": "canary", "AWS_REGION": "eu-west-1"},
		"STEPUP_LOG_LEVEL":                  {"STEPUP_EVENT_BUS": "auth", "STEPUP_LOG_LEVEL": "canary", "AWS_REGION": "eu-west-1"},
		"AWS_ENDPOINT_URL_EVENTBRIDGE":      {"STEPUP_EVENT_BUS": "auth", "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL_EVENTBRIDGE": "canary"},
	} {
		_, err := config.LoadStream(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Fatalf("%s: %v", name, err)
		}
		var named []string
		for line := range strings.Lines(err.Error()) {
			variable, _, _ := strings.Cut(line, ":")
			named = append(named, variable)
		}
		if !slices.Equal(named, strings.Fields(name)) {
			t.Errorf("named %v, want %s", named, name)
		}
	}
}
