// Command load measures what calls cost, under load (load), in money (cost), and as the
// data grows (growth). It prints Markdown, and with -write puts it into its section of
// docs/performance.md, with the date, the commit and the machine.
//
// Everything is in this process and on loopback: the service behind a real HTTP server,
// its client, and the stores, an embedded one and DynamoDB's stand-in. Every measurement is
// bounded in count and time. Times are those of the machine; what counts are the ratios
// within one run, in which the things compared take turns. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stepup-auth/stepup/test/emulators"
)

// limit bounds a whole run.
const limit = 5 * time.Minute

// document is what -write changes, from the root of the module.
const document = "docs/performance.md"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// reports are the measurements by name, each with the title of its section.
var reports = map[string]struct {
	title string
	make  func(context.Context, settings) (string, error)
}{
	"load":   {"Under load", loadReport},
	"cost":   {"In money", costReport},
	"growth": {"As data grows", growthReport},
}

// settings are the flags, and a folder for stores.
type settings struct {
	dir   string
	slice time.Duration
	turns int
	bolt  int
	dyno  int
}

func run(ctx context.Context, args []string) (err error) {
	var s settings
	flags := flag.NewFlagSet("load load|cost|growth", flag.ContinueOnError)
	write := flags.Bool("write", false, "write the section of "+document)
	flags.DurationVar(&s.slice, "slice", 300*time.Millisecond, "load: how long a call is repeated in one turn")
	flags.IntVar(&s.turns, "turns", 3, "load: how many turns each call has")
	flags.IntVar(&s.bolt, "bolt", 10_000, "growth: the most sessions in the embedded store")
	flags.IntVar(&s.dyno, "dynamo", 10_000, "growth: the most sessions in DynamoDB's stand-in")
	if len(args) == 0 {
		return errors.New("want the name of a report: load, cost or growth")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	report, known := reports[args[0]]
	if !known || flags.NArg() > 0 || s.slice <= 0 || s.turns < 1 {
		return fmt.Errorf("cannot run %s", strings.Join(args, " "))
	}
	if s.dir, err = os.MkdirTemp("", "load-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.dir) //nolint:errcheck // what is left lies in the folder for such things
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	began := time.Now()
	text, err := report.make(ctx, s)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	section := fmt.Sprintf("## %s, %s\n\n%s, in %v.\n\n%s", report.title, began.Format("2 January 2006"), machine(ctx),
		time.Since(began).Round(time.Second), text)
	fmt.Print(section)
	if !*write {
		return nil
	}
	return update(args[0], section)
}

// update puts the section into the document.
func update(name, section string) error {
	root, err := emulators.ModuleRoot()
	if err != nil {
		return err
	}
	path := filepath.Join(root, document)
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := replaceSection(string(old), name, section)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// progressf overwrites the line on the terminal.
func progressf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "\r\033[K"+format, args...)
}
