package app_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// mortal is a process that dies at one of its calls to the outside: just before the call,
// or when it is made and nobody hears the answer. The dead call nobody any more.
type mortal struct {
	at    int // of all calls, from 1; 0 for never
	after bool

	mu   sync.Mutex // guards the rest
	n    int
	dead bool
}

var errDead = errors.New("the process is dead")

func (m *mortal) table(int, string) tabletest.Action { return m.step() }

func (m *mortal) step() tabletest.Action {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	switch {
	case m.dead:
		return tabletest.Fail
	case m.n == m.at:
		m.dead = true
		if m.after {
			return tabletest.LoseAnswer
		}
		return tabletest.Fail
	default:
		return tabletest.Pass
	}
}

// carrier is a sender in a mortal process. A plain one knows no message again, as SNS and
// SES do not.
type carrier struct {
	notify.Sender

	process *mortal
	plain   bool
}

func (c carrier) Send(ctx context.Context, m notify.Rendered) (notify.Receipt, error) {
	if c.plain {
		m.ID = ""
	}
	switch c.process.step() {
	case tabletest.Pass:
		return c.Sender.Send(ctx, m)
	case tabletest.LoseAnswer:
		_, _ = c.Sender.Send(ctx, m)
		return notify.Receipt{}, notify.ErrSMSUnconfirmed.Wrap(errDead)
	default:
		return notify.Receipt{}, notify.ErrSMSUnavailable.Wrap(errDead)
	}
}

// repeatable is a call with an Idempotency-Key; it answers with what the client sees.
type repeatable func(ctx context.Context, s *apptest.Service) (any, error)

// repeatables are those that send, and two that do not.
func repeatables(bound string, seed []byte) map[string]repeatable {
	once := idempotency.Request{Caller: "key admin", Key: "k", Operation: "Set", Body: []byte("b")}
	sms := session.RequestChallenges{SMS: &session.RequestCode{}}
	set := func(step session.Step) repeatable {
		step.Once = once
		return func(ctx context.Context, s *apptest.Service) (any, error) {
			return s.Sessions.Set(ctx, apptest.Admin(), session.Set{SessionID: bound, Step: step})
		}
	}
	code := otp.Code(seed, apptest.Epoch().Add(otp.Step))
	return map[string]repeatable{
		"set, a code is sent": set(session.Step{Challenges: sms}),
		"set, TOTP is checked and a code is sent": set(session.Step{
			Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}, Challenges: sms,
		}),
		"set, a code is returned": set(session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}}),
		"create, a code is sent": func(ctx context.Context, s *apptest.Service) (any, error) {
			step := apptest.Named("ada")
			step.Once, step.Challenges = once, sms
			return s.Sessions.Create(ctx, apptest.Admin(), session.Create{Step: step})
		},
		"new mail address, a code is sent": func(ctx context.Context, s *apptest.Service) (any, error) {
			return shown(s.Users.Update(ctx, apptest.Admin(), "ada", user.Update{
				Email: &user.Contact{Address: "ada@example.com"}, EmailCode: &user.CodeRequest{}, Once: once,
			}))
		},
		"new user, a code is sent": func(ctx context.Context, s *apptest.Service) (any, error) {
			return shown(s.Users.Create(ctx, apptest.Admin(), user.Registration{
				Username: "bob", Profile: user.Profile{GivenName: "Bob", FamilyName: "Bobson"},
				Email: user.Contact{Address: "bob@example.com"}, EmailCode: &user.CodeRequest{}, Once: once,
			}))
		},
	}
}

// shown is what an answer shows of a changed user.
func shown(r user.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return fmt.Sprint(r.ID, r.Guard.Version, r.Guard.Changed, r.Code(sending.Email)), nil
}

// TestR2_KilledAnywhereARepetitionIsOneMessageAndOneAnswer kills the process before and
// after each of its calls to the store and to the sender, and repeats the request in
// another process.
func TestR2_KilledAnywhereARepetitionIsOneMessageAndOneAnswer(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		for name := range repeatables("", []byte("seed")) {
			killEverywhere(t, tb, name, false)
		}
	})
}

