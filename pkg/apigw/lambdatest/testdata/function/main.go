// Command function is the Lambda that the tests of package lambdatest run. The
// variable MODE says how its init goes, and the event's field "do" how it is served.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type event struct {
	Do   string `json:"do"`
	Text string `json:"text"`
}

type answer struct {
	Text       string `json:"text"`
	RequestID  string `json:"requestId"`
	ARN        string `json:"arn"`
	TraceID    string `json:"traceId"`
	DeadlineMS int64  `json:"deadlineMs"`
}

func main() {
	switch os.Getenv("MODE") {
	case "panic":
		panic("no table configured")
	case "exit":
		slog.New(slog.NewJSONHandler(os.Stderr, nil)).Error("start failed", "variable", "STEPUP_TABLE")
		os.Exit(3)
	case "report":
		report()
		os.Exit(1)
	case "hang":
		time.Sleep(time.Hour)
	}
	fmt.Println("ready")
	lambda.StartWithOptions(handle, lambda.WithEnableSIGTERM(func() {
		fmt.Println("flushed")
		os.Exit(0)
	}))
}

// report tells the Runtime API that the init failed.
func report() {
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	resp, err := http.Post(url, "application/json", strings.NewReader(`{"errorType":"ConfigError","errorMessage":"bad key"}`))
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
}

func handle(ctx context.Context, e event) (answer, error) {
	switch e.Do {
	case "fail":
		return answer{}, errors.New("out of order")
	case "panic":
		panic("nil map")
	case "hang":
		time.Sleep(time.Hour)
	case "large":
		return answer{Text: strings.Repeat("x", 7<<20)}, nil
	case "env":
		return answer{Text: strings.Join(os.Environ(), "\n")}, nil
	}
	fmt.Fprintln(os.Stderr, "serving", e.Text)
	lc, _ := lambdacontext.FromContext(ctx)
	deadline, _ := ctx.Deadline()
	trace, _ := ctx.Value("x-amzn-trace-id").(string)
	return answer{
		Text: e.Text, RequestID: lc.AwsRequestID, ARN: lc.InvokedFunctionArn,
		TraceID: trace, DeadlineMS: deadline.UnixMilli(),
	}, nil
}
