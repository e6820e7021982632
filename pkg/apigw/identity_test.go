package apigw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

func TestSignedByIsTheWordOfTheIAMAuthorizer(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::123456789012:user/ops"
	type authorizer = events.APIGatewayV2HTTPRequestContextAuthorizerDescription
	for name, tc := range map[string]struct {
		authorizer *authorizer
		arn        string
		ok         bool
	}{
		"no authorizer":      {nil, "", false},
		"another authorizer": {&authorizer{JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{Claims: map[string]string{"userArn": arn}}}, "", false},
		"a function":         {&authorizer{Lambda: map[string]any{"iam": map[string]any{"userArn": arn}}}, "", false},
		"IAM":                {&authorizer{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{UserARN: arn}}, arn, true},
		"IAM without an ARN": {&authorizer{IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got, ok := apigw.SignedBy(r); got != tc.arn || ok != tc.ok {
					t.Errorf("got %q, %v, want %q, %v", got, ok, tc.arn, tc.ok)
				}
			}), apigw.Options{})
			answer := invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) {
				e.RequestContext.Authorizer = tc.authorizer
				e.Headers["x-amzn-iam-user-arn"] = arn // a client's own word
				e.Headers["authorization"] = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE"
			}))
			if answer.StatusCode != http.StatusOK {
				t.Errorf("status %d", answer.StatusCode)
			}
		})
	}
	if got, ok := apigw.SignedBy(httptest.NewRequest(http.MethodGet, "/", http.NoBody)); got != "" || ok {
		t.Errorf("outside of a Handler: got %q, %v", got, ok)
	}
}
