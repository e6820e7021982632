package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// invoker is the part of Lambda that a trial needs.
type invoker interface {
	Invoke(ctx context.Context, in *awslambda.InvokeInput, opts ...func(*awslambda.Options)) (*awslambda.InvokeOutput, error)
}

// version is the version of the function api that is on trial.
type version struct {
	arn    string
	client invoker
}

// send hands the version the event that API Gateway would make of the call.
func (v *version) send(ctx context.Context, c call) (answer, error) {
	payload, err := json.Marshal(event(c))
	if err != nil {
		return answer{}, err
	}
	out, err := v.client.Invoke(ctx, &awslambda.InvokeInput{FunctionName: &v.arn, Payload: payload})
	if err != nil {
		return answer{}, err
	}
	if out.FunctionError != nil {
		return answer{}, fmt.Errorf("the function ended with an error: %s", out.Payload)
	}
	return read(out.Payload)
}

// event returns the call in payload format 2.0.
func event(c call) events.APIGatewayV2HTTPRequest {
	e := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: c.path, Body: c.body,
		Headers: map[string]string{"content-type": "application/json", "user-agent": "stepup-smoke"},
	}
	if c.key != "" {
		e.Headers["authorization"] = "Bearer " + c.key
	}
	e.RequestContext.Stage, e.RequestContext.DomainName = "$default", "smoke.invalid"
	e.RequestContext.HTTP = events.APIGatewayV2HTTPRequestContextHTTPDescription{
		Method: c.method, Path: c.path, Protocol: "HTTP/1.1", SourceIP: "127.0.0.1", UserAgent: "stepup-smoke",
	}
	return e
}

func read(payload []byte) (answer, error) {
	var out events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &out); err != nil {
		return answer{}, fmt.Errorf("the answer is none for API Gateway: %w", err)
	}
	if !out.IsBase64Encoded {
		return answer{out.StatusCode, out.Body}, nil
	}
	body, err := base64.StdEncoding.DecodeString(out.Body)
	return answer{out.StatusCode, string(body)}, err
}

// secretReader is the part of Secrets Manager that a trial needs.
type secretReader interface {
	GetSecretValue(
		ctx context.Context, in *secretsmanager.GetSecretValueInput, opts ...func(*secretsmanager.Options),
	) (*secretsmanager.GetSecretValueOutput, error)
}

// apiKey is the key of the trial.
type apiKey struct {
	secret string
	client secretReader
}

// read returns the key; it is empty when nobody has put one into the secret yet.
func (k *apiKey) read(ctx context.Context) (string, error) {
	out, err := k.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &k.secret})
	if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the API key for trials: %w", err)
	}
	if out.SecretString == nil {
		return "", nil
	}
	return strings.TrimSpace(*out.SecretString), nil
}
