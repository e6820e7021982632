package lambdatest_test

import (
	"archive/zip"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

const function = "./testdata/function"

var builds lambdatest.Builds

func TestMain(m *testing.M) { os.Exit(builds.Run(m)) }

// answer is what the test function returns.
type answer struct {
	Text, RequestID, ARN, TraceID string
	DeadlineMS                    int64
}

func start(t *testing.T, opts lambdatest.Options) (*lambdatest.Process, error) {
	t.Helper()
	opts.Binary = builds.Binary(t, function)
	p, err := lambdatest.Start(context.Background(), opts)
	if err == nil {
		t.Cleanup(func() { _ = p.Stop() })
	}
	return p, err
}

func mustStart(t *testing.T, opts lambdatest.Options) *lambdatest.Process {
	t.Helper()
	p, err := start(t, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustInvoke(t *testing.T, p *lambdatest.Process, event string) answer {
	t.Helper()
	got, err := p.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("answer %q: %v", got, err)
	}
	return a
}

func TestInvokesAreServedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	ids := map[string]bool{}
	for _, text := range []string{"one", "two", "three"} {
		a := mustInvoke(t, p, `{"text":"`+text+`"}`)
		if a.Text != text {
			t.Errorf("answer to %q is for %q", text, a.Text)
		}
		if a.ARN != "arn:aws:lambda:us-east-1:123456789012:function:function" {
			t.Errorf("ARN = %q", a.ARN)
		}
		if !strings.HasPrefix(a.TraceID, "Root=1-") {
			t.Errorf("trace id = %q", a.TraceID)
		}
		ids[a.RequestID] = true
	}
	if len(ids) != 3 {
		t.Errorf("three invokes had the request ids %v", ids)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("Stop = %v", err)
	}
}

func TestConcurrentInvokesGetTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			text := fmt.Sprint(i)
			got, err := p.Invoke(t.Context(), []byte(`{"text":"`+text+`"}`))
			var a answer
			if err := errors.Join(err, json.Unmarshal(got, &a)); err != nil {
				t.Error(err)
			}
			if a.Text != text {
				t.Errorf("answer to %q is for %q", text, a.Text)
			}
		})
	}
	group.Wait()
}

func TestDeadlineReachesTheFunction(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{Timeout: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	want, _ := ctx.Deadline()
	got, err := p.Invoke(ctx, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if a.DeadlineMS != want.UnixMilli() {
		t.Errorf("deadline = %d, want that of the caller, %d", a.DeadlineMS, want.UnixMilli())
	}
	before := time.Now()
	a = mustInvoke(t, p, `{}`)
	if left := time.UnixMilli(a.DeadlineMS).Sub(before); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("without a deadline of the caller %v were left, want the timeout of 1h", left)
	}
}

func TestFunctionCanBeToldThatLittleTimeIsLeft(t *testing.T) {
	t.Parallel()
	before := time.Now()
	p := mustStart(t, lambdatest.Options{Timeout: time.Hour, Remaining: time.Minute})
	a := mustInvoke(t, p, `{}`)
	if left := time.UnixMilli(a.DeadlineMS).Sub(before); left < 59*time.Second || left > 2*time.Minute {
		t.Errorf("%v were left, want a minute of the hour", left)
	}
}

func TestReportedErrorIsReturnedAndTheProcessLivesOn(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	_, err := p.Invoke(t.Context(), []byte(`{"do":"fail"}`))
	var reported *lambdatest.FunctionError
	if !errors.As(err, &reported) {
		t.Fatalf("err = %v, want a FunctionError", err)
	}
	want := &lambdatest.FunctionError{Type: "errorString", Message: "out of order"}
	if diff := cmp.Diff(want, reported); diff != "" {
		t.Error(diff)
	}
	if a := mustInvoke(t, p, `{"text":"still here"}`); a.Text != "still here" {
		t.Errorf("answer = %q", a.Text)
	}
}

func TestPanicIsReportedAndEndsTheProcess(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	_, err := p.Invoke(t.Context(), []byte(`{"do":"panic"}`))
	var reported *lambdatest.FunctionError
	if !errors.As(err, &reported) || reported.Message != "nil map" {
		t.Fatalf("err = %v, want the reported panic", err)
	}
	var gone *lambdatest.ExitError
	if _, err := p.Invoke(t.Context(), []byte(`{}`)); !errors.As(err, &gone) {
		t.Errorf("next Invoke = %v, want an ExitError", err)
	}
	if err := p.Stop(); !errors.As(err, &gone) {
		t.Errorf("Stop = %v, want the ExitError of a process that died", err)
	}
}

func TestOversizedAnswerIsRefusedAsLambdaDoes(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	_, err := p.Invoke(t.Context(), []byte(`{"do":"large"}`))
	var reported *lambdatest.FunctionError
	if !errors.As(err, &reported) || reported.Type != "Function.ResponseSizeTooLarge" {
		t.Fatalf("err = %v, want Function.ResponseSizeTooLarge", err)
	}
}

func TestTimeoutEndsTheProcess(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{Timeout: 50 * time.Millisecond})
	_, err := p.Invoke(t.Context(), []byte(`{"do":"hang"}`))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err = %v, want a deadline exceeded", err)
	}
	if _, again := p.Invoke(t.Context(), []byte(`{}`)); !errors.Is(again, context.DeadlineExceeded) {
		t.Errorf("next Invoke = %v, want the reason of the end", again)
	}
}

