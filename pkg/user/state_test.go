package user_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// transition is one of the operations on a user's state.
type transition = func(*apptest.Service, *testing.T, access.Caller, string) error

var transitions = map[string]transition{
	"lock": func(s *apptest.Service, t *testing.T, c access.Caller, id string) error {
		_, err := s.Users.Lock(t.Context(), c, id)
		return err
	},
	"unlock": func(s *apptest.Service, t *testing.T, c access.Caller, id string) error {
		_, err := s.Users.Unlock(t.Context(), c, id)
		return err
	},
	"deactivate": func(s *apptest.Service, t *testing.T, c access.Caller, id string) error {
		_, err := s.Users.Deactivate(t.Context(), c, id)
		return err
	},
	"reactivate": func(s *apptest.Service, t *testing.T, c access.Caller, id string) error {
		_, err := s.Users.Reactivate(t.Context(), c, id)
		return err
	},
	"delete": func(s *apptest.Service, t *testing.T, c access.Caller, id string) error {
		_, err := s.Users.Delete(t.Context(), c, id)
		return err
	},
}

func TestStateChangesAllowedAndRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []string
		want  string // id of the last step's fault
		state user.State
	}{
		"lock":                     {[]string{"lock"}, "", user.StateLocked},
		"lock twice":               {[]string{"lock", "lock"}, "COMMAND-lgws8wtsqf", user.StateLocked},
		"lock while inactive":      {[]string{"deactivate", "lock"}, "COMMAND-lgws8wtsqf", user.StateInactive},
		"unlock":                   {[]string{"lock", "unlock"}, "", user.StateActive},
		"unlock an active one":     {[]string{"unlock"}, "COMMAND-olb9vb0oca", user.StateActive},
		"unlock an inactive one":   {[]string{"deactivate", "unlock"}, "COMMAND-olb9vb0oca", user.StateInactive},
		"deactivate":               {[]string{"deactivate"}, "", user.StateInactive},
		"deactivate twice":         {[]string{"deactivate", "deactivate"}, "COMMAND-5gunjw0cd7", user.StateInactive},
		"deactivate a locked one":  {[]string{"lock", "deactivate"}, "", user.StateInactive},
		"reactivate":               {[]string{"deactivate", "reactivate"}, "", user.StateActive},
		"reactivate an active one": {[]string{"reactivate"}, "COMMAND-s5qqcz97hf", user.StateActive},
		"reactivate a locked one":  {[]string{"lock", "reactivate"}, "COMMAND-s5qqcz97hf", user.StateLocked},
		"delete":                   {[]string{"delete"}, "", user.StateDeleted},
		"delete a locked one":      {[]string{"lock", "delete"}, "", user.StateDeleted},
		"delete twice":             {[]string{"delete", "delete"}, "QUERY-Dfbg2", user.StateDeleted},
		"lock a deleted one":       {[]string{"delete", "lock"}, "QUERY-Dfbg2", user.StateDeleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			u := create(t, s, human("ada"))
			var err error
			for i, step := range c.steps {
				s.Clock.Advance(time.Second)
				if err = transitions[step](s, t, apptest.Admin(), u.ID); err != nil && i < len(c.steps)-1 {
					t.Fatal(err)
				}
			}
			id := ""
			if err != nil {
				id = fault.From(err).ID
			}
			if id != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
			after, err := s.Users.Get(t.Context(), apptest.Admin(), u.ID)
			if c.state == user.StateDeleted {
				wantID(t, err, fault.NotFound, "QUERY-Dfbg2")
				return
			}
			if after.Guard.State != c.state {
				t.Errorf("state %v, want %v", after.Guard.State, c.state)
			}
		})
	}
}

func TestUnlockForgetsFailuresOfAnActiveUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.NewUserCheap(t, "ada@example.com")
	wantID(t, signIn(t, s, u.ID, "no"), fault.InvalidArgument, "COMMAND-3M0fs")
	if err := transitions["unlock"](s, t, apptest.Admin(), u.ID); err != nil {
		t.Fatal(err)
	}
	if g := get(t, s, u.ID).Guard; len(g.Attempts) != 0 || g.State != user.StateActive {
		t.Errorf("guard %+v", g)
	}
}

// TestS6_EndingAUserEndsAllSessionsByOneWrite counts writes while the user has three
// sessions, and then uses each session in every way.
func TestS6_EndingAUserEndsAllSessionsByOneWrite(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lock", "deactivate", "delete"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				meter := tabletest.NewMeter(tb, 0)
				s := apptest.New(t, apptest.Options{Table: meter})
				u := s.NewUserCheap(t, "ada@example.com")
				var sessions []session.Result
				for range 3 {
					sessions = append(sessions, s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)}))
				}
				meter.Reset()
				if err := transitions[name](s, t, apptest.Admin(), u.ID); err != nil {
					t.Fatal(err)
				}
				if got := meter.Calls().Write; got != 1 {
					t.Errorf("it took %d writes", got)
				}
				for _, r := range sessions {
					wantDead(t, s, r)
				}
				l, err := s.Sessions.List(t.Context(), apptest.Admin(), session.Search{})
				if err != nil || l.Total != 0 {
					t.Errorf("%d sessions are listed, %v", l.Total, err)
				}
			})
		})
	}
}