// TestR2_SenderThatKnowsNoMessageAgainIsAskedTwiceInOneGapOnly: between the provider's
// word and the note of it nobody can know. The message is the same, code included.
func TestR2_SenderThatKnowsNoMessageAgainIsAskedTwiceInOneGapOnly(t *testing.T) {
	t.Parallel()
	// After the provider took the message; before the note was written; and where the
	// process died just before it would have written, which is the same place.
	if got := killEverywhere(t, apptest.Bolt(t), "set, a code is sent", true); got != 2 {
		t.Errorf("two messages left in %d places", got)
	}
}

// killEverywhere returns in how many places a death led to a second message.
func killEverywhere(t *testing.T, tb table.Table, name string, plain bool) (twice int) {
	t.Helper()
	for at := 1; ; at++ {
		for _, after := range []bool{false, true} {
			d := death{mortal: &mortal{at: at, after: after}, call: name, plain: plain}
			if d.messages(t, newTableLike(t, tb)) > 1 {
				twice++
			}
			if !d.dead {
				if at < 3 {
					t.Errorf("%s: nobody was killed", d)
				}
				return twice
			}
		}
	}
}

// death is where a call is killed.
type death struct {
	*mortal

	call  string
	plain bool
}

func (d death) String() string {
	return fmt.Sprintf("%s, killed at call %d, after it: %v", d.call, d.at, d.after)
}

// messages runs the call in a process that dies and again in one that lives, and returns
// how many messages left.
func (d death) messages(t *testing.T, tb table.Table) int {
	t.Helper()
	st := newStage(t, tb)
	before := st.View(t, st.bound).Sequence
	call := repeatables(st.bound, st.seed)[d.call]
	box := inbox.New(inbox.DefaultCapacity, st.Clock.Now)
	dying := apptest.New(t, apptest.Options{
		Table: tabletest.NewFaulty(st.Table, d.table), Ring: st.Ring, Providers: st.providers, Inbox: box,
		Sender: func(s notify.Sender) notify.Sender { return carrier{s, d.mortal, d.plain} },
	})
	first, died := call(t.Context(), dying)

	living := apptest.New(t, apptest.Options{
		Table: st.Table, Ring: st.Ring, Providers: st.providers, Inbox: box,
		Sender: func(s notify.Sender) notify.Sender { return carrier{s, &mortal{}, d.plain} },
	})
	answer, err := call(t.Context(), living)
	if errors.Is(err, idempotency.ErrRunning) {
		living.Clock.Advance(fault.From(err).RetryAfter)
		answer, err = call(t.Context(), living)
	}
	if err != nil {
		t.Errorf("%s: repeated: %v (first: %v)", d, err, died)
	}
	if died == nil && !cmp.Equal(first, answer) {
		t.Errorf("%s: answered %v, repeated %v", d, first, answer)
	}
	if again, err := call(t.Context(), living); err != nil || !cmp.Equal(answer, again) {
		t.Errorf("%s: repeated %v, and again %v, %v", d, answer, again, err)
	}
	if got := st.View(t, st.bound).Sequence; got > before+1 {
		t.Errorf("%s: the session went from %d to %d", d, before, got)
	}
	d.check(t, box)
	return len(box.Messages())
}

// check looks at the messages, which all say the same.
func (d death) check(t *testing.T, box *inbox.Inbox) {
	t.Helper()
	all := box.Messages()
	for _, m := range all {
		if m.Code != all[0].Code {
			t.Errorf("%s: messages with different codes left", d)
		}
	}
	if len(all) > 1 && !d.plain {
		t.Errorf("%s: %d messages left", d, len(all))
	}
	if sends := strings.HasSuffix(d.call, "is sent"); sends != (len(all) > 0) {
		t.Errorf("%s: %d messages left", d, len(all))
	}
}

// newTableLike returns an empty store of the same kind.
func newTableLike(t *testing.T, tb table.Table) table.Table {
	t.Helper()
	if _, embedded := tb.(interface{ Close() error }); embedded {
		return apptest.Bolt(t)
	}
	return apptest.Dynamo(t, dynamo.Options{})
}
