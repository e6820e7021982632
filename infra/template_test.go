package infra_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

type httpAPI struct {
	StageName                 string               `yaml:"StageName"`
	CorsConfiguration         *yaml.Node           `yaml:"CorsConfiguration"`
	DisableExecuteAPIEndpoint []string             `yaml:"DisableExecuteApiEndpoint"`
	DefaultRouteSettings      map[string]yaml.Node `yaml:"DefaultRouteSettings"`
	RouteSettings             map[string]limits    `yaml:"RouteSettings"`
	AccessLogSettings         accessLog            `yaml:"AccessLogSettings"`
}

type limits struct {
	Rate  string `yaml:"ThrottlingRateLimit"`
	Burst string `yaml:"ThrottlingBurstLimit"`
}

type accessLog struct {
	DestinationArn string `yaml:"DestinationArn"`
	Format         string `yaml:"Format"`
}

type function struct {
	Role          string   `yaml:"Role"`
	CodeURI       string   `yaml:"CodeUri"`
	Handler       string   `yaml:"Handler"`
	Runtime       string   `yaml:"Runtime"`
	Architectures []string `yaml:"Architectures"`
	MemorySize    int      `yaml:"MemorySize"`
	Timeout       int      `yaml:"Timeout"`
	Tracing       string   `yaml:"Tracing"`
	LoggingConfig struct {
		LogGroup  string `yaml:"LogGroup"`
		LogFormat string `yaml:"LogFormat"`
	} `yaml:"LoggingConfig"`
	Environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	} `yaml:"Environment"`
	AutoPublishAlias     string `yaml:"AutoPublishAlias"`
	DeploymentPreference struct {
		Type   string            `yaml:"Type"`
		Role   string            `yaml:"Role"`
		Alarms []string          `yaml:"Alarms"`
		Hooks  map[string]string `yaml:"Hooks"`
	} `yaml:"DeploymentPreference"`
	Events map[string]struct {
		Type       string    `yaml:"Type"`
		Properties yaml.Node `yaml:"Properties"`
	} `yaml:"Events"`
}

type tableDef struct {
	BillingMode               string          `yaml:"BillingMode"`
	DeletionProtectionEnabled bool            `yaml:"DeletionProtectionEnabled"`
	PointInTimeRecovery       map[string]bool `yaml:"PointInTimeRecoverySpecification"`
	SSE                       map[string]bool `yaml:"SSESpecification"`
	Stream                    struct {
		StreamViewType string `yaml:"StreamViewType"`
	} `yaml:"StreamSpecification"`
	TTL struct {
		AttributeName string `yaml:"AttributeName"`
		Enabled       bool   `yaml:"Enabled"`
	} `yaml:"TimeToLiveSpecification"`
	AttributeDefinitions   []map[string]string `yaml:"AttributeDefinitions"`
	KeySchema              []map[string]string `yaml:"KeySchema"`
	GlobalSecondaryIndexes []struct {
		Projection struct {
			ProjectionType string `yaml:"ProjectionType"`
		} `yaml:"Projection"`
	} `yaml:"GlobalSecondaryIndexes"`
}

func deployedTable(t *testing.T) tableDef {
	t.Helper()
	return properties[tableDef](t, load(t, "infra/data.yaml"), "Table")
}

func TestTableHasTheSchemaOfTheStore(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(store.Schema(), dynoxide.Schema(t)); diff != "" {
		t.Errorf("store.Schema() and the template differ:\n%s", diff)
	}
	deployed := deployedTable(t)
	keys := []map[string]string{
		{"AttributeName": table.PartitionKey, "KeyType": "HASH"},
		{"AttributeName": table.SortKey, "KeyType": "RANGE"},
	}
	if diff := cmp.Diff(keys, deployed.KeySchema); diff != "" {
		t.Errorf("KeySchema:\n%s", diff)
	}
	for _, a := range deployed.AttributeDefinitions {
		if a["AttributeType"] != "S" {
			t.Errorf("key %s has type %s: all keys are text", a["AttributeName"], a["AttributeType"])
		}
	}
	for _, index := range deployed.GlobalSecondaryIndexes {
		if got := index.Projection.ProjectionType; got != "KEYS_ONLY" {
			t.Errorf("an index projects %s: a PATCH would pay for it", got)
		}
	}
}

