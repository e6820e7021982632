package lambdatest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	functionName = "function"

	defaultTimeout     = 10 * time.Second
	defaultInitTimeout = 10 * time.Second

	// grace is how long a function may take to end after SIGTERM.
	grace = 500 * time.Millisecond

	// readTimeout bounds how long the function may take to send a request's header.
	readTimeout = 10 * time.Second

	// quoted is how many bytes of stderr an ExitError shows.
	quoted = 4 << 10
)

// Options say what to run, and how.
type Options struct {
	// Binary is the path of the bootstrap.
	Binary string
	// Env is added to what Lambda itself sets, as "NAME=value"; the last value of a
	// name wins. Nothing is inherited from the calling process, and there are no AWS
	// credentials among the defaults.
	Env []string
	// Timeout is the function's timeout, measured anew for each invocation. Zero
	// means 10 s.
	Timeout time.Duration
	// Remaining is what the function is told is left of Timeout, whatever is. Zero means
	// all of it.
	Remaining time.Duration
	// InitTimeout is how long the function may take until it asks for work. Zero
	// means 10 s, as on Lambda.
	InitTimeout time.Duration
	// Stdout and Stderr, where not nil, receive what the function prints while it
	// prints it.
	Stdout, Stderr io.Writer
}

// ExitError says that the function's process is gone.
type ExitError struct {
	// Cause is why: the process's exit status, or what made Process end it.
	Cause error
	// Stderr is what the function printed last.
	Stderr string
}

// Error implements error.
func (e *ExitError) Error() string {
	return fmt.Sprintf("lambdatest: the function is gone: %v; its stderr ends with:\n%s", e.Cause, e.Stderr)
}

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Cause }

// errStopped is the cause of an end by Stop.
var errStopped = errors.New("stopped")

// Process is a running function with its Runtime API. It is safe for concurrent use.
type Process struct {
	api            *runtimeAPI
	timeout        time.Duration
	remaining      time.Duration // as Options.Remaining
	stdout, stderr *capture
	pid            int

	// turn holds one token: a function serves one event at a time.
	turn chan struct{}
	// end stops the process; its argument is the cause that later calls report.
	end context.CancelCauseFunc
	// exited is closed when the process is gone, and exit is set before.
	exited chan struct{}
	exit   *ExitError
}

// Start runs the binary and returns when it asks for its first event. The process
// lives until Stop, the end of ctx, or its own end.
//
// The error is an *ExitError when the process ended first or took longer than
// InitTimeout (then it wraps context.DeadlineExceeded), a *FunctionError when it
// reported that its init failed.
func Start(ctx context.Context, opts Options) (*Process, error) {
	binary, err := filepath.Abs(opts.Binary)
	if err != nil {
		return nil, fmt.Errorf("lambdatest: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lambdatest: %w", err)
	}
	p := &Process{
		api:       newRuntimeAPI(),
		timeout:   cmp.Or(opts.Timeout, defaultTimeout),
		remaining: opts.Remaining,
		stdout:    &capture{tee: opts.Stdout},
		stderr:    &capture{tee: opts.Stderr},
		turn:      make(chan struct{}, 1),
		exited:    make(chan struct{}),
	}
	life, end := context.WithCancelCause(ctx)
	p.end = end
	cmd := command(life, binary, append(environment(listener.Addr().String(), filepath.Dir(binary)), opts.Env...))
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		end(err)
		return nil, errors.Join(fmt.Errorf("lambdatest: %w", err), listener.Close())
	}
	p.pid = cmd.Process.Pid
	server := &http.Server{Handler: p.api.handler(), ReadHeaderTimeout: readTimeout}
	go func() { _ = server.Serve(listener) }()
	go func() {
		p.reap(life, cmd.Wait())
		_ = server.Close()
	}()
	if err := p.awaitInit(life, cmp.Or(opts.InitTimeout, defaultInitTimeout)); err != nil {
		return nil, err
	}
	return p, nil
}

// command returns the process before its start: in the folder of its binary, as on
// Lambda, and to be ended with SIGTERM first.
func command(life context.Context, binary string, env []string) *exec.Cmd {
	cmd := exec.CommandContext(life, binary)
	cmd.Dir = filepath.Dir(binary)
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd
}

