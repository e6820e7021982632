package migration_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/migration"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// plainLine is the n-th of some users, whose ids are in the order of n.
func plainLine(n int) string {
	return fmt.Sprintf(`{"version":1,"id":"u%04d","username":"u%04d","profile":{"givenName":"A","familyName":"B"}}`+"\n", n, n)
}

func TestARefusedLineStopsNoOther(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := deployment(t, tb, nil)
		text := plainLine(1) +
			"\n" + // line 2 is empty
			"nonsense\n" +
			strings.Replace(plainLine(1), `"u0001",`, `"other",`, 1) + // the login name of line 1
			plainLine(5) +
			strings.Replace(plainLine(5), `"A"`, `"C"`, 1) +
			strings.Repeat(" ", migration.MaxLine) + plainLine(7) +
			plainLine(8) +
			strings.TrimSuffix(plainLine(9), "}\n") // cut off
		source, err := migration.Open(migration.Stepup, strings.NewReader(text))
		check(t, err)
		var refused []migration.Failure
		job := newImport(s.Users, &refused)
		job.Parallel = 1 // of two lines that want the same, the first gets it
		counts, err := job.Run(t.Context(), source)
		check(t, err)
		if counts.Done != 8 || counts.Created != 3 || counts.Failed != 5 || counts.Line != 9 {
			t.Errorf("%+v", counts)
		}
		var got []string
		for _, f := range refused {
			got = append(got, fmt.Sprintf("%d %s %s", f.Line, f.ID, f.Reason))
		}
		want := []string{
			"3  is not one JSON object",
			"4 other Login name is already taken",
			"6 u0005 User exists already and differs (STEPUP-import-differs): in profile",
			"7  has more than 262144 bytes",
			"9  is not one JSON object",
		}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("refused:\n%s", strings.Join(got, "\n"))
		}
	})
}

func TestDryRunChecksAndWritesNothing(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	source, err := migration.Open(migration.Stepup, strings.NewReader(plainLine(1)+strings.Replace(plainLine(2), `"A"`, `""`, 1)))
	check(t, err)
	var refused []migration.Failure
	job := newImport(s.Users, &refused)
	job.DryRun = true
	counts, err := job.Run(t.Context(), source)
	if err != nil || counts.Created != 1 || counts.Failed != 1 || !strings.HasPrefix(refused[0].Reason, "profile.givenName: ") {
		t.Errorf("%+v, refused %+v, %v", counts, refused, err)
	}
	if ids, err := s.Users.UserIDs(t.Context(), apptest.Admin()); err != nil || len(ids) > 0 {
		t.Errorf("it wrote %q, %v", ids, err)
	}
}

// TestDryRunFindsWhatTwoLinesWant, wherever the two are in the file, as the real run does.
func TestDryRunFindsWhatTwoLinesWant(t *testing.T) {
	t.Parallel()
	link := `,"links":[{"provider":"one","account":"e","name":"n"}]}` + "\n"
	linked := func(n int) string { return strings.TrimSuffix(plainLine(n), "}\n") + link }
	text := linked(1) + plainLine(1) + // the same user, whom the real run compares
		strings.Replace(plainLine(2), `"username":"u0002"`, `"username":"U0001"`, 1) + // another of the name
		linked(3) + plainLine(3) // whom line 4 did not take anything from
	for n := 10; n < 100; n++ {
		text += plainLine(n)
	}
	text += strings.Replace(plainLine(100), `"id":"u0100","username":"u0100"`, `"id":"u0100","username":"u0003"`, 1)
	s := deployment(t, newBolt(t), nil)
	source, err := migration.Open(migration.Stepup, strings.NewReader(text))
	check(t, err)
	var refused []migration.Failure
	job := newImport(s.Users, &refused)
	job.DryRun = true
	counts, err := job.Run(t.Context(), source)
	check(t, err)
	want := []migration.Failure{
		{Line: 3, ID: "u0002", Reason: "Login name is already taken (STEPUP-login-name): by line 1"},
		{Line: 4, ID: "u0003", Reason: "External account is already linked (STEPUP-idp-link-taken): by line 1"},
		{Line: 96, ID: "u0100", Reason: "Login name is already taken (STEPUP-login-name): by line 5"},
	}
	if !slices.Equal(refused, want) || counts.Failed != 3 || counts.Created != 93 {
		t.Errorf("%+v, refused %+v", counts, refused)
	}
}

// failing stands before users and fails the import of one of them.
type failing struct {
	migration.Users

	id    string
	fault error
	mu    sync.Mutex
	times int // that it still fails
}

