package main_test

import (
	"net/http"
	"strings"
	"testing"
)

// Nothing in front of these commands verifies a signature, so none may count: a request
// that looks signed is not even told that its signer has no role, which would be 403.
func TestNoCommandTakesASignatureForACaller(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::123456789012:user/ops"
	_, served := serving(t, t.TempDir())
	_, developed := developing(t, t.TempDir())
	for _, url := range []string{served, developed} {
		for _, authorization := range []string{"", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=00"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v2/sessions", strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Amzn-Iam-User-Arn", arn)
			r.Header.Set("X-Amzn-Request-Context", `{"authorizer":{"iam":{"userArn":"`+arn+`"}}}`)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s, %q: %d, %v", url, authorization, response.StatusCode, err)
			}
		}
	}
}