// environment is what Lambda sets, as far as a function on this project's runtime
// looks at it.
func environment(api, root string) []string {
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + api,
		"AWS_LAMBDA_FUNCTION_NAME=" + functionName,
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1",
		"LAMBDA_TASK_ROOT=" + root,
		"_HANDLER=bootstrap",
		"LANG=en_US.UTF-8",
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"TZ=:UTC",
	}
}

// reap records how the process ended: the cause by which life was ended, or else its
// own exit status.
func (p *Process) reap(life context.Context, exit error) {
	cause := context.Cause(life)
	if cause == nil {
		cause = cmp.Or(exit, errors.New("exit status 0"))
	}
	p.end(cause)
	p.exit = &ExitError{Cause: cause, Stderr: p.stderr.tail(quoted)}
	close(p.exited)
}

// awaitInit returns nil when the function asked for work, and stops it otherwise.
func (p *Process) awaitInit(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("init took longer than %v: %w", limit, context.DeadlineExceeded))
	defer cancel()
	select {
	case <-p.api.asked:
		return nil
	case err := <-p.api.failedInit:
		_ = p.Stop()
		return err
	case <-ctx.Done():
		p.end(context.Cause(ctx))
		<-p.exited
	case <-p.exited:
	}
	select {
	case err := <-p.api.failedInit: // It reported and ended; the report says more.
		return err
	default:
		return p.exit
	}
}

// Invoke hands the event to the function and returns its answer. Concurrent calls
// wait for each other. The invocation's deadline is Timeout from its start or the
// deadline of ctx, whichever is earlier; when it passes, or ctx is canceled, while
// the function works, the process is ended as Lambda would end it.
//
// The error is a *FunctionError when the function reported one, an *ExitError when
// the process is gone, and wraps the context's error when time ran out.
func (p *Process) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("lambdatest: waiting for the function: %w", context.Cause(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if p.remaining != 0 {
		deadline = deadline.Add(p.remaining - p.timeout)
	}
	inv := p.api.start(event, deadline)
	defer p.api.end(inv.id)
	select {
	case p.api.queue <- inv:
		return p.await(ctx, inv)
	case <-p.exited:
		return nil, p.exit
	case <-ctx.Done():
		return nil, fmt.Errorf("lambdatest: waiting for the function: %w", context.Cause(ctx))
	}
}

// await returns the outcome of an invocation that the function works on.
func (p *Process) await(ctx context.Context, inv *invocation) ([]byte, error) {
	select {
	case out := <-inv.outcome:
		return out.answer, out.err
	case <-ctx.Done():
		p.end(fmt.Errorf("invocation %s was not answered in time: %w", inv.id, context.Cause(ctx)))
		<-p.exited
	case <-p.exited:
	}
	select {
	case out := <-inv.outcome: // It answered and ended.
		return out.answer, out.err
	default:
		return nil, p.exit
	}
}

// Stop ends the process with SIGTERM, and with SIGKILL when that does not help within
// half a second. It returns the *ExitError of a process that had ended for another
// reason, and nil otherwise. Stopping twice is harmless.
func (p *Process) Stop() error {
	p.end(errStopped)
	<-p.exited
	if errors.Is(p.exit.Cause, errStopped) {
		return nil
	}
	return p.exit
}

// PID returns the id of the function's process.
func (p *Process) PID() int { return p.pid }

// Stdout returns everything that the function has printed to its standard output.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns everything that the function has printed to its standard error.
func (p *Process) Stderr() string { return p.stderr.String() }

// capture keeps what is written and hands it on to tee.
type capture struct {
	tee io.Writer

	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (c *capture) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf.Write(b)
	if c.tee == nil {
		return len(b), nil
	}
	return c.tee.Write(b)
}

// String returns everything written so far.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.String()
}

// tail returns the last n bytes, made valid UTF-8.
func (c *capture) tail(n int) string {
	all := c.String()
	return strings.ToValidUTF8(all[max(0, len(all)-n):], "")
}