func TestTableIsProtected(t *testing.T) {
	t.Parallel()
	p := deployedTable(t)
	for protection, on := range map[string]bool{
		"deletion protection":      p.DeletionProtectionEnabled,
		"point in time recovery":   p.PointInTimeRecovery["PointInTimeRecoveryEnabled"],
		"encryption with KMS":      p.SSE["SSEEnabled"],
		"stream of both images":    p.Stream.StreamViewType == "NEW_AND_OLD_IMAGES",
		"payment for each request": p.BillingMode == "PAY_PER_REQUEST",
		"expiry":                   p.TTL.Enabled && p.TTL.AttributeName == store.Schema().TTL,
	} {
		if !on {
			t.Errorf("the table lacks %s", protection)
		}
	}
}

// functions returns the functions of the application by the folder of their source.
func functions(t *testing.T) map[string]function {
	t.Helper()
	s, found := load(t, app), map[string]function{}
	for name := range s.of("AWS::Serverless::Function") {
		f := properties[function](t, s, name)
		folder, ok := strings.CutPrefix(f.CodeURI, "build/")
		if !ok || !strings.EqualFold(folder, name) {
			t.Errorf("%s is built from %s", name, f.CodeURI)
		}
		found[folder] = f
	}
	return found
}

func TestEveryFunctionIsDeployed(t *testing.T) {
	t.Parallel()
	mains, err := filepath.Glob("../functions/*/main.go")
	if err != nil || len(mains) == 0 {
		t.Fatalf("no functions: %v", err)
	}
	deployed := functions(t)
	for _, main := range mains {
		if folder := filepath.Base(filepath.Dir(main)); deployed[folder].Handler == "" {
			t.Errorf("functions/%s is not in the template", folder)
		}
	}
}

func TestFunctionsRunOnWhatIsBuilt(t *testing.T) {
	t.Parallel()
	deployed := functions(t)
	for _, folder := range []string{"api", "smoke", "stream"} {
		f := deployed[folder]
		name := strings.ToUpper(folder[:1]) + folder[1:]
		for property, c := range map[string]struct{ got, want any }{
			"Role":          {f.Role, name + "Role.Arn"},
			"Handler":       {f.Handler, "bootstrap"},
			"Runtime":       {f.Runtime, "provided.al2023"},
			"Architectures": {f.Architectures, []string{"arm64"}},
			"Tracing":       {f.Tracing, "Active"},
			"LogFormat":     {f.LoggingConfig.LogFormat, "JSON"},
			"LogGroup":      {f.LoggingConfig.LogGroup, name + "Log"},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s, %s:\n%s", folder, property, diff)
			}
		}
	}
}

// The variables that the SDK shares are Lambda's to set, or are for laptops.
func ours(name string) bool { return !strings.HasPrefix(name, "AWS_") }

func TestFunctionSetsExactlyTheVariablesThatTheServiceReads(t *testing.T) {
	t.Parallel()
	var read []string
	for _, name := range config.Names() {
		if ours(name) {
			read = append(read, name)
		}
	}
	slices.Sort(read)
	if diff := cmp.Diff(read, keys(functions(t)["api"].Environment.Variables)); diff != "" {
		t.Errorf("the service reads (-), the template sets (+):\n%s", diff)
	}
}

var variableName = regexp.MustCompile(`"(STEPUP_[A-Z_]+)"`)

func TestTrialSetsExactlyTheVariablesThatItReads(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../functions/smoke/settings.go")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, match := range variableName.FindAllStringSubmatch(string(source), -1) {
		read[match[1]] = true
	}
	if diff := cmp.Diff(keys(read), keys(functions(t)["smoke"].Environment.Variables)); diff != "" {
		t.Errorf("the trial reads (-), the template sets (+):\n%s", diff)
	}
}

// environment resolves the function's variables as a deployment without parameters
// does; what comes from another stack has the name of the parameter.
func environment(t *testing.T) config.Lookup {
	t.Helper()
	deployed, variables := load(t, app), functions(t)["api"].Environment.Variables
	return func(name string) (string, bool) {
		v, set := variables[name]
		p, isParameter := deployed.Parameters[v.Value]
		if isParameter && v.Tag == "!Ref" && !strings.HasPrefix(p.Type, "AWS::SSM::") {
			return p.Default, true
		}
		return v.Value, set
	}
}

