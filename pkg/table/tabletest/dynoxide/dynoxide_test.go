package dynoxide_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

func TestTablesAreFreshAndAsTheTemplateSays(t *testing.T) {
	t.Parallel()
	client, first := dynoxide.NewTable(t, dynoxide.Options{})
	_, second := dynoxide.NewTable(t, dynoxide.Options{})
	if first == second {
		t.Fatalf("both tables are %s", first)
	}
	out, err := client.DescribeTable(t.Context(), &dynamodb.DescribeTableInput{TableName: &first})
	if err != nil {
		t.Fatal(err)
	}
	want := []types.KeySchemaElement{
		{AttributeName: aws.String(table.PartitionKey), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(table.SortKey), KeyType: types.KeyTypeRange},
	}
	if diff := cmp.Diff(want, out.Table.KeySchema, cmpopts.IgnoreUnexported(types.KeySchemaElement{})); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, index := range out.Table.GlobalSecondaryIndexes {
		if index.Projection.ProjectionType != types.ProjectionTypeKeysOnly {
			t.Errorf("index %s projects %s", *index.IndexName, index.Projection.ProjectionType)
		}
	}
	if got, want := len(out.Table.GlobalSecondaryIndexes), len(dynoxide.Schema(t).Indexes); got != want || got == 0 {
		t.Errorf("%d indexes of %d", got, want)
	}
}

func TestDeployedSchemaIncludesTheContracts(t *testing.T) {
	t.Parallel()
	deployed, needed := dynoxide.Schema(t), tabletest.Schema()
	if deployed.TTL != needed.TTL {
		t.Errorf("the TTL attribute is %q, not %q", deployed.TTL, needed.TTL)
	}
	for _, index := range needed.Indexes {
		if !slices.Contains(deployed.Indexes, index) {
			t.Errorf("%+v is not in %+v", index, deployed.Indexes)
		}
	}
}

func TestTemplateMayHaveCloudFormationTags(t *testing.T) {
	t.Parallel()
	in, schema, err := dynoxide.Parse([]byte(`
Parameters: { Stage: { Type: String } }
Resources:
  Function: { Type: AWS::Serverless::Function, Properties: { Role: !GetAtt Role.Arn } }
  Table:
    Type: AWS::DynamoDB::Table
    Condition: HasTable
    Properties:
      TableName: !Sub "${Stage}-table"
      SSESpecification: { SSEEnabled: true, KMSMasterKeyId: !Ref Key }
      Tags: !If [ IsProduction, [ { Key: a, Value: !Ref Stage } ], !Ref "AWS::NoValue" ]
      AttributeDefinitions: [ { AttributeName: PK, AttributeType: S }, { AttributeName: u, AttributeType: S }, { AttributeName: b, AttributeType: N } ]
      KeySchema: [ { AttributeName: PK, KeyType: HASH } ]
      GlobalSecondaryIndexes:
        - { IndexName: byU, KeySchema: [ { AttributeName: b, KeyType: RANGE }, { AttributeName: u, KeyType: HASH } ], Projection: { ProjectionType: KEYS_ONLY } }
      TimeToLiveSpecification: { AttributeName: end, Enabled: true }
Outputs: { Name: { Value: !Ref Table } }
`))
	if err != nil {
		t.Fatal(err)
	}
	want := table.Schema{TTL: "end", Indexes: []table.Index{{Name: "byU", PK: "u", SK: "b"}}}
	if diff := cmp.Diff(want, schema); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
	if len(in.AttributeDefinitions) != 3 || in.AttributeDefinitions[2].AttributeType != types.ScalarAttributeTypeN {
		t.Errorf("attributes: %+v", in.AttributeDefinitions)
	}
}

func TestDisabledTTLIsNone(t *testing.T) {
	t.Parallel()
	_, schema, err := dynoxide.Parse([]byte("Resources: { Table: { Type: AWS::DynamoDB::Table, " +
		"Properties: { TimeToLiveSpecification: { AttributeName: end, Enabled: false } } } }"))
	if err != nil || schema.TTL != "" {
		t.Errorf("got %+v, %v", schema, err)
	}
}

func TestTemplateWithoutTheTableIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "Resources: {}", "Resources: { Table: { Type: AWS::S3::Bucket } }", "\t: nonsense"} {
		if _, _, err := dynoxide.Parse([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestMissingServerNamesTheCure changes the environment and the working directory,
// and so does not run beside others.
func TestMissingServerNamesTheCure(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	t.Setenv("DYNOXIDE", "")
	if _, err := dynoxide.Locate(); err == nil || !strings.Contains(err.Error(), "npm ci --prefix test/emulators") {
		t.Errorf("got %v", err)
	}
	t.Setenv("DYNOXIDE", "/elsewhere/dynoxide")
	if path, err := dynoxide.Locate(); path != "/elsewhere/dynoxide" || err != nil {
		t.Errorf("got %q, %v", path, err)
	}
}
func TestStreamHoldsBothImagesOfEachChange(t *testing.T) {
	t.Parallel()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	item := func(n string) map[string]types.AttributeValue {
		return map[string]types.AttributeValue{
			table.PartitionKey: &types.AttributeValueMemberS{Value: "p"}, table.SortKey: &types.AttributeValueMemberS{Value: "s"},
			"n": &types.AttributeValueMemberN{Value: n},
		}
	}
	for _, n := range []string{"1", "2"} {
		if _, err := client.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &name, Item: item(n)}); err != nil {
			t.Fatal(err)
		}
	}
	type record struct {
		EventName string
		Dynamodb  struct{ OldImage, NewImage map[string]map[string]string }
	}
	var got []record
	for _, raw := range dynoxide.Stream(t, name) {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != 2 || got[0].EventName != "INSERT" || got[1].EventName != "MODIFY" ||
		got[1].Dynamodb.OldImage["n"]["N"] != "1" || got[1].Dynamodb.NewImage["n"]["N"] != "2" {
		t.Errorf("got %+v", got)
	}
}
