package session_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// person is who gets codes over both channels: the number tells users apart.
type person struct {
	n            int
	organization string
	number       string
	ip           string
}

func (p person) text() string {
	if p.number != "" {
		return p.number
	}
	return fmt.Sprintf("+4179123%04d", p.n)
}

// openFor creates the person, unless they exist, and a session of theirs.
func openFor(t *testing.T, s *apptest.Service, p person) (sessionID string) {
	t.Helper()
	id := fmt.Sprint("user-", p.n)
	if _, err := s.Users.Get(t.Context(), apptest.Admin(), id); err != nil {
		_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
			ID: id, Username: id, Organization: p.organization,
			Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
			Email:   user.Contact{Address: id + "@example.com", Verified: true},
			Phone:   user.Contact{Address: p.text(), Verified: true},
		})
		check(t, err)
		_, err = s.Users.AddSMSCodes(t.Context(), apptest.Admin(), id)
		check(t, err)
		_, err = s.Users.AddEmailCodes(t.Context(), apptest.Admin(), id)
		check(t, err)
	}
	create := session.Create{Step: apptest.Named(id)}
	if p.ip != "" {
		create.Agent.IP = netip.MustParseAddr(p.ip)
	}
	return s.NewSession(t, create).SessionID
}

// caps is a row for each count of the day: what fills it, what it then refuses, and what
// it leaves alone.
var caps = map[string]struct {
	env     map[string]string
	full    *fault.Fault
	first   person
	refused person
	passes  []person
}{
	"organization": {
		env:  map[string]string{"STEPUP_SEND_ORGANIZATION_PER_DAY": "1", "STEPUP_ORGANIZATIONS": "default,other"},
		full: sending.ErrOrganization, refused: person{n: 2}, passes: []person{{n: 3, organization: "other"}},
	},
	"country": {
		env:  map[string]string{"STEPUP_SMS_COUNTRY_PER_DAY": "1"},
		full: sending.ErrCountry, refused: person{n: 2}, passes: []person{{n: 3, number: "+16502530000"}},
	},
	"network": {
		env:  map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"},
		full: sending.ErrNetwork, first: person{ip: "203.0.113.7"}, refused: person{n: 2, ip: "203.0.113.99"},
		passes: []person{{n: 3, ip: "203.0.112.7"}, {n: 4}, {n: 5, ip: "2001:db8::1"}},
	},
	"network of IPv6": {
		env:  map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"},
		full: sending.ErrNetwork, first: person{ip: "2001:db8::1"}, refused: person{n: 2, ip: "2001:db8::2:3:4:5"},
		passes: []person{{n: 3, ip: "2001:db8:0:1::1"}},
	},
	"IPv4 in IPv6": {
		env:  map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"},
		full: sending.ErrNetwork, first: person{ip: "203.0.113.7"}, refused: person{n: 2, ip: "::ffff:203.0.113.8"},
	},
	"USD": { // 0.07 for Switzerland, so that a second one does not fit, and one for 0.02 does
		env:  map[string]string{"STEPUP_SMS_BUDGET_USD": "0.10", "STEPUP_SMS_PRICES": "+41=0.07,+1=0.02,*=0.25"},
		full: sending.ErrBudget, refused: person{n: 2}, passes: []person{{n: 3, number: "+16502530000"}},
	},
}