func TestCanceledInvokeEndsTheProcess(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Invoke(ctx, []byte(`{"do":"hang"}`))
	if _, gone := errors.AsType[*lambdatest.ExitError](err); !gone {
		t.Fatalf("err = %v, want an ExitError", err)
	}
}

func TestFailedStartSaysWhy(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ mode, want string }{
		{"exit", `"msg":"start failed","variable":"STEPUP_TABLE"`},
		{"exit", "exit status 3"},
		{"panic", "panic: no table configured"},
	} {
		t.Run(tc.mode+": "+tc.want, func(t *testing.T) {
			t.Parallel()
			_, err := start(t, lambdatest.Options{Env: []string{"MODE=" + tc.mode}})
			if _, gone := errors.AsType[*lambdatest.ExitError](err); !gone {
				t.Fatalf("err = %v, want an ExitError", err)
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want it to contain %s", err, tc.want)
			}
		})
	}
}

func TestReportedInitErrorFailsTheStart(t *testing.T) {
	t.Parallel()
	_, err := start(t, lambdatest.Options{Env: []string{"MODE=report"}})
	want := &lambdatest.FunctionError{Type: "ConfigError", Message: "bad key"}
	var reported *lambdatest.FunctionError
	if !errors.As(err, &reported) {
		t.Fatalf("err = %v, want a FunctionError", err)
	}
	if diff := cmp.Diff(want, reported); diff != "" {
		t.Error(diff)
	}
}

func TestInitThatNeverAsksForWorkTimesOut(t *testing.T) {
	t.Parallel()
	_, err := start(t, lambdatest.Options{Env: []string{"MODE=hang"}, InitTimeout: 50 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err = %v, want a deadline exceeded", err)
	}
}

func TestMissingBinaryFailsTheStart(t *testing.T) {
	t.Parallel()
	_, err := lambdatest.Start(t.Context(), lambdatest.Options{Binary: t.TempDir() + "/bootstrap"})
	if !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("err = %v, want a missing file", err)
	}
}

func TestOutputIsCapturedAndHandedOn(t *testing.T) {
	t.Parallel()
	var tee strings.Builder
	p := mustStart(t, lambdatest.Options{Stdout: &tee})
	mustInvoke(t, p, `{"text":"a request"}`)
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if want := "ready\nflushed\n"; p.Stdout() != want || tee.String() != want {
		t.Errorf("stdout = %q, handed on %q, want %q (the last line on SIGTERM)", p.Stdout(), tee.String(), want)
	}
	if want := "serving a request\n"; !strings.Contains(p.Stderr(), want) {
		t.Errorf("stderr = %q, want %q in it", p.Stderr(), want)
	}
}

