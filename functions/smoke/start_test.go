package main_test

import (
	"testing"

	main "github.com/stepup-auth/stepup/functions/smoke"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// bad has a value for each variable that must stop the start.
var bad = map[string]string{
	"STEPUP_SMOKE_VERSION": "", "STEPUP_SMOKE_KEY": "", "AWS_REGION": "",
	"AWS_ENDPOINT_URL_LAMBDA": "hush", "AWS_ENDPOINT_URL_CODEDEPLOY": "hush", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "hush",
}

func TestEveryVariableThatIsMissingOrBadStopsTheStartByItsName(t *testing.T) {
	t.Parallel()
	for _, name := range main.Variables() {
		value, known := bad[name]
		if !known {
			t.Errorf("%s: which value is bad?", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lambdatest.WantStopped(t, lambdatest.Options{
				Binary: builds.Binary(t, smoke), Env: []string{"STEPUP_SMOKE_VERSION=" + version, "STEPUP_SMOKE_KEY=" + secret, name + "=" + value},
			}, name)
		})
	}
	lambdatest.WantStopped(t, lambdatest.Options{Binary: builds.Binary(t, smoke)}, "STEPUP_SMOKE_VERSION", "STEPUP_SMOKE_KEY")
}
