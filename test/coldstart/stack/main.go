// Command stack is a function of the libraries that this service is built on, and of nothing
// else: the Runtime API, the generated code of the session service with its two ways to serve it,
// the clients of AWS, WebAuthn's messages, and a secret that is fetched before the first event.
// Nothing is decided, stored or sent; that is what api has beside it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/stepup-auth/stepup/pkg/apigw"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/sdk"
)

func main() {
	handler, err := build(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack:", err)
		os.Exit(1)
	}
	lambda.Start(apigw.New(handler, apigw.Options{}))
}

// build fetches the secret and sets the libraries up.
func build(ctx context.Context) (http.Handler, error) {
	c := sdk.Config(os.Getenv("AWS_REGION"), os.LookupEnv)
	secrets := secretsmanager.NewFromConfig(c, func(o *secretsmanager.Options) {
		o.BaseEndpoint = new(os.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"))
	})
	if _, err := secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: new("keyring")}); err != nil {
		return nil, err
	}
	s := service{table: dynamodb.NewFromConfig(c), texts: sns.NewFromConfig(c), mails: sesv2.NewFromConfig(c)}
	rest := runtime.NewServeMux()
	if err := sessionv2.RegisterSessionServiceHandlerServer(ctx, rest, s); err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			rest.ServeHTTP(w, r)
			return
		}
		_, rpc := sessionv2connect.NewSessionServiceHandler(s) // made on demand, as api does
		rpc.ServeHTTP(w, r)
	}), nil
}

// service is the session service with one method, which is never called.
type service struct {
	sessionv2.UnimplementedSessionServiceServer

	table *dynamodb.Client
	texts *sns.Client
	mails *sesv2.Client
}

// SetSession makes each request that api makes, so that the linker keeps what they need.
func (s service) SetSession(ctx context.Context, in *sessionv2.SetSessionRequest) (*sessionv2.SetSessionResponse, error) {
	_, get := s.table.GetItem(ctx, &dynamodb.GetItemInput{})
	_, batch := s.table.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{})
	_, query := s.table.Query(ctx, &dynamodb.QueryInput{})
	_, put := s.table.PutItem(ctx, &dynamodb.PutItemInput{})
	_, update := s.table.UpdateItem(ctx, &dynamodb.UpdateItemInput{})
	_, remove := s.table.DeleteItem(ctx, &dynamodb.DeleteItemInput{})
	_, transact := s.table.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{})
	_, text := s.texts.Publish(ctx, &sns.PublishInput{})
	_, mail := s.mails.SendEmail(ctx, &sesv2.SendEmailInput{})
	_, made := protocol.ParseCredentialCreationResponseBytes([]byte(in.GetSessionId()))
	_, used := protocol.ParseCredentialRequestResponseBytes([]byte(in.GetSessionId()))
	return nil, errors.Join(get, batch, query, put, update, remove, transact, text, mail, made, used)
}
