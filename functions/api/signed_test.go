package main_test

import (
	"net/http"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

const (
	sts = "arn:aws:sts::123456789012:"
	// loginSession is a session of apitest.SignerARN, as STS names it: without the path.
	loginSession = sts + "assumed-role/login/ci"
)

// signature is what a client sends who signs with AWS credentials.
func signature() map[string]string {
	return map[string]string{
		"authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/execute-api/aws4_request, " +
			"SignedHeaders=host;x-amz-date, Signature=00",
		"x-amz-date": "20261123T120000Z",
	}
}

// verified adds the identity behind a signature, as the IAM authorizer found it.
func verified(arn string) func(*events.APIGatewayV2HTTPRequest) {
	return func(e *events.APIGatewayV2HTTPRequest) {
		id := "AROAEXAMPLE:" + arn[strings.LastIndexByte(arn, '/')+1:]
		e.RequestContext.Authorizer = &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
			IAM: &events.APIGatewayV2HTTPRequestContextAuthorizerIAMDescription{
				AccessKey: "AKIDEXAMPLE", AccountID: strings.Split(arn, ":")[4], CallerID: id, UserID: id, UserARN: arn,
			},
		}
	}
}

// signedRequests has what API Gateway makes of signed requests, and of those that only
// look signed.
func signedRequests() []request {
	return []request{
		{
			file: "iam-caller", method: http.MethodGet, path: sessionPath, header: signature(), edit: verified(loginSession),
			status: http.StatusOK, want: `"sequence"`,
		},
		{
			// One whom API Gateway lets through, and to whom no role is given.
			file: "iam-stranger", method: http.MethodGet, path: sessionPath, header: signature(),
			edit:   verified(sts + "assumed-role/unknown/ci"),
			status: http.StatusForbidden, want: "AUTH-AWfge",
		},
		{
			file: "iam-other-account", method: http.MethodGet, path: sessionPath, header: signature(),
			edit:   verified("arn:aws:sts::210987654321:assumed-role/login/ci"),
			status: http.StatusForbidden, want: "AUTH-AWfge",
		},
		{
			// A key that is good, and a signature in the query that is good too.
			file: "iam-and-key", method: http.MethodGet, path: sessionPath + "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00",
			edit:   verified(loginSession),
			status: http.StatusUnauthorized, want: "AUTH-toLo1",
		},
		{
			// What comes of it at the API that asks for no signature, and so verifies none.
			file: "iam-elsewhere", method: http.MethodGet, path: sessionPath, header: signature(),
			status: http.StatusUnauthorized, want: "AUTH-toLo1",
		},
		{
			// Names under which gateways pass identities on, sent by a client.
			file: "iam-claimed", method: http.MethodGet, path: sessionPath + "?userArn=" + loginSession,
			header: map[string]string{
				"authorization": "", "x-amzn-iam-user-arn": loginSession, "x-amzn-request-context": `{"authorizer":{"iam":{"userArn":"` + loginSession + `"}}}`,
				"requestcontext.authorizer.iam.userarn": loginSession,
			},
			status: http.StatusUnauthorized, want: "auth header missing",
		},
	}
}
