package infra_test

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify/ses"
	"github.com/stepup-auth/stepup/pkg/notify/sns"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// template is template.yaml as far as these tests look at it.
type template struct {
	Parameters map[string]struct {
		Type    string `yaml:"Type"`
		Default string `yaml:"Default"`
	} `yaml:"Parameters"`
	Resources struct {
		HTTPAPI   resource[httpAPI]   `yaml:"HttpApi"`
		API       resource[function]  `yaml:"Api"`
		APILog    resource[logGroup]  `yaml:"ApiLog"`
		AccessLog resource[logGroup]  `yaml:"AccessLog"`
		Keyring   resource[yaml.Node] `yaml:"Keyring"`
		Table     resource[tableDef]  `yaml:"Table"`
	} `yaml:"Resources"`
}

type resource[P any] struct {
	Type                string `yaml:"Type"`
	DeletionPolicy      string `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string `yaml:"UpdateReplacePolicy"`
	Properties          P      `yaml:"Properties"`
}

type httpAPI struct {
	StageName            string               `yaml:"StageName"`
	CorsConfiguration    *yaml.Node           `yaml:"CorsConfiguration"`
	DefaultRouteSettings map[string]yaml.Node `yaml:"DefaultRouteSettings"`
	AccessLogSettings    struct {
		DestinationArn string `yaml:"DestinationArn"`
		Format         string `yaml:"Format"`
	} `yaml:"AccessLogSettings"`
}

type function struct {
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
	Policies []struct {
		Statement []statement `yaml:"Statement"`
	} `yaml:"Policies"`
}

type statement struct {
	Effect   string `yaml:"Effect"`
	Action   list   `yaml:"Action"`
	Resource list   `yaml:"Resource"`
}

// list is one text or several, as IAM has it. Of CloudFormation's functions only the
// argument is left.
type list []string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

type logGroup struct {
	RetentionInDays int `yaml:"RetentionInDays"`
}

type tableDef struct {
	BillingMode               string          `yaml:"BillingMode"`
	DeletionProtectionEnabled bool            `yaml:"DeletionProtectionEnabled"`
	PointInTimeRecovery       map[string]bool `yaml:"PointInTimeRecoverySpecification"`
	SSE                       map[string]bool `yaml:"SSESpecification"`
	Stream                    struct {
		StreamViewType string `yaml:"StreamViewType"`
	} `yaml:"StreamSpecification"`
	AttributeDefinitions   []map[string]string `yaml:"AttributeDefinitions"`
	KeySchema              []map[string]string `yaml:"KeySchema"`
	GlobalSecondaryIndexes []struct {
		Projection struct {
			ProjectionType string `yaml:"ProjectionType"`
		} `yaml:"Projection"`
	} `yaml:"GlobalSecondaryIndexes"`
}

func load(t *testing.T) template {
	t.Helper()
	text, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var deployed template
	if err := yaml.Unmarshal(text, &deployed); err != nil {
		t.Fatal(err)
	}
	return deployed
}

func TestTableHasTheSchemaOfTheStore(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(store.Schema(), dynoxide.Schema(t)); diff != "" {
		t.Errorf("store.Schema() and the template differ:\n%s", diff)
	}
	deployed := load(t).Resources.Table.Properties
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
	r := load(t).Resources.Table
	p := r.Properties
	for protection, on := range map[string]bool{
		"deletion protection":      p.DeletionProtectionEnabled,
		"DeletionPolicy":           r.DeletionPolicy == "Retain",
		"UpdateReplacePolicy":      r.UpdateReplacePolicy == "Retain",
		"point in time recovery":   p.PointInTimeRecovery["PointInTimeRecoveryEnabled"],
		"encryption with KMS":      p.SSE["SSEEnabled"],
		"stream of both images":    p.Stream.StreamViewType == "NEW_AND_OLD_IMAGES",
		"payment for each request": p.BillingMode == "PAY_PER_REQUEST",
	} {
		if !on {
			t.Errorf("the table lacks %s", protection)
		}
	}
}

func TestFunctionRunsOnWhatIsBuilt(t *testing.T) {
	t.Parallel()
	r := load(t).Resources
	f := r.API.Properties
	for property, c := range map[string]struct{ got, want any }{
		"Type":          {r.API.Type, "AWS::Serverless::Function"},
		"CodeUri":       {f.CodeURI, "build/api"},
		"Handler":       {f.Handler, "bootstrap"},
		"Runtime":       {f.Runtime, "provided.al2023"},
		"Architectures": {f.Architectures, []string{"arm64"}},
		"Tracing":       {f.Tracing, "Active"},
		"LogFormat":     {f.LoggingConfig.LogFormat, "JSON"},
		"LogGroup":      {f.LoggingConfig.LogGroup, "ApiLog"},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s:\n%s", property, diff)
		}
	}
}

// The variables that the SDK shares are Lambda's to set, or are for laptops.
func ours(name string) bool { return !strings.HasPrefix(name, "AWS_") }

func TestFunctionSetsExactlyTheVariablesThatTheServiceReads(t *testing.T) {
	t.Parallel()
	var read, set []string
	for _, name := range config.Names() {
		if ours(name) {
			read = append(read, name)
		}
	}
	for name := range load(t).Resources.API.Properties.Environment.Variables {
		set = append(set, name)
	}
	slices.Sort(read)
	slices.Sort(set)
	if diff := cmp.Diff(read, set); diff != "" {
		t.Errorf("the service reads (-), the template sets (+):\n%s", diff)
	}
}

// environment resolves the function's variables as a deployment without parameters
// does; of a resource it has the logical id.
func environment(deployed template) config.Lookup {
	return func(name string) (string, bool) {
		v, set := deployed.Resources.API.Properties.Environment.Variables[name]
		if p, isParameter := deployed.Parameters[v.Value]; isParameter && v.Tag == "!Ref" {
			return p.Default, true
		}
		return v.Value, set
	}
}

func TestFunctionHasTheDefaultsOfTheServiceUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	got, err := config.Load(environment(load(t)))
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	want.Table, want.Keyring = "Table", "Keyring"
	if diff := compare(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFunctionHasRoomForItsWork(t *testing.T) {
	t.Parallel()
	deployed := load(t)
	f := deployed.Resources.API.Properties
	c, err := config.Load(environment(deployed))
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

// actions returns what the function may do with a service, or is denied.
func actions(deployed template, effect, service string) map[string]list {
	found := map[string]list{}
	for _, policy := range deployed.Resources.API.Properties.Policies {
		for _, s := range policy.Statement {
			for _, action := range s.Action {
				if s.Effect == effect && strings.HasPrefix(action, service+":") {
					found[strings.TrimPrefix(action, service+":")] = s.Resource
				}
			}
		}
	}
	return found
}

// inTransactions are the permissions that TransactWriteItems asks for: those of what
// is in the transaction.
func inTransactions() []string {
	return []string{"ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"}
}

// providersSecret is the ARN of a secret whose name is a parameter.
const providersSecret = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${IdentityProviders}-??????"

func TestFunctionMayDoWhatTheStoreDoesAndNothingElse(t *testing.T) {
	t.Parallel()
	alone, indexes := list{"Table.Arn"}, list{"Table.Arn", "${Table.Arn}/index/*"}
	want := map[string]list{}
	for method := range reflect.TypeFor[dynamo.Client]().Methods() {
		switch call := method.Name; call {
		case "TransactWriteItems":
			for _, action := range inTransactions() {
				want[action] = alone
			}
		case "Query":
			want[call] = indexes
		default:
			want[call] = alone
		}
	}
	deployed := load(t)
	if diff := cmp.Diff(want, actions(deployed, "Allow", "dynamodb")); diff != "" {
		t.Errorf("the store calls (-), the function may call (+):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]list{"Scan": indexes}, actions(deployed, "Deny", "dynamodb")); diff != "" {
		t.Errorf("denied:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]list{"GetSecretValue": {"Keyring", providersSecret}}, actions(deployed, "Allow", "secretsmanager")); diff != "" {
		t.Errorf("secrets:\n%s", diff)
	}
}

// permissions returns what a client's calls need, all on the same resources.
func permissions[Client any](resources ...string) map[string]list {
	need := map[string]list{}
	for method := range reflect.TypeFor[Client]().Methods() {
		need[method.Name] = resources
	}
	return need
}

func TestFunctionMaySendWhatTheSendersSendAndNothingElse(t *testing.T) {
	t.Parallel()
	const account = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
	deployed := load(t)
	for _, c := range []struct {
		effect, service string
		want            map[string]list
	}{
		{"Allow", "sns", permissions[sns.Client]("*")},
		{"Deny", "sns", permissions[sns.Client]("arn:${AWS::Partition}:sns:*:*:*")},
		{"Allow", "ses", permissions[ses.Client](account+"identity/${MailIdentity}", account+"configuration-set/${MailConfigurationSet}")},
		{"Deny", "ses", map[string]list{}},
	} {
		if diff := cmp.Diff(c.want, actions(deployed, c.effect, c.service)); diff != "" {
			t.Errorf("%s of %s: the senders call (-), the template says (+):\n%s", c.effect, c.service, diff)
		}
	}
}

func TestFunctionMayCallNoOtherServiceAndNothingAtLarge(t *testing.T) {
	t.Parallel()
	known := []string{"dynamodb", "secretsmanager", "ses", "sns"}
	for _, policy := range load(t).Resources.API.Properties.Policies {
		for _, s := range policy.Statement {
			for _, action := range s.Action {
				if service, _, _ := strings.Cut(action, ":"); !slices.Contains(known, service) || strings.Contains(action, "*") {
					t.Errorf("%s is not needed", action)
				}
				// Only phone numbers cannot be named.
				if slices.Contains(s.Resource, "*") && action != "sns:Publish" {
					t.Errorf("%s on everything is more than is needed", action)
				}
			}
		}
	}
}

func TestKeyringIsKeptAndNotInTheTemplate(t *testing.T) {
	t.Parallel()
	r := load(t).Resources.Keyring
	if r.Type != "AWS::SecretsManager::Secret" || r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
		t.Errorf("keyring is %s with policies %q and %q", r.Type, r.DeletionPolicy, r.UpdateReplacePolicy)
	}
	var properties map[string]any
	if err := r.Properties.Decode(&properties); err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"SecretString", "GenerateSecretString"} {
		if _, has := properties[source]; has {
			t.Errorf("%s makes a value that is no keyring", source)
		}
	}
}

func TestGatewayIsThrottledAndLeavesTheRestToTheService(t *testing.T) {
	t.Parallel()
	r := load(t).Resources
	g := r.HTTPAPI.Properties
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
	for name, days := range map[string]int{
		"ApiLog": r.APILog.Properties.RetentionInDays, "AccessLog": r.AccessLog.Properties.RetentionInDays,
	} {
		if days == 0 {
			t.Errorf("%s is kept forever", name)
		}
	}
}

func TestAccessLogHasNothingSecret(t *testing.T) {
	t.Parallel()
	settings := load(t).Resources.HTTPAPI.Properties.AccessLogSettings
	if settings.DestinationArn != "AccessLog.Arn" {
		t.Errorf("DestinationArn = %q", settings.DestinationArn)
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(settings.Format), &line); err != nil {
		t.Fatalf("a log line is no JSON: %v", err)
	}
	harmless := regexp.MustCompile(`^\$context\.(requestTime|requestId|identity\.sourceIp|httpMethod|path|protocol|status|` +
		`responseLength|responseLatency|integrationLatency|integrationStatus|integrationErrorMessage)$`)
	for name, variable := range line {
		if !harmless.MatchString(variable) {
			t.Errorf("%s logs %s, which this test does not know as harmless", name, variable)
		}
	}
}
