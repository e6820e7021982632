package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify"
	notifyses "github.com/stepup-auth/stepup/pkg/notify/ses"
	notifysns "github.com/stepup-auth/stepup/pkg/notify/sns"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

// Ambient is what a process has and a test replaces.
type Ambient struct {
	Logger *slog.Logger
	// Metrics is as in Parts.
	Metrics io.Writer
	Now     func() time.Time
	Random  io.Reader
	// Sender carries messages where AWS does not.
	Sender notify.Router
	// SignedBy tells whose signature the gateway in front verified; nil where none does.
	SignedBy func(*http.Request) (arn string, ok bool)
	// Reflection is as in Parts.
	Reflection func(mux *http.ServeMux, services []string)
}

// OnAWS puts the service together on DynamoDB. Keys are fetched before it returns,
// so that a process that answers at all has them.
func OnAWS(ctx context.Context, c config.Config, credentials aws.Config, m Ambient) (*App, error) {
	if c.Table == "" {
		return nil, errors.New("STEPUP_TABLE: is empty")
	}
	if credentials.Region == "" { // without one the SDK would fail with every request
		return nil, errors.New("AWS_REGION: is empty")
	}
	ring, err := OpenKeyring(ctx, c, credentials)
	if err != nil {
		return nil, err
	}
	client, err := dynamoClient(ctx, c, credentials)
	if err != nil {
		return nil, err
	}
	t := dynamo.New(client, c.Table, store.Schema(), dynamo.Options{CallTimeout: c.StoreTimeout, Jitter: retry.Jitter(m.Random)})
	sender, err := awsSender(c, credentials)
	if err != nil {
		return nil, err
	}
	providers, err := openProviders(ctx, c, fromSecrets(c, credentials))
	if err != nil {
		return nil, err
	}
	return New(Parts{
		Config: c, Table: t, Ring: ring, Providers: providers, Sender: sender, SignedBy: m.SignedBy, Reflection: m.Reflection,
		Logger: m.Logger, Metrics: m.Metrics, Now: m.Now, Random: m.Random,
	})
}

// dynamoClient returns a client that does once what the SDK does for each request: it has
// no other region, and its credentials come without the account's id, so the endpoint is
// always the same. Answers are not summed up a second time: TLS has done so.
func dynamoClient(ctx context.Context, c config.Config, credentials aws.Config) (*dynamodb.Client, error) {
	where, err := dynamodb.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, dynamodb.EndpointParameters{
		Region: &credentials.Region, Endpoint: endpoint(c.DynamoDBEndpoint), UseDualStack: new(false), UseFIPS: new(false),
	})
	if err != nil {
		return nil, fmt.Errorf("AWS_REGION, AWS_ENDPOINT_URL_DYNAMODB: %w", err)
	}
	return dynamodb.NewFromConfig(credentials, func(o *dynamodb.Options) {
		o.EndpointResolverV2 = resolved(where)
		o.AccountIDEndpointMode = aws.AccountIDEndpointModeDisabled
		o.DisableValidateResponseChecksum = true
	}), nil
}

// resolved is an endpoint that is known. It implements dynamodb.EndpointResolverV2.
type resolved smithyendpoints.Endpoint

// ResolveEndpoint implements dynamodb.EndpointResolverV2.
func (r resolved) ResolveEndpoint(context.Context, dynamodb.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return smithyendpoints.Endpoint(r), nil
}

// awsSender sends text messages through SNS and mail through SES. Without a sender
// address there is no mail.
func awsSender(c config.Config, credentials aws.Config) (notify.Router, error) {
	publish := sns.NewFromConfig(credentials, func(o *sns.Options) { o.BaseEndpoint = endpoint(c.SNSEndpoint) }).Publish
	texts, err := notifysns.New(
		notifysns.Request(publish),
		notifysns.Options{SenderID: c.SMS.SenderID, OriginationNumber: c.SMS.OriginationNumber, MaxPrice: c.SMS.MaxPrice},
	)
	if err != nil {
		return notify.Router{}, fmt.Errorf("STEPUP_SMS_*: %w", err)
	}
	router := notify.Router{SMS: texts}
	if c.Mail.From == "" {
		return router, nil
	}
	send := sesv2.NewFromConfig(credentials, func(o *sesv2.Options) { o.BaseEndpoint = endpoint(c.SESEndpoint) }).SendEmail
	router.Email, err = notifyses.New(
		notifyses.Request(send),
		notifyses.Options{From: c.Mail.From, ReplyTo: c.Mail.ReplyTo, ConfigurationSet: c.Mail.ConfigurationSet},
	)
	if err != nil {
		return notify.Router{}, fmt.Errorf("STEPUP_MAIL_*: %w", err)
	}
	return router, nil
}

// endpoint is nil, which means AWS's own, for an empty URL.
func endpoint(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// secretTimeout bounds the fetch of a secret, which happens while a function starts and
// must not use up the time that starting may take.
const secretTimeout = 3 * time.Second

// OpenKeyring reads the master keys from where the configuration says.
func OpenKeyring(ctx context.Context, c config.Config, credentials aws.Config) (*keyring.Ring, error) {
	if c.Keyring == "" {
		return nil, errors.New("STEPUP_KEYRING: is empty")
	}
	text, err := secretText(ctx, c.Keyring, fromSecrets(c, credentials))
	if err != nil {
		return nil, fmt.Errorf("STEPUP_KEYRING: %w", err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_KEYRING: %w", err)
	}
	return ring, nil
}

// fetch reads a secret that is not in a file.
type fetch func(ctx context.Context, name string) ([]byte, error)

// secretText reads a secret from where a variable says: "file:" and a path, or a name
// for fetch.
func secretText(ctx context.Context, where string, fetch fetch) ([]byte, error) {
	if path, ok := strings.CutPrefix(where, "file:"); ok {
		return os.ReadFile(path)
	}
	return fetch(ctx, where)
}

// fromSecrets fetches from Secrets Manager, by name or ARN.
func fromSecrets(c config.Config, credentials aws.Config) fetch {
	return func(ctx context.Context, name string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, secretTimeout)
		defer cancel()
		client := secretsmanager.NewFromConfig(credentials, func(o *secretsmanager.Options) {
			o.BaseEndpoint = endpoint(c.SecretsEndpoint)
		})
		secret, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return nil, fmt.Errorf("fetch the secret: %w", err)
		}
		if secret.SecretString != nil {
			return []byte(*secret.SecretString), nil
		}
		return secret.SecretBinary, nil
	}
}