// TestL6_OneCannotUseUpTheMessagesOfAnother fills each count of the day: it refuses its
// own, until the next day, and nobody else, and never the other channel.
func TestL6_OneCannotUseUpTheMessagesOfAnother(t *testing.T) {
	t.Parallel()
	sms := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
	mail := session.Step{Challenges: asking(sending.Email, session.RequestCode{})}
	for name, row := range caps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.New(t, apptest.Options{Env: row.env})
			_, err := s.TrySet(openFor(t, s, row.first), sms)
			check(t, err)
			over := openFor(t, s, row.refused)
			before := s.View(t, over)
			_, err = s.TrySet(over, sms)
			f := refused(t, err, row.full.ID)
			if f.Kind != fault.ResourceExhausted || f.RetryAfter != 12*time.Hour {
				t.Errorf("refused with %v and %v to wait, want midnight", f.Kind, f.RetryAfter)
			}
			if after := s.View(t, over); after.Revision != before.Revision || len(s.Inbox.Messages()) != 1 {
				t.Error("the refusal left something behind")
			}
			for _, p := range row.passes {
				_, err = s.TrySet(openFor(t, s, p), sms)
				check(t, err)
			}
			_, err = s.TrySet(over, mail)
			check(t, err)
			s.Clock.Advance(12 * time.Hour)
			_, err = s.TrySet(over, sms)
			check(t, err)
		})
	}
}

// TestL6_AUserHasCapsOverAllAddresses gives the user another number after the first
// message, some time after noon.
func TestL6_AUserHasCapsOverAllAddresses(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		env  map[string]string
		wait time.Duration
	}{
		"an hour": {map[string]string{"STEPUP_SEND_USER_PER_HOUR": "1"}, 50 * time.Minute},
		"a day":   {map[string]string{"STEPUP_SEND_USER_PER_DAY": "1"}, 11*time.Hour + 50*time.Minute},
		"both":    {map[string]string{"STEPUP_SEND_USER_PER_HOUR": "1", "STEPUP_SEND_USER_PER_DAY": "1"}, 11*time.Hour + 50*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				s := apptest.New(t, apptest.Options{Table: tb, Env: row.env})
				s.Clock.Advance(10 * time.Minute)
				step := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
				_, err := s.TrySet(openFor(t, s, person{}), step)
				check(t, err)
				_, err = s.Users.Update(t.Context(), apptest.Admin(), "user-0", user.Update{Phone: &user.Contact{Address: "+41791239999", Verified: true}})
				check(t, err)
				over := openFor(t, s, person{})
				_, err = s.TrySet(over, step)
				if f := refused(t, err, sending.ErrUser.ID); f.RetryAfter != row.wait {
					t.Errorf("has to wait %v, want %v", f.RetryAfter, row.wait)
				}
				_, err = s.TrySet(openFor(t, s, person{n: 1}), step)
				check(t, err)
				s.Clock.Advance(row.wait)
				_, err = s.TrySet(over, step)
				check(t, err)
			})
		})
	}
}

// TestL5_TheNetworkIsOnlyWhatTheCreatorOfTheSessionTold sends a header that claims
// another network with every session; the agent's headers are what a browser sent.
func TestL5_TheNetworkIsOnlyWhatTheCreatorOfTheSessionTold(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"}})
	for n, want := range []*fault.Fault{nil, sending.ErrNetwork, sending.ErrNetwork} {
		openFor(t, s, person{n: n})
		r := s.NewSession(t, session.Create{
			Step: apptest.Named(fmt.Sprint("user-", n)),
			Agent: session.UserAgent{
				IP:     netip.MustParseAddr("203.0.113.7"),
				Header: map[string][]string{"x-forwarded-for": {fmt.Sprintf("198.51.%d.1", n)}, "forwarded": {fmt.Sprintf("for=198.51.%d.1", n)}},
			},
		})
		_, err := s.TrySet(r.SessionID, session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
		if want == nil {
			check(t, err)
		} else {
			refused(t, err, want.ID)
		}
	}
}

// TestL6_EveryCapIsExactUnder200ParallelRequests lets 200 requests of 200 people, who
// share everything, race for 7 messages, under one cap at a time.
func TestL6_EveryCapIsExactUnder200ParallelRequests(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		first := apptest.New(t, apptest.Options{Table: tb})
		ids := make([]string, 200)
		for n := range ids {
			ids[n] = openFor(t, first, person{n: n, ip: "203.0.113.7"})
		}
		for day, env := range []map[string]string{
			{"STEPUP_SEND_ORGANIZATION_PER_DAY": "7"},
			{"STEPUP_SMS_COUNTRY_PER_DAY": "7"},
			{"STEPUP_SEND_NETWORK_PER_DAY": "7"},
			{"STEPUP_SMS_BUDGET_USD": "0.70", "STEPUP_SMS_PRICES": "*=0.10"},
		} {
			s := apptest.New(t, apptest.Options{Table: tb, Ring: first.Ring, Env: env})
			s.Clock.Advance(time.Duration(day) * 24 * time.Hour) // a day in which nobody was sent anything
			if passed := race(t, s, ids); passed != 7 || len(s.Inbox.Messages()) != 7 {
				t.Errorf("%v: %d requests passed and %d messages left, want 7", env, passed, len(s.Inbox.Messages()))
			}
		}
	})
}

