package sending_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// TestTakeFollowsThePolicy takes one message after the other, each some time after the
// one before.
func TestTakeFollowsThePolicy(t *testing.T) {
	t.Parallel()
	p := sending.Policy{Cooldown: time.Minute, PerHour: 3, PerDay: 5}
	var u sending.Usage
	now := noon
	for i, step := range []struct {
		after time.Duration
		want  *fault.Fault
		wait  time.Duration
	}{
		{0, nil, 0},
		{59 * time.Second, sending.ErrCooldown, time.Second},
		{time.Second, nil, 0},
		{time.Minute, nil, 0},
		{time.Minute, sending.ErrAddress, 57 * time.Minute}, // the hour's third was the last
		{57 * time.Minute, nil, 0},                          // a new hour
		{time.Minute, nil, 0},
		{time.Minute, sending.ErrAddress, 10*time.Hour + 58*time.Minute}, // the day's fifth was the last
		{10*time.Hour + 58*time.Minute, nil, 0},                          // a new day
	} {
		now = now.Add(step.after)
		next, denied := u.Take(p, now)
		switch {
		case step.want == nil && denied == nil:
			u = next
		case step.want == nil, denied == nil, !errors.Is(denied, step.want), denied.RetryAfter != step.wait:
			t.Errorf("step %d at %v: %v, wait %v", i, now, denied, step.wait)
		}
	}
	if u.Revision != 6 {
		t.Errorf("revision %d after six messages", u.Revision)
	}
}

// TestAFullCountHasRoomAgainWhenItsTimeIsOver asks some minutes after noon.
func TestAFullCountHasRoomAgainWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	cause := errors.New("refused")
	for _, tc := range []struct {
		scope  sending.Scope
		length time.Duration
		want   *fault.Fault
		wait   time.Duration
	}{
		{sending.Deployment, 24 * time.Hour, sending.ErrBudget, 11*time.Hour + 50*time.Minute},
		{sending.Network, 24 * time.Hour, sending.ErrNetwork, 11*time.Hour + 50*time.Minute},
		{sending.PerUser, 24 * time.Hour, sending.ErrUser, 11*time.Hour + 50*time.Minute},
		{sending.PerUser, time.Hour, sending.ErrUser, 50 * time.Minute},
	} {
		now := noon.Add(10 * time.Minute)
		c := sending.Count{Scope: tc.scope, Start: now.Truncate(tc.length), Length: tc.length}
		f := fault.From(sending.WithWait(c.Full(cause), now))
		if !errors.Is(f, tc.want) || f.RetryAfter != tc.wait || !errors.Is(f, cause) {
			t.Errorf("%q for %v: %v with %v to wait, want %v with %v", tc.scope, tc.length, f, f.RetryAfter, tc.want, tc.wait)
		}
	}
	if err := sending.WithWait(cause, noon); !errors.Is(err, cause) || fault.From(err).RetryAfter != 0 {
		t.Errorf("another error became %v", err)
	}
}

func TestPrefixesLimitWhereMessagesGo(t *testing.T) {
	t.Parallel()
	p := sending.Policy{Prefixes: []string{"+41", "+4930"}}
	for number, want := range map[string]error{
		"+41446681800": nil, "+493012345": nil, "+4989123456": sending.ErrPrefix, "+1650": sending.ErrPrefix,
	} {
		if err := p.Reaches(number); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", number, err, want)
		}
	}
	if err := (sending.Policy{}).Reaches("+1650"); err != nil {
		t.Errorf("without prefixes: %v", err)
	}
}

func TestPolicyThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for _, p := range []sending.Policy{
		{Cooldown: -time.Second}, {PerHour: -1}, {PerDay: -1}, {Budget: -1}, {Spend: -1}, {Caps: sending.Caps{Network: -1}}, {Caps: sending.Caps{UserHour: -1}}, {Prefixes: []string{"41"}},
	} {
		if p.Validate() == nil {
			t.Errorf("%+v was accepted", p)
		}
	}
	if err := (sending.Policy{}).Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
