package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify"
	notifyses "github.com/stepup-auth/stepup/pkg/notify/ses"
	notifysns "github.com/stepup-auth/stepup/pkg/notify/sns"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

// Ambient is what a process has and a test replaces.
type Ambient struct {
	Logger *slog.Logger
	Now    func() time.Time
	Random io.Reader
	// Sender carries messages where AWS does not.
	Sender notify.Router
}

// OnAWS puts the service together on DynamoDB. Keys are fetched before it returns,
// so that a process that answers at all has them.
func OnAWS(ctx context.Context, c config.Config, credentials aws.Config, m Ambient) (*App, error) {
	if c.Table == "" {
		return nil, errors.New("STEPUP_TABLE: is empty")
	}
	ring, err := OpenKeyring(ctx, c, credentials)
	if err != nil {
		return nil, err
	}
	client := dynamodb.NewFromConfig(credentials, func(o *dynamodb.Options) {
		o.BaseEndpoint = endpoint(c.DynamoDBEndpoint)
	})
	t := dynamo.New(client, c.Table, store.Schema(), dynamo.Options{CallTimeout: c.StoreTimeout})
	sender, err := awsSender(c, credentials)
	if err != nil {
		return nil, err
	}
	return New(Parts{
		Config: c, Table: t, Ring: ring, Sender: sender, Logger: m.Logger, Now: m.Now, Random: m.Random,
	})
}

// awsSender sends text messages through SNS and mail through SES. Without a sender
// address there is no mail.
func awsSender(c config.Config, credentials aws.Config) (notify.Router, error) {
	texts, err := notifysns.New(
		sns.NewFromConfig(credentials, func(o *sns.Options) { o.BaseEndpoint = endpoint(c.SNSEndpoint) }),
		notifysns.Options{SenderID: c.SMS.SenderID, OriginationNumber: c.SMS.OriginationNumber, MaxPrice: c.SMS.MaxPrice},
	)
	if err != nil {
		return notify.Router{}, fmt.Errorf("STEPUP_SMS_*: %w", err)
	}
	router := notify.Router{SMS: texts}
	if c.Mail.From == "" {
		return router, nil
	}
	router.Email, err = notifyses.New(
		sesv2.NewFromConfig(credentials, func(o *sesv2.Options) { o.BaseEndpoint = endpoint(c.SESEndpoint) }),
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

// keyringTimeout bounds the fetch of the keys, which happens while a function
// starts and must not use up the time that starting may take.
const keyringTimeout = 3 * time.Second

// OpenKeyring reads the master keys from where the configuration says.
func OpenKeyring(ctx context.Context, c config.Config, credentials aws.Config) (*keyring.Ring, error) {
	text, err := keyringText(ctx, c, credentials)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_KEYRING: %w", err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_KEYRING: %w", err)
	}
	return ring, nil
}

func keyringText(ctx context.Context, c config.Config, credentials aws.Config) ([]byte, error) {
	if c.Keyring == "" {
		return nil, errors.New("is empty")
	}
	if path, ok := strings.CutPrefix(c.Keyring, "file:"); ok {
		return os.ReadFile(path)
	}
	ctx, cancel := context.WithTimeout(ctx, keyringTimeout)
	defer cancel()
	client := secretsmanager.NewFromConfig(credentials, func(o *secretsmanager.Options) {
		o.BaseEndpoint = endpoint(c.SecretsEndpoint)
	})
	secret, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.Keyring})
	if err != nil {
		return nil, fmt.Errorf("fetch the secret: %w", err)
	}
	if secret.SecretString != nil {
		return []byte(*secret.SecretString), nil
	}
	return secret.SecretBinary, nil
}
