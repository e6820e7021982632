package main

import (
	"errors"
	"fmt"
	"net/url"
)

// settings is what the function reads from its environment.
type settings struct {
	// version is the ARN of the version to try.
	version string
	// key is the ARN of the secret with the API key of the trial.
	key    string
	region string

	// The endpoints replace AWS's own in a test; nil is AWS's own. The names of the
	// variables are those of the AWS SDKs.
	lambdaEndpoint     *string
	codeDeployEndpoint *string
	secretsEndpoint    *string
}

// load reads the settings. The error names every variable that is missing or bad.
func load(lookup func(name string) (string, bool)) (settings, error) {
	var problems []error
	required := func(name string) string {
		value, _ := lookup(name)
		if value == "" {
			problems = append(problems, fmt.Errorf("%s: is empty", name))
		}
		return value
	}
	optional := func(name string) *string {
		value, _ := lookup(name)
		if value == "" {
			return nil
		}
		if u, err := url.Parse(value); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			problems = append(problems, fmt.Errorf("%s: is not a URL of a host alone", name))
		}
		return &value
	}
	s := settings{
		version:            required("STEPUP_SMOKE_VERSION"),
		key:                required("STEPUP_SMOKE_KEY"),
		region:             required("AWS_REGION"),
		lambdaEndpoint:     optional("AWS_ENDPOINT_URL_LAMBDA"),
		codeDeployEndpoint: optional("AWS_ENDPOINT_URL_CODEDEPLOY"),
		secretsEndpoint:    optional("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
	}
	return s, errors.Join(problems...)
}
