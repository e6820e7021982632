// Command stepup runs the service on a laptop or in a container, and holds the
// operator's commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Dev     dev       `cmd:"" help:"Run the service here, on a local folder, with a demo user and a key."`
	Serve   serve     `cmd:"" help:"Run the service as the environment configures it."`
	Demo    demo      `cmd:"" help:"Run the calls that dev prints against a temporary server and check each answer."`
	Key     keys      `cmd:"" help:"Issue, list and revoke API keys."`
	Keyring keyrings  `cmd:"" help:"Make master keys."`
	Import  importing `cmd:"" help:"Read users from a file: an export, or that of ZITADEL, Cognito or Auth0."`
	Export  exporting `cmd:"" help:"Write all users into a file."`
	TOTP    totp      `cmd:"" name:"totp" help:"Print the code that an authenticator app would show."`
}

// terminal is where a command talks to a person; logs go elsewhere.
type terminal struct {
	out    io.Writer
	errors io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &terminal{out: os.Stdout, errors: os.Stderr})
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code. A failure is one line:
// on the screen, or in the log of a command that serves.
func run(ctx context.Context, args []string, t *terminal) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("stepup"), kong.Description("A session and multi-factor API."),
		kong.Writers(t.out, t.errors), kong.Exit(func(code int) { exited = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(t))
	if err != nil {
		return t.fail(err)
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // help was asked for, and printed
		return exited
	}
	if err == nil {
		err = parsed.Run()
	}
	if err != nil {
		return t.fail(err)
	}
	return 0
}

// errLogged is a failure that the log has told of.
var errLogged = errors.New("see the log")

func (t *terminal) fail(err error) int {
	if errors.Is(err, errLogged) {
		return 1
	}
	_, _ = fmt.Fprintf(t.errors, "stepup: %v\n", err)
	return 1
}

// sayf writes one line for the person at the terminal.
func (t *terminal) sayf(format string, args ...any) {
	_, _ = fmt.Fprintf(t.out, format+"\n", args...)
}

func jsonLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}