// wantDead uses a session in every way and expects to be refused.
func wantDead(t *testing.T, s *apptest.Service, r session.Result) {
	t.Helper()
	_, err := s.Sessions.Authenticate(t.Context(), r.Token)
	wantID(t, err, fault.Unauthenticated, "AUTH-7fs1e")
	for _, token := range []string{"", r.Token} {
		_, err = s.Sessions.Get(t.Context(), apptest.Admin(), r.SessionID, token)
		wantID(t, err, fault.NotFound, "QUERY-SFeaa")
	}
	_, err = s.TrySet(r.SessionID, session.Step{Metadata: map[string][]byte{"k": []byte("v")}})
	wantID(t, err, fault.FailedPrecondition, "COMMAND-Hewfq")
}

func TestS6_EndedSessionsStayEndedWhenTheUserComesBack(t *testing.T) {
	t.Parallel()
	for end, back := range map[string]string{"lock": "unlock", "deactivate": "reactivate"} {
		s := newService(t)
		u := s.NewUser(t, "ada@example.com")
		r := s.NewSession(t, session.Create{Step: apptest.NamedGuess(u.ID, apptest.Password)})
		for _, step := range []string{end, back} { // in the same moment
			if err := transitions[step](s, t, apptest.Admin(), u.ID); err != nil {
				t.Fatal(err)
			}
		}
		wantDead(t, s, r)
		if err := signIn(t, s, u.ID, apptest.Password); err != nil {
			t.Errorf("%s, %s: no new session: %v", end, back, err)
		}
	}
}

func TestS6_RecreatedUserDoesNotReviveSessions(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		n := human("ada")
		n.ID, n.Password.Hash = "ada", apptest.CheapHash(t, apptest.Password)
		create(t, s, n)
		first := s.NewSession(t, session.Create{Step: apptest.NamedGuess("ada", apptest.Password)})
		s.Clock.Advance(time.Microsecond) // an epoch is a time
		if err := transitions["delete"](s, t, apptest.Admin(), "ada"); err != nil {
			t.Fatal(err)
		}
		u := create(t, s, n)
		if u.Guard.Version != 1 || len(u.Guard.Attempts) != 0 {
			t.Errorf("the new life begins with %+v", u.Guard)
		}
		wantDead(t, s, first)
		second := s.NewSession(t, session.Create{Step: apptest.NamedGuess("ada", apptest.Password)})
		if _, err := s.Sessions.Authenticate(t.Context(), second.Token); err != nil {
			t.Errorf("a session of the new life: %v", err)
		}
	})
}

func TestDeletedUserLeavesNoTrace(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	u := s.NewUserCheap(t, "ada@example.com")
	if err := transitions["delete"](s, t, apptest.Admin(), u.ID); err != nil {
		t.Fatal(err)
	}
	rest := apptest.Dump(t, tb)
	guard := table.Key{PK: "USR#" + u.ID, SK: "GUARD"}
	if _, kept := rest[guard]; !kept || len(rest) != 1 {
		t.Errorf("left: %v", rest)
	}
	if _, swept := rest[guard]["ttl"].(int64); !swept {
		t.Errorf("the guard stays for ever: %v", rest[guard])
	}
	l, err := s.Users.List(t.Context(), apptest.Admin(), user.Filter{IDs: []string{u.ID}})
	if err != nil || l.Total != 0 {
		t.Errorf("listed %d, %v", l.Total, err)
	}
}

func TestWhoMayChangeAUsersState(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		caller access.Caller
		want   map[string]string // id of the fault; "" is success
	}{
		"owner":               {apptest.Admin(), map[string]string{"lock": "", "deactivate": "", "delete": ""}},
		"login client":        {access.Caller{Role: access.IAMLoginClient}, map[string]string{"lock": "", "deactivate": "", "delete": "AUTH-AWfge"}},
		"own org's manager":   {access.Caller{Role: access.OrgUserManager, Organization: "red"}, map[string]string{"lock": "", "deactivate": "", "delete": ""}},
		"other org's manager": {access.Caller{Role: access.OrgUserManager, Organization: "blue"}, map[string]string{"lock": "QUERY-Dfbg2", "deactivate": "QUERY-Dfbg2", "delete": "QUERY-Dfbg2"}},
		"viewer":              {access.Caller{Role: access.IAMOwnerViewer}, map[string]string{"lock": "AUTH-AWfge", "deactivate": "AUTH-AWfge", "delete": "AUTH-AWfge"}},
		"the user":            {self("ada"), map[string]string{"lock": "AUTH-AWfge", "unlock": "AUTH-AWfge", "deactivate": "AUTH-AWfge", "delete": "STEPUP-reauthenticate"}},
	} {
		for operation, want := range c.want {
			s := newService(t)
			n := human("ada")
			n.ID = "ada"
			create(t, s, n)
			err := transitions[operation](s, t, c.caller, "ada")
			got := ""
			if err != nil {
				got = fault.From(err).ID
			}
			if got != want {
				t.Errorf("%s by %s: got %q, want %q", operation, name, got, want)
			}
		}
	}
}
