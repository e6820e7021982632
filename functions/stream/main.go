// Command stream is the Lambda function behind the table's stream: it turns changes of
// sessions and users into lifecycle events on EventBridge.
package main

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sdk"
	"github.com/stepup-auth/stepup/pkg/stream"
)

func main() {
	var level slog.LevelVar
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: &level}))
	c, err := config.LoadStream(os.LookupEnv)
	if err != nil {
		stop(logger, err)
	}
	level.Set(c.LogLevel)
	client := eventbridge.NewClient(sdk.Config(c.Region, os.LookupEnv), c.EventBridgeEndpoint)
	bus, err := eventbridge.New(client, eventbridge.Options{Bus: c.EventBus, Jitter: retry.Jitter(rand.Reader)})
	if err != nil {
		stop(logger, fmt.Errorf("STEPUP_EVENT_BUS: %w", err))
	}
	lambda.Start(stream.New(bus, stream.Options{Log: logger, Metrics: os.Stdout, Now: time.Now}))
}

func stop(logger *slog.Logger, err error) {
	logger.Error("start failed", "error", err.Error())
	os.Exit(1)
}
