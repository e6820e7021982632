package infra_test

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/stepup-auth/stepup/pkg/notify/ses"
	"github.com/stepup-auth/stepup/pkg/notify/sns"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

// role is an IAM role as far as these tests look at it.
type role struct {
	ManagedPolicyArns yaml.Node `yaml:"ManagedPolicyArns"`
	Policies          []struct {
		PolicyDocument struct {
			Statement []statement `yaml:"Statement"`
		} `yaml:"PolicyDocument"`
	} `yaml:"Policies"`
}

type statement struct {
	Sid      string `yaml:"Sid"`
	Effect   string `yaml:"Effect"`
	Action   list   `yaml:"Action"`
	Resource list   `yaml:"Resource"`
	// Condition is in YAML, for comparison only.
	Condition map[string]map[string]string `yaml:"Condition"`
}

func (r role) statements() []statement {
	var all []statement
	for _, p := range r.Policies {
		all = append(all, p.PolicyDocument.Statement...)
	}
	return all
}

// permissions returns what a role may do, or is denied, by action.
func permissions(t *testing.T, path, name, effect string) map[string]list {
	t.Helper()
	found := map[string]list{}
	for _, s := range properties[role](t, load(t, path), name).statements() {
		for _, action := range s.Action {
			if s.Effect == effect {
				found[action] = s.Resource
			}
		}
	}
	return found
}

// methods returns the calls of a client as actions of a service, all on the same
// resources.
func methods[Client any](service string, resources ...string) map[string]list {
	need := map[string]list{}
	for method := range reflect.TypeFor[Client]().Methods() {
		need[service+":"+method.Name] = resources
	}
	return need
}

// storeNeeds returns what the calls of the store ask for. TransactWriteItems asks for
// the permissions of what is in the transaction.
func storeNeeds() map[string]list {
	alone, indexes := list{"TableArn"}, list{"TableArn", "${TableArn}/index/*"}
	need := methods[dynamo.Client]("dynamodb", alone...)
	delete(need, "dynamodb:TransactWriteItems")
	for _, action := range []string{"ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"} {
		need["dynamodb:"+action] = alone
	}
	need["dynamodb:Query"] = indexes
	return need
}

// platform is what a function needs around its work, and what reading a secret asks for
// besides the secret.
func platform(log string) map[string]list {
	return map[string]list{
		"logs:CreateLogStream": {log + ".Arn"}, "logs:PutLogEvents": {log + ".Arn"},
		"xray:PutTraceSegments": {"*"}, "xray:PutTelemetryRecords": {"*"},
	}
}

func reading(secrets ...string) map[string]list {
	return map[string]list{"secretsmanager:GetSecretValue": secrets, "kms:Decrypt": {"KeyArn"}}
}

// union merges; of two entries for one action the later counts.
func union(all ...map[string]list) map[string]list {
	merged := map[string]list{}
	for _, m := range all {
		maps.Copy(merged, m)
	}
	return merged
}

// serviceNeeds is what the code of the service calls, wherever it runs.
func serviceNeeds() map[string]list {
	const account = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
	return union(
		storeNeeds(), reading("Keyring", "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${IdentityProviders}-??????"), methods[sns.Client]("sns", "*"),
		methods[ses.Client]("ses", account+"identity/${MailIdentity}", account+"configuration-set/${MailConfigurationSet}"),
	)
}

func TestEveryRoleMayDoWhatItsCodeDoesAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path, role string
		want       map[string]list
	}{
		{app, "ApiRole", union(serviceNeeds(), platform("ApiLog"))},
		{"infra/grpc.yaml", "TaskRole", serviceNeeds()},
		{app, "StreamRole", union(platform("StreamLog"), map[string]list{
			// Lambda reads the stream, and tells the queue what it gave up, in the function's name.
			"dynamodb:DescribeStream": {"TableStream"}, "dynamodb:GetRecords": {"TableStream"},
			"dynamodb:GetShardIterator": {"TableStream"}, "dynamodb:ListStreams": {"${TableArn}/stream/*"},
			"events:PutEvents": {"BusArn"}, "sqs:SendMessage": {"StreamFailures.Arn"},
		})},
		{app, "SmokeRole", union(platform("SmokeLog"), reading("SmokeKey"), map[string]list{
			"lambda:InvokeFunction": {"${Api.Arn}:*"},
			"codedeploy:PutLifecycleEventHookExecutionStatus": {
				"arn:${AWS::Partition}:codedeploy:${AWS::Region}:${AWS::AccountId}:deploymentgroup:${ServerlessDeploymentApplication}/*",
			},
		})},
	} {
		if diff := cmp.Diff(c.want, permissions(t, c.path, c.role, "Allow")); diff != "" {
			t.Errorf("the code needs (-), %s may do (+):\n%s", c.role, diff)
		}
	}
}

