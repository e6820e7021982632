package dynoxide

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stepup-auth/stepup/pkg/table"
)

// What the tests outside of the package reach into it for.
var Locate = locate

// Parse reads a template.
func Parse(text []byte) (*dynamodb.CreateTableInput, table.Schema, error) {
	d, err := parseTemplate(text)
	if err != nil {
		return nil, table.Schema{}, err
	}
	return d.createInput("name"), d.schema(), nil
}
