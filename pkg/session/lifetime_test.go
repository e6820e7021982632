package session_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

func TestLifetimeCountsFromTheChangeThatSetsIt(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.NewSession(t, session.Create{})
	if at := s.View(t, r.SessionID).ExpiresAt; !at.IsZero() {
		t.Errorf("without a lifetime it expires at %v", at)
	}
	for _, d := range []time.Duration{time.Hour, 2 * time.Hour, time.Minute} { // set, extend, shorten
		s.Clock.Advance(10 * time.Second)
		s.Set(t, r.SessionID, lifetime(d))
		want := s.Clock.Now().Add(d)
		s.Set(t, r.SessionID, metadata("at", fmt.Sprint(d))) // does not extend
		if at := s.View(t, r.SessionID).ExpiresAt; !at.Equal(want) {
			t.Errorf("after %v it expires at %v, want %v", d, at, want)
		}
	}
}

func TestLifetimeMustBePositive(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.NewSession(t, session.Create{})
	for _, d := range []time.Duration{0, -1, -time.Hour} {
		_, err := s.TrySet(r.SessionID, lifetime(d))
		apptest.WantFault(t, err, wire(fault.InvalidArgument, "COMMAND-asEG4", "Session lifetime must not be less than 0"))
	}
}

// TestS5_ExpiredSessionIsRefusedEverywhereThoughItsRowIsThere stands on the last
// microsecond of a life and just behind it.
func TestS5_ExpiredSessionIsRefusedEverywhereThoughItsRowIsThere(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		step := apptest.NamedGuess(u.ID, apptest.Password)
		step.Lifetime = lifetime(time.Hour).Lifetime
		r := s.NewSession(t, session.Create{Step: step})
		s.Clock.Advance(time.Hour)
		if _, err := s.Sessions.Authenticate(t.Context(), r.Token); err != nil {
			t.Errorf("refused in the last moment of its life: %v", err)
		}
		s.Clock.Advance(time.Microsecond)
		_, err := s.Sessions.Authenticate(t.Context(), r.Token)
		apptest.WantFault(t, err, wire(fault.PermissionDenied, "AUTHZ-EGDo3", "session expired"))
		for _, step := range []session.Step{
			{}, lifetime(time.Hour), metadata("k", "v"), apptest.Named(u.ID), apptest.Guess(apptest.Password), apptest.Guess("no"),
		} {
			_, err := s.TrySet(r.SessionID, step)
			apptest.WantFault(t, err, expired)
		}
		if loaded, err := s.Users.Get(t.Context(), apptest.Admin(), u.ID); err != nil || len(loaded.Guard.Attempts) > 0 {
			t.Errorf("a guess on an expired session counted: %v, %v", loaded, err)
		}
		if v := s.View(t, r.SessionID); !v.ExpiresAt.Equal(apptest.Epoch().Add(time.Hour)) {
			t.Errorf("Get returns it with expiry %v", v.ExpiresAt)
		}
		if l := list(t, s, apptest.Admin(), session.Search{}); l.Total != 1 || !l.Sessions[0].ExpiresAt.Before(l.At) {
			t.Errorf("the list has %d, want the one, with an expiry before the list's own time", l.Total)
		}
		if _, err := s.Sessions.Delete(t.Context(), apptest.Admin(), r.SessionID, r.Token); err != nil {
			t.Errorf("it cannot be deleted: %v", err)
		}
	})
}

func TestMetadataMergesAndAnEmptyValueDeletes(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := s.NewSession(t, session.Create{Step: metadata("a", "1", "b", "2", "never", "")})
	for i, c := range []struct {
		set  session.Step
		want map[string][]byte
	}{
		{metadata("c", "3"), metadata("a", "1", "b", "2", "c", "3").Metadata},
		{metadata("a", "4", "b", ""), metadata("a", "4", "c", "3").Metadata},
		{lifetime(time.Hour), metadata("a", "4", "c", "3").Metadata},
		{metadata("a", "", "c", ""), nil},
	} {
		s.Set(t, r.SessionID, c.set)
		if diff := cmp.Diff(c.want, s.View(t, r.SessionID).Metadata); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestMetadataLimits(t *testing.T) {
	t.Parallel()
	many := func(n int, prefix string) session.Step {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprint(prefix, i), "v")
		}
		return metadata(pairs...)
	}
	const (
		count = "STEPUP-metadata-count"
		key   = "STEPUP-metadata-key"
		value = "STEPUP-metadata-value"
	)
	for name, c := range map[string]struct {
		stored, set session.Step
		want        string
	}{
		"64 keys":                     {session.Step{}, many(64, "k"), ""},
		"65 keys at once":             {session.Step{}, many(65, "k"), count},
		"65 keys over time":           {many(64, "k"), metadata("one more", "v"), count},
		"64 keys with a change":       {many(64, "k"), metadata("k0", "w"), ""},
		"one for another":             {many(64, "k"), metadata("k0", "", "one more", "v"), ""},
		"key of 200 characters":       {session.Step{}, metadata(strings.Repeat("ä", 200), "v"), ""},
		"key of 201 characters":       {session.Step{}, metadata(strings.Repeat("ä", 201), "v"), key},
		"empty key":                   {session.Step{}, metadata("", "v"), key},
		"value of 4096 bytes":         {session.Step{}, metadata("k", strings.Repeat("v", 4096)), ""},
		"value of 4097 bytes":         {session.Step{}, metadata("k", strings.Repeat("v", 4097)), value},
		"as much as can be":           {session.Step{}, session.Step{Metadata: fullest()}, ""},
		"delete under a key too long": {session.Step{}, metadata(strings.Repeat("k", 201), ""), key},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			r := s.NewSession(t, session.Create{Step: c.stored})
			before := s.View(t, r.SessionID)
			_, err := s.TrySet(r.SessionID, c.set)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if f := fault.From(err); f == nil || f.ID != c.want || f.Kind != fault.InvalidArgument {
				t.Errorf("got %v, want %s", err, c.want)
			}
			equal(t, s.View(t, r.SessionID), before)
		})
	}
}

