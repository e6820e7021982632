package eventbridgetest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
)

const good = `{"EventBusName":"auth","Source":"stepup","DetailType":"user.locked","Detail":"{}","Time":1.5}`

// entries is a request with n good entries.
func entries(n int) string {
	return fmt.Sprintf(`{"Entries":[%s]}`, strings.Join(strings.Fields(strings.Repeat(good+" ", n)), ","))
}

// TestServerTakesOnlyWhatEventBridgeTakes spoils a request that the server takes. The
// adapter's tests show what the real client sends.
func TestServerTakesOnlyWhatEventBridgeTakes(t *testing.T) {
	t.Parallel()
	const authorization, target = "Authorization", "X-Amz-Target"
	for name, tc := range map[string]struct {
		body, header, value string
		want                string
		taken               int
	}{
		"ten":                      {entries(10), "", "", `"FailedEntryCount":0`, 10},
		"eleven":                   {entries(11), "", "", "ValidationException", 0},
		"none":                     {entries(0), "", "", "ValidationException", 0},
		"too much":                 {strings.Replace(entries(1), `"{}"`, `"`+strings.Repeat("x", 256<<10)+`"`, 1), "", "", "ValidationException", 0},
		"no JSON":                  {"{", "", "", "SerializationException", 0},
		"detail that is no object": {strings.Replace(entries(2), `"{}"`, `"7"`, 1), "", "", "MalformedDetail", 1},
		"no source":                {strings.Replace(entries(2), `"stepup"`, `""`, 1), "", "", "InvalidArgument", 1},
		"unsigned":                 {entries(1), authorization, "", "MissingAuthenticationTokenException", 0},
		"another call":             {entries(1), target, "AWSEvents.PutRule", "UnknownOperationException", 0},
		"signed for another": {
			entries(1), authorization, "AWS4-HMAC-SHA256 Credential=test/20260102/eu-west-1/sns/aws4_request, SignedHeaders=host, Signature=00",
			"MissingAuthenticationTokenException", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := eventbridgetest.Start(t)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set(target, "AWSEvents.PutEvents")
			r.Header.Set(authorization, "AWS4-HMAC-SHA256 Credential=test/20260102/eu-west-1/events/aws4_request, SignedHeaders=host, Signature=00")
			if tc.header != "" {
				r.Header.Set(tc.header, tc.value)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(answer), tc.want) || len(s.Events()) != tc.taken || s.Requests() != 1 {
				t.Errorf("answer = %s with %d events, want %s with %d", answer, len(s.Events()), tc.want, tc.taken)
			}
		})
	}
}
