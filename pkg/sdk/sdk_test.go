package sdk_test

import (
	"testing"

	"github.com/stepup-auth/stepup/pkg/sdk"
)

func TestFunctionReadsItsCredentialsAnewEachTime(t *testing.T) {
	t.Parallel()
	values := map[string]string{}
	c := sdk.Config("eu-central-1", func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	})
	if _, err := c.Credentials.Retrieve(t.Context()); err == nil {
		t.Error("an empty environment has credentials")
	}
	for _, id := range []string{"first", "second"} {
		values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"] = id, "secret"
		if got, err := c.Credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != id {
			t.Errorf("got %q, %v, want %q", got.AccessKeyID, err, id)
		}
	}
	if c.Region != "eu-central-1" {
		t.Errorf("region %q", c.Region)
	}
}