func TestFunctionHasTheDefaultsOfTheServiceUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	got, err := config.Load(environment(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	want.Environment, want.Table, want.Keyring = "dev", "Table", "Keyring"
	if diff := compare(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFunctionHasRoomForItsWork(t *testing.T) {
	t.Parallel()
	f := functions(t)["api"]
	c, err := config.Load(environment(t))
	if err != nil {
		t.Fatal(err)
	}
	// The adapter keeps half a second of the function's time for the way back.
	if limit := time.Duration(f.Timeout)*time.Second - 500*time.Millisecond; c.Timeout > limit {
		t.Errorf("a request may take %v and the function %v", c.Timeout, limit)
	}
	// API Gateway waits half a minute.
	if f.Timeout > 29 {
		t.Errorf("Timeout is %d s, for which nobody waits", f.Timeout)
	}
	hashes := int(c.Hashing.MemoryKiB) * c.HashConcurrency / 1024
	if hashes > f.MemorySize/2 {
		t.Errorf("hashes take %d of %d MiB", hashes, f.MemorySize)
	}
}

func TestNewVersionIsTriedAndGetsTrafficInSteps(t *testing.T) {
	t.Parallel()
	s, f := load(t, app), functions(t)["api"]
	p := f.DeploymentPreference
	if f.AutoPublishAlias != "live" || p.Role != "DeploymentRole.Arn" || p.Hooks["PreTraffic"] != "Smoke" {
		t.Errorf("alias %q, preference %+v", f.AutoPublishAlias, p)
	}
	if got := s.Parameters[p.Type].Default; !strings.HasPrefix(got, "Canary") {
		t.Errorf("traffic moves by %q", got)
	}
	if len(p.Alarms) != 2 {
		t.Errorf("alarms = %q", p.Alarms)
	}
	for _, name := range p.Alarms {
		if s.Resources[name].Type != "AWS::CloudWatch::Alarm" {
			t.Errorf("%s is no alarm", name)
		}
	}
	// Where the trial learns of the version and the alarm watches it.
	if v := functions(t)["smoke"].Environment.Variables["STEPUP_SMOKE_VERSION"]; v.Value != "Api.Version" {
		t.Errorf("the trial is of %q", v.Value)
	}
	if watched := properties[alarm](t, s, "NewVersionFails").dimensions(); watched["ExecutedVersion"] != "Api.Version.Version" {
		t.Errorf("the alarm watches %v", watched)
	}
}

func TestChangesAreToldUntilTheyCannotBe(t *testing.T) {
	t.Parallel()
	f := functions(t)["stream"]
	var source struct {
		Stream                     string   `yaml:"Stream"`
		StartingPosition           string   `yaml:"StartingPosition"`
		FunctionResponseTypes      []string `yaml:"FunctionResponseTypes"`
		BisectBatchOnFunctionError bool     `yaml:"BisectBatchOnFunctionError"`
		MaximumRetryAttempts       int      `yaml:"MaximumRetryAttempts"`
		MaximumRecordAgeInSeconds  int      `yaml:"MaximumRecordAgeInSeconds"`
		FilterCriteria             struct {
			Filters []struct {
				Pattern string `yaml:"Pattern"`
			} `yaml:"Filters"`
		} `yaml:"FilterCriteria"`
		DestinationConfig struct {
			OnFailure struct {
				Destination string `yaml:"Destination"`
			} `yaml:"OnFailure"`
		} `yaml:"DestinationConfig"`
	}
	changes := f.Events["Changes"]
	if err := changes.Properties.Decode(&source); err != nil || changes.Type != "DynamoDB" {
		t.Fatal(changes.Type, err)
	}
	if source.Stream != "TableStream" || source.StartingPosition != "TRIM_HORIZON" || !source.BisectBatchOnFunctionError ||
		!slices.Equal(source.FunctionResponseTypes, []string{"ReportBatchItemFailures"}) {
		t.Errorf("source = %+v", source)
	}
	if source.MaximumRetryAttempts <= 0 || source.MaximumRecordAgeInSeconds <= 0 {
		t.Error("one bad change stops its shard for a day")
	}
	if source.DestinationConfig.OnFailure.Destination != "StreamFailures.Arn" {
		t.Errorf("what is let go is told to %q", source.DestinationConfig.OnFailure.Destination)
	}
	queue := properties[map[string]string](t, load(t, app), "StreamFailures")
	if queue["SqsManagedSseEnabled"] != "true" {
		t.Error("the queue is not encrypted")
	}
	if len(source.FilterCriteria.Filters) != 1 || !json.Valid([]byte(source.FilterCriteria.Filters[0].Pattern)) {
		t.Errorf("filters = %+v", source.FilterCriteria.Filters)
	}
}

func TestFilterLetsSessionsAndUsersThrough(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../pkg/store/keys.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"SES#", "USR#"} {
		if !strings.Contains(string(source), `Prefix = "`+prefix+`"`) {
			t.Errorf("no key begins with %s any more", prefix)
		}
		if !strings.Contains(read(t, app), `{"prefix":"`+prefix+`"}`) {
			t.Errorf("the filter holds back what begins with %s", prefix)
		}
	}
}

func gateway(t *testing.T) httpAPI {
	t.Helper()
	return properties[httpAPI](t, load(t, app), "HttpApi")
}

func TestGatewayIsThrottledAndLeavesTheRestToTheService(t *testing.T) {
	t.Parallel()
	g := gateway(t)
	if g.StageName != "$default" {
		t.Errorf("StageName = %q, which would be part of every path", g.StageName)
	}
	if g.CorsConfiguration != nil {
		t.Error("CORS is answered twice")
	}
	for _, limit := range []string{"ThrottlingRateLimit", "ThrottlingBurstLimit"} {
		if _, set := g.DefaultRouteSettings[limit]; !set {
			t.Errorf("%s is not set", limit)
		}
	}
}

func TestHostNameOfOnesOwnIsTheOnlyOneAndLeadsToTheRoot(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]string{"HasDomain", "true", "false"}, gateway(t).DisableExecuteAPIEndpoint); diff != "" {
		t.Errorf("DisableExecuteApiEndpoint:\n%s", diff)
	}
	mapping := properties[map[string]string](t, load(t, app), "DomainMapping")
	want := map[string]string{"ApiId": "HttpApi", "DomainName": "Domain", "Stage": "HttpApi.Stage"}
	if diff := cmp.Diff(want, mapping); diff != "" {
		t.Errorf("mapping:\n%s", diff)
	}
}