func TestNobodyReadsEverybodyOrPublishesToTopics(t *testing.T) {
	t.Parallel()
	want := map[string]list{
		"dynamodb:Scan": {"TableArn", "${TableArn}/index/*"},
		"sns:Publish":   {"arn:${AWS::Partition}:sns:*:*:*"},
	}
	for path, name := range map[string]string{app: "ApiRole", "infra/grpc.yaml": "TaskRole"} {
		if diff := cmp.Diff(want, permissions(t, path, name, "Deny")); diff != "" {
			t.Errorf("%s is denied:\n%s", name, diff)
		}
	}
}

func TestContainerMayDoWhatTheFunctionMay(t *testing.T) {
	t.Parallel()
	function := slices.DeleteFunc(properties[role](t, load(t, app), "ApiRole").statements(), func(s statement) bool {
		return s.Sid == "Logs" || s.Sid == "Traces" // the platform writes those of a container
	})
	if diff := cmp.Diff(function, properties[role](t, load(t, "infra/grpc.yaml"), "TaskRole").statements()); diff != "" {
		t.Errorf("the function may (-), the container may (+):\n%s", diff)
	}
}

func TestKeyOpensOnlyTheSecretAndOnlyThroughItsService(t *testing.T) {
	t.Parallel()
	for path, s := range stacks(t) {
		for name := range s.of("AWS::IAM::Role") {
			for _, st := range properties[role](t, s, name).statements() {
				if !slices.Contains(st.Action, "kms:Decrypt") {
					continue
				}
				condition := st.Condition["StringEquals"]
				if condition["kms:ViaService"] != "secretsmanager.${AWS::Region}.amazonaws.com" || condition["kms:EncryptionContext:SecretARN"] == "" {
					t.Errorf("%s: %s may decrypt under the condition %v", path, name, condition)
				}
			}
		}
	}
}

// unnamed are the actions that AWS grants on everything or not at all.
func unnamed() []string {
	return []string{"sns:Publish", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "ecr:GetAuthorizationToken"}
}

func TestNoRoleMayDoMoreThanIsWrittenHere(t *testing.T) {
	t.Parallel()
	roles := 0
	for path, s := range stacks(t) {
		for name := range s.of("AWS::IAM::Role") {
			roles++
			r := properties[role](t, s, name)
			if !r.ManagedPolicyArns.IsZero() {
				t.Errorf("%s: %s has policies that are written elsewhere", path, name)
			}
			for _, st := range r.statements() {
				for _, problem := range excess(st) {
					t.Errorf("%s: %s: %s", path, name, problem)
				}
			}
		}
	}
	if roles < 6 {
		t.Errorf("only %d roles", roles)
	}
}

// excess returns where a statement allows more than can be meant.
func excess(s statement) []string {
	var problems []string
	for _, action := range s.Action {
		if strings.Contains(action, "*") {
			problems = append(problems, action+" is more than one action")
		}
		if s.Effect == "Allow" && slices.Contains(s.Resource, "*") && !slices.Contains(unnamed(), action) {
			problems = append(problems, action+" on everything")
		}
	}
	return problems
}

func TestNoFunctionHasARoleThatSAMMakes(t *testing.T) {
	t.Parallel()
	s := load(t, app)
	for name := range s.of("AWS::Serverless::Function") {
		if p := properties[map[string]yaml.Node](t, s, name); p["Role"].Value == "" || !zero(p["Policies"]) {
			t.Errorf("%s has a role of SAM's, which may write every log", name)
		}
	}
}

func zero(n yaml.Node) bool { return n.IsZero() }

// permissionRow is a row of the table in docs/security.md: role, actions, resource, why.
var permissionRow = regexp.MustCompile("(?m)^\\| `([A-Za-z]+Role)` \\| (.+?) \\| (.+?) \\| .+ \\|$")

var quoted = regexp.MustCompile("`([^`]+)`")

func TestEveryPermissionIsInTheSecurityModel(t *testing.T) {
	t.Parallel()
	written := map[string]bool{}
	for _, row := range permissionRow.FindAllStringSubmatch(read(t, "docs/security.md"), -1) {
		for _, action := range quoted.FindAllStringSubmatch(row[2], -1) {
			written[row[1]+" "+action[1]] = true
		}
	}
	granted := map[string]bool{}
	for path, s := range stacks(t) {
		for name := range s.of("AWS::IAM::Role") {
			for action := range permissions(t, path, name, "Allow") {
				granted[fmt.Sprintf("%s %s", name, action)] = true
			}
		}
	}
	if diff := cmp.Diff(keys(granted), keys(written)); diff != "" {
		t.Errorf("the templates grant (-), docs/security.md says (+):\n%s", diff)
	}
}
