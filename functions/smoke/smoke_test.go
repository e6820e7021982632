package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

const (
	smoke   = "github.com/stepup-auth/stepup/functions/smoke"
	version = "arn:aws:lambda:us-east-1:123456789012:function:api:7"
	secret  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:smoke-key"
	event   = `{"DeploymentId":"d-1","LifecycleEventHookExecutionId":"hook-1"}`
)

// lambdaTimeout leaves two seconds for a trial before the time that is kept for its report.
const lambdaTimeout = 12 * time.Second

// cloud plays Lambda, Secrets Manager and CodeDeploy for one trial.
type cloud struct {
	// version serves an event as the version on trial would.
	version func(ctx context.Context, event []byte) ([]byte, error)
	// key is the value of the secret; without one Secrets Manager answers keyProblem.
	key        string
	keyProblem string
	// refuses makes CodeDeploy refuse the report.
	refuses bool

	mu      sync.Mutex
	calls   []string
	reports []map[string]string
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions/"+version+"/invocations"):
		c.invoke(r.Context(), w, body)
	case target == "secretsmanager.GetSecretValue":
		c.secret(w)
	case target == "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus":
		c.report(w, body)
	default:
		http.Error(w, "unexpected", http.StatusTeapot)
	}
}

func (c *cloud) invoke(ctx context.Context, w http.ResponseWriter, event []byte) {
	var request struct {
		RawPath        string
		RequestContext struct{ HTTP struct{ Method string } }
	}
	_ = json.Unmarshal(event, &request)
	c.calls = append(c.calls, request.RequestContext.HTTP.Method+" "+request.RawPath)
	answer, err := c.version(ctx, event)
	if err != nil {
		w.Header().Set("X-Amz-Function-Error", "Unhandled")
		answer = []byte(`{"errorMessage":"broken"}`)
	}
	_, _ = w.Write(answer)
}

func (c *cloud) secret(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if c.key == "" {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"`+c.keyProblem+`","Message":"no"}`)
		return
	}
	_, _ = io.WriteString(w, `{"Name":"smoke-key","SecretString":"`+c.key+`\n"}`)
}

func (c *cloud) report(w http.ResponseWriter, body []byte) {
	var report map[string]string
	_ = json.Unmarshal(body, &report)
	c.reports = append(c.reports, report)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if c.refuses {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"__type":"LifecycleEventAlreadyCompletedException","message":"over"}`)
		return
	}
	_, _ = io.WriteString(w, `{"lifecycleEventHookExecutionId":"hook-1"}`)
}

// trial runs the function on one event of CodeDeploy, and returns what it logged.
func trial(t *testing.T, c *cloud) (log string, err error) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
		Binary: builds.Binary(t, smoke),
		Env: []string{
			"STEPUP_SMOKE_VERSION=" + version, "STEPUP_SMOKE_KEY=" + secret,
			"AWS_ENDPOINT_URL_LAMBDA=" + server.URL, "AWS_ENDPOINT_URL_CODEDEPLOY=" + server.URL,
			"AWS_ENDPOINT_URL_SECRETS_MANAGER=" + server.URL,
			"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		},
		Timeout: lambdaTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Invoke(t.Context(), []byte(event))
	if stopped := p.Stop(); stopped != nil {
		t.Error(stopped)
	}
	if strings.Contains(p.Stdout(), apitest.APIKey) || strings.Contains(p.Stderr(), apitest.APIKey) {
		t.Error("the API key is in the log")
	}
	return p.Stdout(), err
}

