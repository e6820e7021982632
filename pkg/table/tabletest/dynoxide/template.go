package dynoxide

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"go.yaml.in/yaml/v3"

	"github.com/stepup-auth/stepup/pkg/table"
)

// tableDefinition is what a test table takes from an AWS::DynamoDB::Table. Whatever
// else the resource has is not decoded, so CloudFormation's own tags cannot be in
// the way.
type tableDefinition struct {
	AttributeDefinitions []struct {
		AttributeName string                    `yaml:"AttributeName"`
		AttributeType types.ScalarAttributeType `yaml:"AttributeType"`
	} `yaml:"AttributeDefinitions"`
	KeySchema              []keyElement `yaml:"KeySchema"`
	GlobalSecondaryIndexes []struct {
		IndexName  string       `yaml:"IndexName"`
		KeySchema  []keyElement `yaml:"KeySchema"`
		Projection struct {
			ProjectionType types.ProjectionType `yaml:"ProjectionType"`
		} `yaml:"Projection"`
	} `yaml:"GlobalSecondaryIndexes"`
	StreamSpecification struct {
		StreamViewType types.StreamViewType `yaml:"StreamViewType"`
	} `yaml:"StreamSpecification"`
	TimeToLiveSpecification struct {
		AttributeName string `yaml:"AttributeName"`
		Enabled       bool   `yaml:"Enabled"`
	} `yaml:"TimeToLiveSpecification"`
}

type keyElement struct {
	AttributeName string        `yaml:"AttributeName"`
	KeyType       types.KeyType `yaml:"KeyType"`
}

// parseTemplate reads the resource Table of a CloudFormation template.
func parseTemplate(text []byte) (*tableDefinition, error) {
	var template struct {
		Resources struct {
			Table struct {
				Type       string          `yaml:"Type"`
				Properties tableDefinition `yaml:"Properties"`
			} `yaml:"Table"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		return nil, err
	}
	if template.Resources.Table.Type != "AWS::DynamoDB::Table" {
		return nil, errors.New("there is no resource Table of type AWS::DynamoDB::Table")
	}
	return &template.Resources.Table.Properties, nil
}

// createInput returns the request that creates the table.
func (d *tableDefinition) createInput(name string) *dynamodb.CreateTableInput {
	in := &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		KeySchema:   keySchema(d.KeySchema),
	}
	if view := d.StreamSpecification.StreamViewType; view != "" {
		in.StreamSpecification = &types.StreamSpecification{StreamEnabled: new(true), StreamViewType: view}
	}
	for _, a := range d.AttributeDefinitions {
		in.AttributeDefinitions = append(in.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: &a.AttributeName, AttributeType: a.AttributeType})
	}
	for _, index := range d.GlobalSecondaryIndexes {
		in.GlobalSecondaryIndexes = append(in.GlobalSecondaryIndexes, types.GlobalSecondaryIndex{
			IndexName:  &index.IndexName,
			KeySchema:  keySchema(index.KeySchema),
			Projection: &types.Projection{ProjectionType: index.Projection.ProjectionType},
		})
	}
	return in
}

func keySchema(elements []keyElement) []types.KeySchemaElement {
	var keys []types.KeySchemaElement
	for _, e := range elements {
		keys = append(keys, types.KeySchemaElement{AttributeName: &e.AttributeName, KeyType: e.KeyType})
	}
	return keys
}

// schema returns the definition in the words of the port.
func (d *tableDefinition) schema() table.Schema {
	var s table.Schema
	if d.TimeToLiveSpecification.Enabled {
		s.TTL = d.TimeToLiveSpecification.AttributeName
	}
	for _, index := range d.GlobalSecondaryIndexes {
		s.Indexes = append(s.Indexes, table.Index{
			Name: index.IndexName,
			PK:   attribute(index.KeySchema, types.KeyTypeHash),
			SK:   attribute(index.KeySchema, types.KeyTypeRange),
		})
	}
	return s
}

func attribute(elements []keyElement, kind types.KeyType) string {
	for _, e := range elements {
		if e.KeyType == kind {
			return e.AttributeName
		}
	}
	return ""
}
