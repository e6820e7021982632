// Command health is a deployed gRPC health service, for the test that runs the adapter
// under the real Lambda runtime.
package main

import (
	"net/http"

	"connectrpc.com/grpchealth"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle(grpchealth.NewHandler(grpchealth.NewStaticChecker("stepup")))
	lambda.Start(apigw.New(mux, apigw.Options{}))
}