// TestL6_AUsersCapsAreExactUnder200ParallelRequests lets 200 sessions of one user race,
// with all other limits out of their way.
func TestL6_AUsersCapsAreExactUnder200ParallelRequests(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		first := apptest.New(t, apptest.Options{Table: tb})
		ids := make([]string, 200)
		for n := range ids {
			ids[n] = openFor(t, first, person{})
		}
		for day, name := range []string{"STEPUP_SEND_USER_PER_HOUR", "STEPUP_SEND_USER_PER_DAY"} {
			s := apptest.New(t, apptest.Options{Table: tb, Ring: first.Ring, Env: map[string]string{
				name: "7", "STEPUP_SEND_COOLDOWN": "1us", "STEPUP_SEND_PER_HOUR": "1000", "STEPUP_SEND_PER_DAY": "1000",
			}})
			s.Clock.Advance(time.Duration(day) * 24 * time.Hour)
			if passed := race(t, s, ids); passed != 7 || len(s.Inbox.Messages()) != 7 {
				t.Errorf("%s: %d requests passed and %d messages left, want 7", name, passed, len(s.Inbox.Messages()))
			}
		}
	})
}

// race asks for a code in each session at once, and then again for those who lost too
// many races, and returns how many passed. Each is a moment later than the one before.
func race(t *testing.T, s *apptest.Service, ids []string) int {
	t.Helper()
	ask := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
	var passed atomic.Int32
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			s.Clock.Advance(time.Microsecond)
			_, err := s.TrySet(id, ask)
			switch f := fault.From(err); {
			case err == nil:
				passed.Add(1)
			case f.Kind != fault.ResourceExhausted && f.ID != fault.Conflict.ID:
				t.Errorf("refused with %v", err)
			}
		})
	}
	all.Wait()
	for _, id := range ids {
		s.Clock.Advance(time.Microsecond)
		if _, err := s.TrySet(id, ask); err == nil {
			passed.Add(1)
		}
	}
	return int(passed.Load())
}

// TestARefusedMessageGivesEveryCountBack has the provider refuse what fills all counts.
func TestARefusedMessageGivesEveryCountBack(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{
			"STEPUP_SEND_USER_PER_HOUR": "1", "STEPUP_SEND_USER_PER_DAY": "1", "STEPUP_SEND_ORGANIZATION_PER_DAY": "1", "STEPUP_SMS_COUNTRY_PER_DAY": "1",
			"STEPUP_SEND_NETWORK_PER_DAY": "1", "STEPUP_SMS_BUDGET_USD": "0.10", "STEPUP_SMS_PRICES": "*=0.10",
		}})
		id := openFor(t, s, person{ip: "203.0.113.7"})
		step := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
		for range 2 {
			s.Inbox.FailNext(notify.ErrSMSUnavailable)
			_, err := s.TrySet(id, step)
			refused(t, err, notify.ErrSMSUnavailable.ID)
		}
		_, err := s.TrySet(id, step)
		check(t, err)
	})
}