// fullest is the largest metadata that the limits allow.
func fullest() map[string][]byte {
	m := make(map[string][]byte)
	for i := range 64 {
		m[strings.Repeat("\U0001F511", 198)+fmt.Sprintf("%02d", i)] = make([]byte, 4096)
	}
	for _, v := range m {
		v[0] = 1
	}
	return m
}

func TestFullestSessionFitsItsItem(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u := s.NewUser(t, "ada@example.com")
		step := apptest.Named(u.ID)
		step.Metadata = fullest()
		step.Lifetime = lifetime(time.Hour).Lifetime
		agent := session.UserAgent{
			Fingerprint: strings.Repeat("\U0001F511", 200),
			Header:      map[string][]string{"h": make([]string, 16<<10-800-2)},
		}
		r := s.NewSession(t, session.Create{Step: step, Agent: agent})
		if v := s.View(t, r.SessionID); len(v.Metadata) != 64 {
			t.Errorf("%d keys came back", len(v.Metadata))
		}
	})
}

func TestUserAgentLimits(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for name, a := range map[string]session.UserAgent{
		"fingerprint of 201 characters":  {Fingerprint: strings.Repeat("x", 201)},
		"description over 16 KiB":        {Description: strings.Repeat("x", 16<<10+1)},
		"header over 16 KiB":             {Header: map[string][]string{"h": {strings.Repeat("x", 16<<10)}}},
		"very many empty header values":  {Header: map[string][]string{"h": make([]string, 16<<10)}},
		"header without a name":          {Header: map[string][]string{"": {"x"}}},
		"header without name and values": {Header: map[string][]string{"": nil}},
	} {
		_, err := s.Sessions.Create(t.Context(), apptest.Admin(), session.Create{Agent: a})
		if f := fault.From(err); f == nil || f.ID != "STEPUP-user-agent" || f.Kind != fault.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPasswordChangeDropsThePasswordFactorAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUser(t, "ada@example.com")
	r := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
	s.Clock.Advance(time.Second)
	const changed = "another good password"
	_, err := s.Users.SetPassword(t.Context(), apptest.Admin(), u.ID, user.PasswordChange{New: user.NewPassword{Plain: changed}})
	if err != nil {
		t.Fatal(err)
	}
	v := s.View(t, r.SessionID)
	if !v.Factors.Password.IsZero() || v.Factors.User.ID != u.ID || v.Sequence != 1 {
		t.Errorf("factors %+v at sequence %d", v.Factors, v.Sequence)
	}
	if l := list(t, s, apptest.Admin(), session.Search{}); l.Total != 1 || !l.Sessions[0].Factors.Password.IsZero() {
		t.Errorf("the list still shows the factor")
	}
	_, err = s.Sessions.Authenticate(t.Context(), r.Token)
	apptest.WantFault(t, err, wire(fault.PermissionDenied, "AUTHZ-Kl3p0", "authentication required"))
	if _, err := s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, r.Token); err != nil {
		t.Errorf("the token is dead: %v", err)
	}
	s.Set(t, r.SessionID, lifetime(time.Hour)) // writes the session
	if at := s.View(t, r.SessionID).Factors.Password; !at.IsZero() {
		t.Errorf("the factor came back at %v", at)
	}
	s.Set(t, r.SessionID, apptest.Guess(changed))
	if at := s.View(t, r.SessionID).Factors.Password; !at.Equal(s.Clock.Now()) {
		t.Errorf("the new password counts at %v", at)
	}
}
