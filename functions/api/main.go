// Command api is the Lambda function behind the HTTP API: every synchronous route.
package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/sdk"
)

func main() {
	var level slog.LevelVar
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: &level}))
	c, err := config.Load(os.LookupEnv)
	if err != nil {
		stop(logger, err)
	}
	level.Set(c.LogLevel)
	ambient := app.Ambient{
		Logger: logger, Metrics: os.Stdout, Now: time.Now, Random: rand.Reader, SignedBy: apigw.SignedBy,
	}
	a, err := app.OnAWS(context.Background(), c, sdk.Config(c.Region, os.LookupEnv), ambient)
	if err != nil {
		stop(logger, err)
	}
	lambda.Start(apigw.New(a.Handler, apigw.Options{Log: logger, Refused: a.Refused}))
}

func stop(logger *slog.Logger, err error) {
	logger.Error("start failed", "error", err.Error())
	os.Exit(1)
}