// deployed is the real function api on a table of its own.
func deployed(t *testing.T) func(context.Context, []byte) ([]byte, error) {
	t.Helper()
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
		Binary: builds.Binary(t, apitest.Package), Env: apitest.Deploy(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p.Invoke
}

// reported checks that CodeDeploy was told once, and what.
func reported(t *testing.T, c *cloud, status string) {
	t.Helper()
	want := []map[string]string{{"deploymentId": "d-1", "lifecycleEventHookExecutionId": "hook-1", "status": status}}
	if diff := cmp.Diff(want, c.reports); diff != "" {
		t.Errorf("reports:\n%s", diff)
	}
}

func TestGoodVersionPassesWithASessionThatIsOverAfterwards(t *testing.T) {
	t.Parallel()
	c := &cloud{version: deployed(t), key: apitest.APIKey}
	if _, err := trial(t, c); err != nil {
		t.Fatal(err)
	}
	reported(t, c, "Succeeded")
	if len(c.calls) != 5 || !strings.HasPrefix(c.calls[3], "GET /v2/sessions/") {
		t.Fatalf("calls = %q", c.calls)
	}
	session := strings.TrimPrefix(c.calls[3], "GET")
	want := []string{"GET /debug/healthz", "POST /v2/sessions", "POST /v2/sessions", "GET" + session, "DELETE" + session}
	if diff := cmp.Diff(want, c.calls); diff != "" {
		t.Errorf("calls:\n%s", diff)
	}
}

func TestWithoutAKeyTheTrialEndsBeforeTheTableAndSaysSo(t *testing.T) {
	t.Parallel()
	c := &cloud{version: deployed(t), keyProblem: "ResourceNotFoundException"}
	log, err := trial(t, c)
	if err != nil {
		t.Fatal(err)
	}
	reported(t, c, "Succeeded")
	if len(c.calls) != 2 || !strings.Contains(log, "the table was not tried") {
		t.Errorf("calls = %q, log:\n%s", c.calls, log)
	}
}

func TestBadVersionIsReportedWithTheReasonInTheLog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cloud *cloud
		want  string // in the log
	}{
		"the function ends with an error": {
			&cloud{version: func(context.Context, []byte) ([]byte, error) { return nil, errors.New("broken") }},
			"GET /debug/healthz: the function ended with an error",
		},
		"the answer is none": {
			&cloud{version: answering(`"hello"`)}, "the answer is none for API Gateway",
		},
		"every call fails": {
			&cloud{version: answering(`{"statusCode":503,"body":""}`)}, "GET /debug/healthz: the answer has the status 503, not 200",
		},
		"a stranger gets in": {
			&cloud{version: answering(`{"statusCode":200,"body":"ok"}`)}, "POST /v2/sessions: the answer has the status 200, not 401",
		},
		"the key opens nothing": {
			&cloud{version: deployed(t), key: "stepup_forged"}, "POST /v2/sessions: the answer has the status 401, not 201",
		},
		"the key may not be read": {
			&cloud{version: deployed(t), keyProblem: "AccessDeniedException"}, "read the API key for trials",
		},
		"the new session has no id": {
			&cloud{version: sequence(200, 401, 201), key: apitest.APIKey}, "the answer has no sessionId",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, err := trial(t, tc.cloud)
			if err != nil {
				t.Fatal(err)
			}
			reported(t, tc.cloud, "Failed")
			if !strings.Contains(log, `"trial failed"`) || !strings.Contains(log, tc.want) {
				t.Errorf("want %q in the log:\n%s", tc.want, log)
			}
		})
	}
}

func answering(answer string) func(context.Context, []byte) ([]byte, error) {
	return func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil }
}

// sequence answers with one status after the other, in base64.
func sequence(statuses ...int) func(context.Context, []byte) ([]byte, error) {
	return func(context.Context, []byte) ([]byte, error) {
		status := statuses[0]
		statuses = slices.Delete(statuses, 0, 1)
		return json.Marshal(map[string]any{"statusCode": status, "body": "e30=", "isBase64Encoded": true})
	}
}

func TestReportThatDoesNotArriveIsAnError(t *testing.T) {
	t.Parallel()
	c := &cloud{version: deployed(t), key: apitest.APIKey, refuses: true}
	_, err := trial(t, c)
	var failed *lambdatest.FunctionError
	if !errors.As(err, &failed) || !strings.Contains(failed.Message, "report Succeeded to CodeDeploy") {
		t.Errorf("err = %v", err)
	}
}

func TestVersionThatHangsIsReportedInTime(t *testing.T) {
	t.Parallel()
	c := &cloud{version: func(ctx context.Context, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	if _, err := trial(t, c); err != nil {
		t.Fatal(err)
	}
	reported(t, c, "Failed")
}

func TestMissingVariablesStopTheStartByName(t *testing.T) {
	t.Parallel()
	var stdout bytes.Buffer
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
		Binary: builds.Binary(t, smoke), Env: []string{"STEPUP_SMOKE_KEY=" + secret, "AWS_REGION="}, Stdout: &stdout,
	})
	if err == nil {
		t.Fatalf("the function starts; stopping it: %v", p.Stop())
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("err = %v, want exit status 1", err)
	}
	line := stdout.String()
	for _, want := range []string{"start failed", "STEPUP_SMOKE_VERSION: is empty", "AWS_REGION: is empty"} {
		if !strings.Contains(line, want) {
			t.Errorf("want %q in %s", want, line)
		}
	}
	if strings.Contains(line, "STEPUP_SMOKE_KEY") {
		t.Errorf("a variable that is set is named in %s", line)
	}
}