func TestAccessLogsHaveNothingSecret(t *testing.T) {
	t.Parallel()
	s := load(t, app)
	for name, settings := range map[string]accessLog{
		"HttpApi": gateway(t).AccessLogSettings,
		"IamStage": properties[struct {
			AccessLogSettings accessLog `yaml:"AccessLogSettings"`
		}](t, s, "IamStage").AccessLogSettings,
	} {
		if settings.DestinationArn != "AccessLog.Arn" {
			t.Errorf("%s: DestinationArn = %q", name, settings.DestinationArn)
		}
		var line map[string]string
		if err := json.Unmarshal([]byte(settings.Format), &line); err != nil {
			t.Fatalf("%s: a log line is no JSON: %v", name, err)
		}
		harmless := regexp.MustCompile(`^\$context\.(requestTime|requestId|identity\.sourceIp|identity\.userArn|httpMethod|path|protocol|` +
			`status|responseLength|responseLatency|integrationLatency|integrationStatus|integrationErrorMessage)$`)
		for field, variable := range line {
			if !harmless.MatchString(variable) {
				t.Errorf("%s: %s logs %s, which this test does not know as harmless", name, field, variable)
			}
		}
	}
}

func TestDoorForIAMAsksForASignature(t *testing.T) {
	t.Parallel()
	s := load(t, app)
	route := properties[map[string]string](t, s, "IamRoute")
	if route["RouteKey"] != "$default" || route["AuthorizationType"] != "AWS_IAM" {
		t.Errorf("route = %v", route)
	}
	for name, r := range s.Resources {
		if strings.HasPrefix(name, "Iam") && r.Condition != "HasIamDoor" {
			t.Errorf("%s is there without being asked for", name)
		}
	}
	if got := s.Parameters["IamDoor"].Default; got != "false" {
		t.Errorf("the door is %q by itself", got)
	}
}
