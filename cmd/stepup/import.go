package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/migration"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/user"
)

// operator is who runs a command on the store itself.
func operator() access.Caller { return access.Caller{ID: "stepup operator", Role: access.IAMOwner} }

// importing reads users from a file. docs/migration.md describes it.
type importing struct {
	Place                place  `embed:""`
	File                 string `arg:"" help:"File to read, or - for the standard input."`
	Format               string `default:"stepup" enum:"stepup,zitadel,cognito,auth0" help:"Format of the file: stepup, zitadel, cognito or auth0."`
	Organization         string `help:"Organization of the users, in place of the one in the file."`
	LoginName            string `default:"username" enum:"username,email" help:"What users sign in with: their username, or their email address in its place."`
	WithoutRecoveryCodes bool   `help:"Leave recovery codes out, which only the deployment can check that made them."`
	DryRun               bool   `help:"Check every user, and that no two of the file want the same, and write nothing."`
	FromLine             int    `default:"1" help:"Pass over what stands before this line."`
	Parallel             int    `default:"16" help:"How many users are written at a time, up to 256."`
	Report               string `type:"path" help:"File that is told of the users who are refused; FILE.errors.jsonl unless set."`
}

// Run implements the command.
func (c *importing) Run(ctx context.Context, t *terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	in, size, err := openInput(c.File)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	bytes := &counted{Reader: in}
	source, err := migration.Open(migration.Format(c.Format), bytes)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return c.Place.with(ctx, t, func(s *opened) error {
		p := newProgress(t, func(counts migration.Counts) float64 { return share(counts, bytes.n, size) })
		return c.run(ctx, t, s, source, p)
	})
}

func (c *importing) check() error {
	switch {
	case c.Parallel < 1 || c.Parallel > 256:
		return errors.New("--parallel: is not between 1 and 256")
	case c.FromLine < 1:
		return errors.New("--from-line: is below 1")
	case c.File == "-" && c.Report == "":
		return errors.New("--report: is needed with the standard input")
	case c.Report == "":
		c.Report = c.File + ".errors.jsonl"
	}
	return nil
}

func (c *importing) run(ctx context.Context, t *terminal, s *opened, source migration.Source, p *progress) error {
	report, err := openReport(c.Report, c.File)
	if err != nil {
		return err
	}
	job := migration.Import{
		Users: s.Users, Caller: operator(), Parallel: c.Parallel, DryRun: c.DryRun, Alter: c.alter,
		Report:   func(f migration.Failure) error { return json.NewEncoder(report).Encode(f) },
		Progress: p.show, Sleep: retry.Sleep,
	}
	source.Entries = migration.From(c.FromLine, source.Entries)
	counts, err := job.Run(ctx, source)
	p.end(counts)
	err = errors.Join(err, report.Close())
	c.say(t, counts, p.took())
	switch {
	case err != nil:
		return fmt.Errorf("stopped after line %d, which can be run again, from there with --from-line: %w", counts.Line, err)
	case counts.Failed > 0:
		return fmt.Errorf("%d of %d users were refused; %s says why", counts.Failed, counts.Done, c.Report)
	}
	return nil
}

// alter makes what the flags say of a user.
func (c *importing) alter(p *user.Portable) {
	if c.Organization != "" {
		p.Organization = c.Organization
	}
	if c.LoginName == "email" {
		p.Username = p.Email.Address
	}
	if c.WithoutRecoveryCodes {
		p.RecoveryCodes = nil
	}
}

func (c *importing) say(t *terminal, counts migration.Counts, took time.Duration) {
	created := "created"
	if c.DryRun {
		created = "could be created"
	}
	t.sayf("%s: %d %s, %d unchanged, %d refused", rate(counts.Done, took), counts.Created, created, counts.Unchanged, counts.Failed)
	for _, name := range sortedKeys(counts.Lost) {
		t.sayf("not taken over: %s of %d users", name, counts.Lost[name])
	}
}

// openReport makes the file of the users who were refused, in the place of that of an
// earlier run. It is empty when nobody was.
func openReport(path, input string) (*os.File, error) {
	if made, err := os.Stat(path); err == nil {
		if read, err := os.Stat(input); err == nil && os.SameFile(made, read) {
			return nil, errors.New("--report: is the file that is read")
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("--report: %w", err)
	}
	return f, nil
}

// openInput opens a file and returns its size, which is 0 where it is not known.
func openInput(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// counted counts what is read.
type counted struct {
	io.Reader

	n int64
}

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

// share is how much of a file is done, from 0 to 1: of its users where their number is
// known, else of its bytes.
func share(counts migration.Counts, read, size int64) float64 {
	switch {
	case counts.Total > 0:
		return float64(counts.Done) / float64(counts.Total)
	case size > 0:
		return float64(read) / float64(size)
	default:
		return 0
	}
}
