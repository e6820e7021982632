package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/app"
)

// functionTimeout is the one of the API's function in template.yaml.
const functionTimeout = 10 * time.Second

// throughGateway turns each request into an event of API Gateway, serves that as the
// function does, and turns its answer back. Lambda does not tell a function that the
// client has gone, so the client's context stays outside.
func throughGateway(a *app.App) http.Handler {
	function := apigw.New(a.Handler, apigw.Options{Refused: a.Refused})
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
		},
		Transport: &lambdatest.Gateway{Invoke: func(ctx context.Context, event []byte) ([]byte, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), functionTimeout)
			defer cancel()
			return function.Invoke(ctx, event)
		}},
	}
}
