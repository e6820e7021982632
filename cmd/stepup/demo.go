package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sync/errgroup"
)

// demo proves the printed calls: it runs them as they are printed.
type demo struct {
	Shell string `default:"bash" help:"Shell that runs the calls; it needs curl and sed."`
}

// Run implements the command.
func (d *demo) Run(ctx context.Context, t *terminal) (err error) {
	folder, err := os.MkdirTemp("", "stepup-demo-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	both, serving := errgroup.WithContext(serving)
	temporary := dev{Listen: "127.0.0.1:0", Data: folder}
	both.Go(func() error {
		return temporary.run(serving, func(url, key string) error {
			tour, err := calls(url, key)
			if err != nil {
				return err
			}
			both.Go(func() error {
				defer stop()
				return d.tour(serving, t, tour)
			})
			return nil
		})
	})
	return both.Wait()
}

// marker ends the output of one call in the shell's output.
const marker = "--- end of call ---"

// tour runs all calls in one shell and compares what each printed.
func (d *demo) tour(ctx context.Context, t *terminal, tour []call) error {
	var script strings.Builder
	for _, c := range tour {
		fmt.Fprintf(&script, "%s\necho '%s'\n", c.line, marker)
	}
	shell := exec.CommandContext(ctx, d.Shell, "-s")
	shell.Stdin = strings.NewReader(script.String())
	shell.Stderr = t.errors
	output, err := shell.Output()
	if err != nil {
		return fmt.Errorf("the shell stopped: %w", err)
	}
	answers := strings.Split(string(output), marker+"\n")
	for i, c := range tour {
		answer := strings.TrimSpace(answers[i])
		if c.title != "" {
			t.sayf("# %s", c.title)
		}
		t.sayf("%s\n%s\n", c.line, answer)
		if !strings.Contains(answer, c.want) {
			return fmt.Errorf("the answer to %q does not contain %s", c.line, c.want)
		}
	}
	t.sayf("all %d calls answered as they should", len(tour))
	return nil
}
