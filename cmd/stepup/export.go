package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/stepup-auth/stepup/pkg/migration"
)

// exporting writes all users into a file. docs/migration.md describes it.
type exporting struct {
	Place          place  `embed:""`
	File           string `arg:"" help:"File to write, which must not exist, or - for the standard output."`
	WithSecrets    bool   `xor:"secrets" required:"" help:"Write password hashes, seeds of authenticator apps and recovery codes too, in the clear."`
	WithoutSecrets bool   `xor:"secrets" required:"" help:"Leave them out: the users will have to set a new password."`
	Parallel       int    `default:"16" help:"How many users are read at a time, up to 256."`
}

// Run implements the command.
func (c *exporting) Run(ctx context.Context, t *terminal) error {
	switch {
	case c.Parallel < 1 || c.Parallel > 256:
		return errors.New("--parallel: is not between 1 and 256")
	case c.File == "-" && c.WithSecrets && isTerminal(t.out):
		return errors.New("the secrets of all users do not belong on a terminal")
	}
	return c.Place.with(ctx, t, func(s *opened) error {
		if c.WithSecrets {
			_, _ = fmt.Fprintln(t.errors, "warning: the export holds the secrets of all users in the clear; who can read it can sign in as them")
		}
		p := newProgress(t, func(counts migration.Counts) float64 { return share(counts, 0, 0) })
		var counts migration.Counts
		err := c.into(t, func(w io.Writer) (err error) {
			job := migration.Export{
				Users: s.Users, Caller: operator(), Parallel: c.Parallel, WithoutSecrets: c.WithoutSecrets, Progress: p.show,
			}
			counts, err = job.Run(ctx, w)
			return err
		})
		p.end(counts)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(t.errors, rate(counts.Done, p.took()))
		return nil
	})
}

// into writes the file under another name and renames it when it is whole, so that a file
// of the name that was asked for has all users in it.
func (c *exporting) into(t *terminal, write func(io.Writer) error) error {
	if c.File == "-" {
		return write(t.out)
	}
	if err := absent(c.File); err != nil {
		return err
	}
	f, err := os.OpenFile(c.File+".part", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s.part exists already: remove it if no other export is running", c.File)
	}
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	if err = write(buffered); err == nil {
		err = buffered.Flush()
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = absent(c.File)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), c.File)
}

func absent(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s exists already, and is not overwritten", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}
