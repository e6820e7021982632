package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Import is a run over a file. All fields are required unless they say otherwise.
type Import struct {
	Users  Users
	Caller access.Caller
	// Parallel is how many users are written at a time.
	Parallel int
	// DryRun checks every user by itself, and that no two of the file want the same, and
	// writes nothing.
	DryRun bool
	// Alter, when set, changes a user between the file and the check.
	Alter func(*user.Portable)
	// Report is told of every user who was refused, in the order of the file.
	Report func(Failure) error
	// Progress, when set, is told now and then how far the run is.
	Progress func(Counts)
	// Sleep waits before a user is tried again whom the store could not take.
	Sleep func(ctx context.Context, d time.Duration) error

	taken claims // by the users of a dry run
}

// Failure is a user who was refused.
type Failure struct {
	Line int `json:"line"`
	// ID is empty when it could not be read.
	ID string `json:"id,omitempty"`
	// Reason names the field and repeats no secret.
	Reason string `json:"reason"`
}

// Counts says how far a run is.
type Counts struct {
	// Line is the last up to which all are done.
	Line int
	// Total is how many users there are, or 0 when that is not known.
	Total int
	// Done is the sum of the others. In a dry run Created counts those that could be.
	Done, Created, Unchanged, Failed int
	// Lost counts the fields that had no place here, by name.
	Lost map[string]int
}

// batch is how many users each of the parallel writers has between two reports.
const batch = 8

// Attempts and waits for a store that cannot take a user.
const (
	attempts  = 5
	firstWait = 200 * time.Millisecond
)

// Run imports the file. A user who is refused is reported, and the others go on; the
// error is what ended the run before the end of the file, and Counts.Line says where.
// Whatever is stopped can be run again.
func (i *Import) Run(ctx context.Context, s Source) (Counts, error) {
	counts := Counts{Total: s.Total, Lost: make(map[string]int)}
	i.taken = make(claims)
	entries := make([]Entry, 0, batch*i.Parallel)
	for entry, err := range s.Entries {
		if err != nil {
			return counts, errors.Join(i.flush(ctx, &counts, entries), err)
		}
		if entries = append(entries, entry); len(entries) < cap(entries) {
			continue
		}
		if err := i.flush(ctx, &counts, entries); err != nil {
			return counts, err
		}
		entries = entries[:0]
	}
	return counts, i.flush(ctx, &counts, entries)
}

// outcome is what became of one user.
type outcome struct {
	created bool
	refused error
	stopped error
}

// flush imports some users side by side, then counts and reports them in order.
func (i *Import) flush(ctx context.Context, counts *Counts, entries []Entry) error {
	outcomes := make([]outcome, len(entries))
	var writers errgroup.Group
	writers.SetLimit(i.Parallel)
	for n := range entries {
		writers.Go(func() error {
			outcomes[n] = i.one(ctx, &entries[n])
			return nil
		})
	}
	_ = writers.Wait() // the outcomes have the errors
	for n, o := range outcomes {
		if o.stopped != nil {
			return fmt.Errorf("line %d: %w", entries[n].Line, o.stopped)
		}
		if i.DryRun && o.refused == nil {
			o.refused = i.taken.take(&entries[n])
		}
		if err := i.count(counts, &entries[n], o); err != nil {
			return err
		}
	}
	if i.Progress != nil {
		i.Progress(*counts)
	}
	return nil
}

func (i *Import) count(counts *Counts, e *Entry, o outcome) error {
	counts.Line = e.Line
	counts.Done++
	switch {
	case o.refused != nil:
		counts.Failed++
		return i.Report(Failure{e.Line, e.User.ID, o.refused.Error()})
	case o.created:
		counts.Created++
	default:
		counts.Unchanged++
	}
	for _, name := range e.Lost {
		counts.Lost[name]++
	}
	return nil
}

// one imports a user, again when the store could not take them.
func (i *Import) one(ctx context.Context, e *Entry) outcome {
	if e.Err != nil {
		return outcome{refused: e.Err}
	}
	if i.Alter != nil {
		i.Alter(&e.User)
	}
	if i.DryRun {
		return settled(true, i.Users.CheckImport(i.Caller, e.User))
	}
	wait := firstWait
	for attempt := 1; ; attempt++ {
		created, err := i.Users.Import(ctx, i.Caller, e.User)
		o := settled(created, err)
		if o.stopped == nil || attempt == attempts || !passing(err) {
			return o
		}
		if err := i.Sleep(ctx, wait); err != nil {
			return outcome{stopped: err}
		}
		wait *= 2
	}
}

// settled sorts an error: what is wrong with a user is theirs, all else ends the run,
// since it would be wrong with the next as well.
func settled(created bool, err error) outcome {
	f := fault.From(err)
	if f == nil {
		return outcome{created: created}
	}
	switch f.Kind {
	case fault.InvalidArgument, fault.NotFound, fault.AlreadyExists, fault.FailedPrecondition:
		return outcome{refused: err}
	default:
		return outcome{stopped: err}
	}
}

// passing reports whether the same may succeed later.
func passing(err error) bool {
	switch fault.From(err).Kind {
	case fault.Unavailable, fault.DeadlineExceeded, fault.ResourceExhausted, fault.Aborted:
		return true
	default:
		return false
	}
}
