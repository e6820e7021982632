package dynoxide

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/stepup-auth/stepup/pkg/table"
)

// What the tests outside of the package reach into it for.
var Locate = locate

// Addr is where this test binary's server listens.
func Addr() (string, error) {
	s, err := shared()
	if err != nil {
		return "", err
	}
	return s.addr, nil
}

// StartStop starts a server of its own and stops it; the address is where it was.
func StartStop(binary string) (addr string, err error) {
	s, err := start(binary)
	if err != nil {
		return "", err
	}
	s.stop()
	return s.addr, nil
}

// Parse reads a template.
func Parse(text []byte) (*dynamodb.CreateTableInput, table.Schema, error) {
	d, err := parseTemplate(text)
	if err != nil {
		return nil, table.Schema{}, err
	}
	return d.createInput("name"), d.schema(), nil
}