func TestFunctionInheritsNothingFromItsParent(t *testing.T) {
	t.Setenv("LAMBDATEST_SECRET", "leaked")
	p := mustStart(t, lambdatest.Options{Env: []string{"STEPUP_TABLE=sessions", "AWS_REGION=eu-central-1"}})
	env := strings.Split(mustInvoke(t, p, `{"do":"env"}`).Text, "\n")
	set := map[string]string{}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	if _, leaked := set["LAMBDATEST_SECRET"]; leaked {
		t.Error("a variable of the parent reached the function")
	}
	if set["STEPUP_TABLE"] != "sessions" || set["AWS_REGION"] != "eu-central-1" {
		t.Errorf("Env was not applied over the defaults: %q", env)
	}
}

func TestAnswerToAnInvocationThatDoesNotRunIsRefused(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	_, after, _ := strings.Cut(mustInvoke(t, p, `{"do":"env"}`).Text, "AWS_LAMBDA_RUNTIME_API=")
	address, _, _ := strings.Cut(after, "\n")
	for _, kind := range []string{"response", "error"} {
		url := "http://" + address + "/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000001/" + kind
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "InvalidRequestID") {
			t.Errorf("%s = %d %s, want 400 InvalidRequestID", kind, resp.StatusCode, body)
		}
	}
}

func TestStopTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	p := mustStart(t, lambdatest.Options{})
	for range 2 {
		if err := p.Stop(); err != nil {
			t.Errorf("Stop = %v", err)
		}
	}
	var gone *lambdatest.ExitError
	if _, err := p.Invoke(t.Context(), []byte(`{}`)); !errors.As(err, &gone) {
		t.Errorf("Invoke after Stop = %v, want an ExitError", err)
	}
}

func TestBuildIsDoneOnceForAPackage(t *testing.T) {
	t.Parallel()
	first := builds.Binary(t, function)
	stat, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	again, err := os.Stat(builds.Binary(t, function))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(stat, again) || !stat.ModTime().Equal(again.ModTime()) {
		t.Error("the second call built again")
	}
}

func TestFailedBuildReturnsWhatTheCompilerSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, tc := range []struct {
		name, pkg, dir, want string
	}{
		{"no such package", "./testdata/missing", dir, "testdata/missing"},
		{"nowhere to build into", function, "", "no directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := (&lambdatest.Builds{Dir: tc.dir}).Build(t.Context(), tc.pkg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestArchiveIsTheBinaryAlone(t *testing.T) {
	t.Parallel()
	binary := builds.Binary(t, function)
	var first, second bytes.Buffer
	if err := errors.Join(lambdatest.Zip(&first, binary), lambdatest.Zip(&second, binary)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of a binary differ")
	}
	archive, err := zip.NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(archive.File) != 1 || archive.File[0].Name != "bootstrap" || archive.File[0].Mode() != 0o755 {
		t.Fatalf("the archive has %d files, the first of them %+v", len(archive.File), archive.File[0].FileHeader)
	}
	file, err := archive.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := os.ReadFile(binary); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file in the archive is not the binary (%v)", err)
	}
	if err := lambdatest.Zip(io.Discard, binary+".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v for a binary that is not there", err)
	}
}

func TestBinaryIsForTheProcessorThatIsNamed(t *testing.T) {
	t.Parallel()
	for arch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		binary, err := lambdatest.BuildFor(t.Context(), arch, function, t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		file, err := elf.Open(binary)
		if err != nil {
			t.Fatal(err)
		}
		if file.Machine != machine {
			t.Errorf("%s: the binary is for %v", arch, file.Machine)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
}
