// Command api is the Lambda function behind the HTTP API: every synchronous route.
package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
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
	fit(os.LookupEnv)
	ambient := app.Ambient{
		Logger: logger, Metrics: os.Stdout, Now: time.Now, Random: rand.Reader, SignedBy: apigw.SignedBy,
	}
	a, err := app.OnAWS(context.Background(), c, sdk.Config(c.Region, os.LookupEnv), ambient)
	if err != nil {
		stop(logger, err)
	}
	lambda.Start(apigw.New(a.Handler, apigw.Options{Log: logger, Refused: a.Refused}))
}

// fit makes the Go runtime use what a function of this memory has, in megabytes; nothing
// changes where that is unknown.
func fit(lookup config.Lookup) {
	size, _ := lookup("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
	megabytes, err := strconv.Atoi(size)
	if err != nil || megabytes < 1 {
		return
	}
	collectSeldom(megabytes)
	runtime.GOMAXPROCS(min(processors(megabytes), runtime.GOMAXPROCS(0)))
}

// collectSeldom lets garbage grow to four times what is in use before it is collected, so that
// the first collection comes after the first calls and not during the start: some 6 MB are in
// use, and the processor was bought with memory that would lie idle. A hash uses 19 MB more, so
// three quarters of the memory are a limit from which on collections come sooner.
func collectSeldom(megabytes int) {
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(int64(megabytes) << 20 / 4 * 3)
}

// processors returns how many processors the memory comes with: one for each 1,769 MB, which
// AWS gives as the equivalent of one vCPU ("Configure Lambda function memory" in the Lambda
// developer guide), and a part of one for a part. The machine shows two even to a function
// that may use a third of one; threads on both would only wake each other and hand work over.
func processors(megabytes int) int {
	const each = 1769
	return (megabytes + each - 1) / each
}

func stop(logger *slog.Logger, err error) {
	logger.Error("start failed", "error", err.Error())
	os.Exit(1)
}
