// Package apitest owns what the function api has around it on one machine: a table
// with known content, the environment in which the function finds it, and the way of
// one event through the function. The files in events/ speak of that content.
package apitest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// Package is the import path of the function.
const Package = "github.com/stepup-auth/stepup/functions/api"

// Deploy creates the template's table in the DynamoDB stand-in, fills it with the
// fixture, and returns the environment that leads the function there, as
// "NAME=value". All of it goes away with t.
func Deploy(t testing.TB) []string {
	t.Helper()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	if err := Seed(t.Context(), dynamo.New(client, name, store.Schema(), dynamo.Options{})); err != nil {
		t.Fatal(err)
	}
	keyring := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(keyring, []byte(Keyring), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"STEPUP_TABLE=" + name,
		"STEPUP_KEYRING=file:" + keyring,
		"STEPUP_IAM_ROLES=" + SignerARN + "=IAM_LOGIN_CLIENT",
		"AWS_ENDPOINT_URL_DYNAMODB=" + *client.Options().BaseEndpoint,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
	}
}

// Send hands the event to the function as it stands and returns the answer as API
// Gateway would send it on. The caller closes its body.
func Send(ctx context.Context, function *lambdatest.Process, event []byte) (*http.Response, error) {
	gateway := &lambdatest.Gateway{Invoke: func(ctx context.Context, _ []byte) ([]byte, error) {
		return function.Invoke(ctx, event)
	}}
	// Only the way back is of use: the event is there already.
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("apitest: %w", err)
	}
	return gateway.RoundTrip(r)
}
