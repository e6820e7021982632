// Package sdk owns how the AWS SDK is set up inside a function: where its region and
// credentials come from, how long its connections live, and how often it tries again.
package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Lookup returns the value of an environment variable and whether it is set;
// os.LookupEnv is one.
type Lookup = func(name string) (string, bool)

// Config returns the SDK's configuration as it is inside a function: the region, and
// credentials from the environment, nothing else looked for. Building it by hand
// leaves out the SDK's own loader, whose profiles, single sign-on and metadata
// clients cost more than half of a cold start and have nothing to find there.
func Config(region string, lookup Lookup) aws.Config {
	return aws.Config{
		Region:      region,
		Credentials: aws.CredentialsProviderFunc(environmentCredentials(lookup)),
		HTTPClient:  httpClient(),
		Retryer:     retryer,
	}
}

// environmentCredentials reads the credentials anew each time, because the platform
// may replace them in a process that lives long.
func environmentCredentials(lookup Lookup) func(context.Context) (aws.Credentials, error) {
	return func(context.Context) (aws.Credentials, error) {
		id, _ := lookup("AWS_ACCESS_KEY_ID")
		secret, _ := lookup("AWS_SECRET_ACCESS_KEY")
		token, _ := lookup("AWS_SESSION_TOKEN")
		if id == "" || secret == "" {
			return aws.Credentials{}, errors.New("the environment has no AWS credentials")
		}
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token, Source: "environment"}, nil
	}
}

// Connections within a region come up in milliseconds. The idle timeout is shorter
// than the services' own, so that a process that was frozen between two requests
// does not start the next one on a connection that the other side has closed.
const (
	connectTimeout = 1100 * time.Millisecond
	idleTimeout    = 15 * time.Second
	connections    = 64
)

// client is the SDK's own transport without what the SDK puts around it. Its connections
// are shared by the clients of all services. Where a service answers with a redirect, that is
// the answer.
type client struct{ transport *http.Transport }

func httpClient() client {
	return client{awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = connectTimeout }).
		WithTransportOptions(func(t *http.Transport) {
			t.TLSHandshakeTimeout = connectTimeout
			t.IdleConnTimeout = idleTimeout
			t.MaxIdleConnsPerHost = connections
		}).GetTransport()}
}

// Do implements aws.HTTPClient. The SDK hides from net/http that a body is in memory, and
// then head and body leave separately, each as a record of TLS, for the body might take its
// time. A body that is known to be there leaves with the head.
func (c client) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return c.transport.RoundTrip(r)
}

// retryer repeats a request that failed on the way, soon: the SDK's own back-off
// begins at a second, which is longer than most callers will wait.
func retryer() aws.Retryer {
	return awsretry.NewStandard(func(o *awsretry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = 100 * time.Millisecond
	})
}
