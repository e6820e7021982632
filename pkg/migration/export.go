package migration

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Export is a run over all users. All fields are required unless they say otherwise.
type Export struct {
	Users  Users
	Caller access.Caller
	// Parallel is how many users are read at a time.
	Parallel int
	// WithoutSecrets leaves out password hashes, seeds of authenticator apps and recovery
	// codes.
	WithoutSecrets bool
	// Progress, when set, is told now and then how far the run is.
	Progress func(Counts)
}

// Run writes all users, each on a line, in the order of their ids. Who is deleted on the
// way may be there or not.
func (e *Export) Run(ctx context.Context, w io.Writer) (Counts, error) {
	ids, err := e.Users.UserIDs(ctx, e.Caller)
	if err != nil {
		return Counts{}, err
	}
	counts := Counts{Total: len(ids)}
	for len(ids) > 0 {
		some := ids[:min(batch*e.Parallel, len(ids))]
		ids = ids[len(some):]
		written, err := e.write(ctx, w, some)
		if err != nil {
			return counts, err
		}
		counts.Done += written
		counts.Total -= len(some) - written
		if e.Progress != nil {
			e.Progress(counts)
		}
	}
	return counts, nil
}

// write reads some users side by side, writes them in order, and returns how many there
// were.
func (e *Export) write(ctx context.Context, w io.Writer, ids []string) (written int, err error) {
	lines := make([][]byte, len(ids))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(e.Parallel)
	for n, id := range ids {
		readers.Go(func() error {
			p, err := e.Users.Export(ctx, e.Caller, id)
			if err != nil {
				return fmt.Errorf("user %s: %w", id, err)
			}
			if p != nil {
				lines[n], err = e.encode(p)
			}
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return 0, err
	}
	for _, line := range lines {
		if _, err := w.Write(line); err != nil {
			return 0, err
		}
		if line != nil {
			written++
		}
	}
	return written, nil
}

func (e *Export) encode(p *user.Portable) ([]byte, error) {
	if e.WithoutSecrets {
		p.Password, p.TOTP, p.RecoveryCodes = user.PortablePassword{}, user.PortableTOTP{}, nil
	}
	return encode(p)
}
