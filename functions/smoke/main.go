// Command smoke is the Lambda function that CodeDeploy calls before a new version of the
// function api gets traffic: it sends the version some requests and tells CodeDeploy
// whether the answers are right.
package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/stepup-auth/stepup/pkg/sdk"
)

// reserve is kept back from the function's time to tell CodeDeploy how it went: without
// a word CodeDeploy waits for an hour.
const reserve = 10 * time.Second

func main() {
	logger := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	s, err := load(os.LookupEnv)
	if err != nil {
		logger.Error("start failed", "error", err.Error())
		os.Exit(1)
	}
	credentials := sdk.Config(s.region, os.LookupEnv)
	version := &version{
		arn:    s.version,
		client: awslambda.NewFromConfig(credentials, func(o *awslambda.Options) { o.BaseEndpoint = s.lambdaEndpoint }),
	}
	key := &apiKey{
		secret: s.key,
		client: secretsmanager.NewFromConfig(credentials, func(o *secretsmanager.Options) { o.BaseEndpoint = s.secretsEndpoint }),
	}
	h := &hook{
		client: codedeploy.NewFromConfig(credentials, func(o *codedeploy.Options) { o.BaseEndpoint = s.codeDeployEndpoint }),
		try:    func(ctx context.Context) error { return try(ctx, version.send, key.read, logger) },
		log:    logger,
	}
	lambda.Start(h.handle)
}
