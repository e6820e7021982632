package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

const (
	loginRole    = "arn:aws:iam::123456789012:role/login"
	loginSession = "arn:aws:sts::123456789012:assumed-role/login/ada@example.com"
	stranger     = "arn:aws:sts::123456789012:assumed-role/unknown/ada@example.com"
	viewer       = "arn:aws:iam::123456789012:user/viewer"

	awsHeader = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=00ff"

	noHeader  = "auth header missing"
	badHeader = "invalid auth header (AUTH-toLo1)"
	forbidden = "No matching permissions found (AUTH-AWfge)"
)

// behindGateway starts a service with something in front that verified a signature of
// the ARN, whatever the request.
func behindGateway(t *testing.T, arn string) restClient {
	t.Helper()
	return newREST(t, apptest.Options{
		Env:      map[string]string{"STEPUP_IAM_ROLES": "arn:aws:iam::123456789012:role/service/login=IAM_LOGIN_CLIENT;" + viewer + "=IAM_OWNER_VIEWER"},
		SignedBy: func(*http.Request) (string, bool) { return arn, true },
	})
}

func TestASignedRequestHasOneCredential(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, arn, header string
		status            int
		message           string
	}{
		{"signed in the header", loginSession, awsHeader, 200, ""},
		{"signed in the header, without spaces", loginSession, strings.ReplaceAll(awsHeader, ", ", ","), 200, ""},
		{"signed for several regions", loginSession, strings.Replace(awsHeader, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1), 200, ""},
		{"signed in the query", loginSession, "", 200, ""},
		{"a key instead of the signature", loginSession, "Bearer {key}", 401, badHeader},
		{"a key and no role", stranger, "Bearer {key}", 401, badHeader},
		{"a key after the signature", loginSession, awsHeader + ",Bearer {key}", 401, badHeader},
		{"a key before the signature", loginSession, "Bearer {key}," + awsHeader, 401, badHeader},
		{"garbage as a key", loginSession, "Bearer garbage", 401, badHeader},
		{"another scheme", loginSession, "Basic {key}", 401, badHeader},
		{"a scheme that only begins so", loginSession, "AWS4-Bearer {key}", 401, badHeader},
		{"no role", stranger, awsHeader, 403, forbidden},
		{"no role, signed in the query", stranger, "", 403, forbidden},
		{"nobody's ARN", "", awsHeader, 403, forbidden},
		{"garbage for an ARN", "garbage", awsHeader, 403, forbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := behindGateway(t, tc.arn)
			made := c.create(t, session.Create{})
			got := send(c.Handler, request("GET", "/v2/sessions/"+made.SessionID, "", "Authorization", names{"key": c.key}.fill(tc.header)))
			if message := got.refusal(t).Message; got.status != tc.status || message != tc.message {
				t.Errorf("got %d %q, want %d %q", got.status, message, tc.status, tc.message)
			}
		})
	}
}

func TestASignatureCountsOnEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			c := behindGateway(t, loginSession)
			made := c.create(t, session.Create{})
			got := p.dial(t, endpoint{c.Serve(t), ""}).call(t, &sessionv2.GetSessionRequest{SessionId: made.SessionID})
			if r, ok := got.(*sessionv2.GetSessionResponse); !ok || r.GetSession().GetId() != made.SessionID {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestASignerWithoutARoleLearnsNoRules(t *testing.T) {
	t.Parallel()
	want := refusal(codes.PermissionDenied, "AUTH-AWfge", "No matching permissions found")
	carry := protocols()[2].dial(t, endpoint{behindGateway(t, stranger).Serve(t), ""})
	eachMethod(t, func(t *testing.T, request proto.Message) {
		if diff := cmp.Diff(proto.Message(want), carry.call(t, request), protocmp.Transform()); diff != "" {
			t.Errorf("outcome (-want +got):\n%s", diff)
		}
	})
}

func TestASignerHasTheRightsOfTheirRoleAndNoMore(t *testing.T) {
	t.Parallel()
	c := behindGateway(t, viewer)
	made := c.create(t, session.Create{})
	read := send(c.Handler, request("GET", "/v2/sessions/"+made.SessionID, ""))
	write := send(c.Handler, request("POST", "/v2/sessions", "{}"))
	if read.status != http.StatusOK || write.status != http.StatusForbidden || write.refusal(t).Message != forbidden {
		t.Errorf("read: %d %s, write: %d %s", read.status, read.body, write.status, write.body)
	}
}

func TestWhatASignerMadeIsTheirRolesAndTheLogSaysSo(t *testing.T) {
	t.Parallel()
	c := behindGateway(t, loginSession)
	if made := send(c.Handler, request("POST", "/v2/sessions", "{}")); made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.body)
	}
	search := `{"queries": [{"creatorQuery": {"id": "` + loginRole + `"}}]}`
	found := c.do("POST", "/v2/sessions/search", search, "Authorization", "")
	if !strings.Contains(found.body, `"totalResult":"1"`) {
		t.Errorf("sessions of the role: %s", found.body)
	}
	if log := c.Logs.String(); !strings.Contains(log, `"caller":"`+loginRole+`"`) || strings.Contains(log, "ada@example.com") {
		t.Errorf("log:\n%s", log)
	}
}

func TestTheLogSaysWhoseSignatureHadNoRole(t *testing.T) {
	t.Parallel()
	c := behindGateway(t, stranger)
	send(c.Handler, request("POST", "/v2/sessions", "{}"))
	if log := c.Logs.String(); !strings.Contains(log, "arn:aws:iam::123456789012:role/unknown") || strings.Contains(log, "ada@example.com") {
		t.Errorf("log:\n%s", log)
	}
}

// identityHeaders are what somebody might try, who has read how gateways pass identities on.
func identityHeaders() []string {
	var headers []string
	for _, name := range []string{
		"X-Amzn-Iam-User-Arn", "X-Amz-User-Arn", "X-Amzn-Oidc-Identity", "X-Amzn-Requestcontext", "X-Amzn-Request-Context", "X-Apigateway-Event",
		"X-Apigateway-Context", "Userarn", "Calleridentity", "Requestcontext.Authorizer.Iam.Userarn", "Signer", "Signed-By",
	} {
		headers = append(headers, name, loginSession)
	}
	return headers
}

func TestWithoutAGatewayNoRequestIsSigned(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{Env: map[string]string{"STEPUP_IAM_ROLES": loginRole + "=IAM_OWNER"}})
	for authorization, want := range map[string]string{"": noHeader, awsHeader: badHeader, "Bearer " + loginSession: "Errors.Token.Invalid (AUTH-7fs1e)"} {
		headers := append(identityHeaders(), "Authorization", authorization)
		got := send(c.Handler, request("POST", "/v2/sessions?userArn="+loginSession+"&X-Amz-Signature=00", "{}", headers...))
		if message := got.refusal(t).Message; got.status != http.StatusUnauthorized || message != want {
			t.Errorf("%q: got %d %q, want %q", authorization, got.status, message, want)
		}
	}
}

func TestHeadersDoNotChangeWhoSigned(t *testing.T) {
	t.Parallel()
	c := behindGateway(t, stranger)
	got := send(c.Handler, request("POST", "/v2/sessions", "{}", append(identityHeaders(), "Authorization", awsHeader)...))
	if message := got.refusal(t).Message; got.status != http.StatusForbidden || message != forbidden {
		t.Errorf("got %d %q", got.status, message)
	}
}