func (f *failing) Import(ctx context.Context, caller access.Caller, p user.Portable) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.ID == f.id && f.times > 0 {
		f.times--
		return false, f.fault
	}
	return f.Users.Import(ctx, caller, p)
}

func twoHundred() string {
	var text strings.Builder
	for n := 1; n <= 200; n++ {
		text.WriteString(plainLine(n))
	}
	return text.String()
}

func TestStoreThatCannotTakeAUserForAMomentIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	users := &failing{Users: s.Users, id: "u0100", fault: table.ErrUnavailable, times: 3}
	source, err := migration.Open(migration.Stepup, strings.NewReader(twoHundred()))
	check(t, err)
	var refused []migration.Failure
	var waits []time.Duration
	job := newImport(users, &refused)
	job.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
	counts, err := job.Run(t.Context(), source)
	if err != nil || counts.Created != 200 || len(refused) > 0 {
		t.Errorf("%+v, refused %v, %v", counts, refused, err)
	}
	if want := []time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}; !slices.Equal(waits, want) {
		t.Errorf("it waited %v", waits)
	}
}

func TestR1_StoppedRunSaysWhereAndGoesOnFromThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]error{
		"a store that does not come back": table.ErrUnavailable,
		"something else":                  errors.New("broken"),
		"a permission":                    access.ErrForbidden,
	} {
		s := deployment(t, newBolt(t), nil)
		users := &failing{Users: s.Users, id: "u0100", fault: c, times: 1000}
		source, err := migration.Open(migration.Stepup, strings.NewReader(twoHundred()))
		check(t, err)
		var refused []migration.Failure
		job := newImport(users, &refused)
		job.Sleep = func(context.Context, time.Duration) error { return nil }
		counts, err := job.Run(t.Context(), source)
		if !errors.Is(err, c) || !strings.HasPrefix(err.Error(), "line 100: ") || counts.Line != 99 || counts.Done != 99 || len(refused) > 0 {
			t.Errorf("%s: %+v, refused %v, %v", name, counts, refused, err)
		}
		users.times = 0
		source, err = migration.Open(migration.Stepup, strings.NewReader(twoHundred()))
		check(t, err)
		source.Entries = migration.From(counts.Line+1, source.Entries)
		rest, err := job.Run(t.Context(), source)
		if err != nil || rest.Done != 101 || rest.Created+counts.Created > 200 {
			t.Errorf("%s, from there: %+v, %v", name, rest, err)
		}
		all, again := imported(t, s, migration.Stepup, twoHundred())
		if all.Unchanged != 200 || len(again) > 0 {
			t.Errorf("%s, all again: %+v, refused %v", name, all, again)
		}
	}
}

func TestCanceledRunStops(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	source, err := migration.Open(migration.Stepup, strings.NewReader(twoHundred()))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var refused []migration.Failure
	job := newImport(s.Users, &refused)
	job.Progress = func(migration.Counts) { cancel() }
	counts, err := job.Run(ctx, source)
	if fault.From(err).Kind != fault.Canceled || counts.Done == 0 || counts.Done == 200 || len(refused) > 0 {
		t.Errorf("%+v, refused %v, %v", counts, refused, err)
	}
}

func TestReportThatCannotBeWrittenStopsTheRun(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	source, err := migration.Open(migration.Stepup, strings.NewReader("nonsense\n"+plainLine(2)))
	check(t, err)
	full := errors.New("no space left")
	job := newImport(s.Users, nil)
	job.Report = func(migration.Failure) error { return full }
	if _, err := job.Run(t.Context(), source); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// brokenAfter is a file that cannot be read to its end.
type brokenAfter struct{ rest *strings.Reader }

var errRead = errors.New("the disk is broken")

func (b brokenAfter) Read(p []byte) (int, error) {
	if b.rest.Len() == 0 {
		return 0, errRead
	}
	return b.rest.Read(p)
}

func TestFileThatBreaksIsImportedUpToThere(t *testing.T) {
	t.Parallel()
	s := deployment(t, newBolt(t), nil)
	source, err := migration.Open(migration.Stepup, brokenAfter{strings.NewReader(plainLine(1) + plainLine(2) + "{")})
	check(t, err)
	var refused []migration.Failure
	counts, err := newImport(s.Users, &refused).Run(t.Context(), source)
	if !errors.Is(err, errRead) || counts.Created != 2 || counts.Line != 2 || len(refused) > 0 {
		t.Errorf("%+v, refused %v, %v", counts, refused, err)
	}
}
