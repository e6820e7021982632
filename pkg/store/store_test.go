package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/pkg/user"
)

const sessionID = "0123456789abcdefghjkmnpqr0"

// fullSession is a session with every field set.
func fullSession() *session.Session {
	now := apptest.Epoch()
	return &session.Session{
		ID: sessionID, Creator: "app", Created: now, Changed: now.Add(time.Microsecond), Sequence: 3, Revision: 7,
		TokenID: session.TokenID{1, 2, 3}, ExpiresAt: now.Add(time.Hour), Limited: true, Asked: now.Add(2 * time.Hour),
		Factors: session.Factors{
			User:     session.UserFactor{ID: "ada", Organization: "red", VerifiedAt: now.Add(time.Second), Epoch: 42, Counted: true},
			Password: now.Add(time.Minute), PasswordSet: now.Add(time.Millisecond),
			TOTP:     now.Add(2 * time.Minute),
			SMS:      now.Add(3 * time.Minute),
			Email:    now.Add(4 * time.Minute),
			Recovery: now.Add(5 * time.Minute),
		},
		Challenges: session.Challenges{
			SMS:   otp.Challenge{ID: otp.ChallengeID{1}, KeyID: "k1", ExpiresAt: now, Tries: 2, Region: "+41"},
			Email: otp.Challenge{ID: otp.ChallengeID{2}, KeyID: "k2", ExpiresAt: now.Add(time.Second)},
		},
		Metadata: map[string][]byte{"a": {0}, "b.c": []byte("d"), "PK": []byte("x")},
		Agent: session.UserAgent{
			Fingerprint: "device", IP: netip.MustParseAddr("192.0.2.1"), Description: "Firefox",
			Header: map[string][]string{"accept": {"a", ""}, "dnt": {}},
		},
	}
}

// fullUser is a user with every field set.
func fullUser() *user.User {
	now := apptest.Epoch()
	return &user.User{
		ID: "ada", Organization: "red", Username: "Ada", Created: now,
		Profile: user.Profile{
			GivenName: "Ada", FamilyName: "Lovelace", NickName: "A", DisplayName: "Countess", Language: "en", Gender: 2,
		},
		Email:    user.Contact{Address: "Ada@example.com", Verified: true},
		Phone:    user.Contact{Address: "+41791234567", Verified: true},
		Password: user.Password{Hash: "$hash", ChangeRequired: true},
		TOTP:     user.TOTP{Sealed: []byte("sealed"), Confirmed: true},
		SMSCodes: true, EmailCodes: true,
		Guard: user.Guard{
			TOTPStep:      58_000_000,
			RecoveryCodes: []otp.RecoveryMAC{{KeyID: "k1", Sum: [32]byte{1}}, {KeyID: "k2", Sum: [32]byte{2}}},
			Codes: map[sending.Purpose]otp.Challenge{
				sending.VerifyEmail: {ID: otp.ChallengeID{3}, KeyID: "k1", ExpiresAt: now, Tries: 1},
				sending.VerifyPhone: {ID: otp.ChallengeID{4}, KeyID: "k2", ExpiresAt: now, Region: "+423"},
			},
			UserID: "ada", Version: 9, Changed: now, State: user.StateLocked, Epoch: 42, PasswordChanged: now,
			Agents: map[string]int64{"phone": 43, "laptop": 44}, Sessions: []string{"one", "two"},
			Attempts: map[user.Authenticator]user.Attempts{"password": {Failures: 11, LockedUntil: now}, "other": {Failures: 1}},
		},
	}
}

var compare = cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

func load(t *testing.T, s *store.Store, r session.Ref) session.Loaded {
	t.Helper()
	l, err := s.Load(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func save(t *testing.T, s *store.Store, old, changed *user.User) {
	t.Helper()
	if err := s.SaveUser(t.Context(), user.Change{Old: old, New: changed}); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, s *store.Store, c session.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFieldComesBack(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		save(t, s, nil, fullUser())
		commit(t, s, session.Change{New: fullSession()})
		got := load(t, s, session.Ref{SessionID: sessionID, Depth: session.WholeUser})
		u := fullUser()
		want := session.Loaded{Session: fullSession(), User: u, Guard: &u.Guard}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("loaded (-want +got):\n%s", diff)
		}
		all, err := s.Sessions(t.Context(), []string{"unknown", sessionID})
		if diff := cmp.Diff([]*session.Session{fullSession()}, all, compare); err != nil || diff != "" {
			t.Errorf("%v, sessions (-want +got):\n%s", err, diff)
		}
		users, err := s.Users(t.Context(), []string{"ada", "unknown", "ada"})
		if diff := cmp.Diff([]*user.User{fullUser()}, users, compare); err != nil || diff != "" {
			t.Errorf("%v, users (-want +got):\n%s", err, diff)
		}
	})
}

func TestLoadReadsWhatTheReferenceNames(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, rand.Reader)
	ada, bob := fullUser(), fullUser()
	bob.ID, bob.Username, bob.Guard.UserID, bob.Email.Address = "bob", "Bob", "bob", ""
	save(t, s, nil, ada)
	save(t, s, nil, bob)
	bound, free := fullSession(), fullSession()
	free.ID, free.Factors = "00000000000000000000000000", session.Factors{}
	commit(t, s, session.Change{New: bound})
	commit(t, s, session.Change{New: free})
	for name, c := range map[string]struct {
		ref  session.Ref
		want session.Loaded
	}{
		"nothing":                  {session.Ref{}, session.Loaded{}},
		"unknown session":          {session.Ref{SessionID: "unknown"}, session.Loaded{}},
		"free session":             {session.Ref{SessionID: free.ID, Depth: session.WholeUser}, session.Loaded{Session: free}},
		"bound session":            {session.Ref{SessionID: bound.ID}, session.Loaded{Session: bound, Guard: &ada.Guard}},
		"bound session with user":  {session.Ref{SessionID: bound.ID, Depth: session.WholeUser}, session.Loaded{Session: bound, Guard: &ada.Guard, User: ada}},
		"user by id":               {session.Ref{UserID: "bob", Depth: session.WholeUser}, session.Loaded{User: bob}},
		"user by login name":       {session.Ref{LoginName: "BOB", Depth: session.WholeUser}, session.Loaded{User: bob}},
		"unknown login name":       {session.Ref{LoginName: "eve", Depth: session.WholeUser}, session.Loaded{}},
		"free session, named user": {session.Ref{SessionID: free.ID, UserID: "bob", Depth: session.WholeUser}, session.Loaded{Session: free, User: bob}},
		"bound session, same user": {session.Ref{SessionID: bound.ID, LoginName: "ada", Depth: session.WholeUser}, session.Loaded{Session: bound, Guard: &ada.Guard, User: ada}},
		"bound session, other user": {session.Ref{SessionID: bound.ID, UserID: "bob", Depth: session.WholeUser},
			session.Loaded{Session: bound, Guard: &ada.Guard, User: bob}},
		"bound session, unknown user": {session.Ref{SessionID: bound.ID, UserID: "eve", Depth: session.WholeUser},
			session.Loaded{Session: bound, Guard: &ada.Guard}},
	} {
		for _, warm := range []bool{true, false} {
			reader := s
			if !warm {
				reader = store.New(tb, rand.Reader)
			}
			if diff := cmp.Diff(c.want, load(t, reader, c.ref), compare); diff != "" {
				t.Errorf("%s, warm %t (-want +got):\n%s", name, warm, diff)
			}
		}
	}
}

func TestCommitIsRefusedWhenTheSessionOrItsUserMovedOn(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		u, sess := fullUser(), fullSession()
		save(t, s, nil, u)
		commit(t, s, session.Change{New: sess})
		next := sess.Clone()
		next.Revision++
		stale, other, later := sess.Clone(), sess.Clone(), u.Clone()
		stale.Revision--
		other.TokenID[0]++
		later.Guard.Version++
		for name, c := range map[string]session.Change{
			"session exists":         {New: other},
			"session moved on":       {Old: stale, New: next},
			"relied-on user is new":  {Old: sess, New: next, OldUser: later, NewUser: later, Rely: true},
			"reliance alone":         {OldUser: later, NewUser: later, Rely: true},
			"changed user is new":    {Old: sess, New: next, OldUser: later, NewUser: moved(later)},
			"session of changed one": {Old: stale, New: next, OldUser: u, NewUser: later},
		} {
			if err := s.Commit(t.Context(), c); !errors.Is(err, fault.Conflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := session.Loaded{Session: sess, User: u, Guard: &u.Guard}
		if diff := cmp.Diff(want, load(t, s, session.Ref{SessionID: sessionID, Depth: session.WholeUser}), compare); diff != "" {
			t.Errorf("a lost race wrote (-want +got):\n%s", diff)
		}
		commit(t, s, session.Change{OldUser: u, NewUser: u, Rely: true})
		commit(t, s, session.Change{Old: sess, New: next, OldUser: u, NewUser: later})
	})
}

func moved(u *user.User) *user.User {
	next := u.Clone()
	next.Guard.Version++
	return next
}

func TestSaveUserTellsWhatItLostTo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		ada, bob := fullUser(), fullUser()
		bob.ID, bob.Username, bob.Guard.UserID = "bob", "bob", "bob"
		save(t, s, nil, ada)
		save(t, s, nil, bob)
		renamed := moved(ada)
		renamed.Username = "countess"
		save(t, s, ada, renamed)
		asBob := moved(renamed)
		asBob.Username = "BOB"
		double := fullUser()
		double.ID, double.Guard.UserID = "double", "double"
		double.Username = "bob"
		for name, c := range map[string]struct {
			change user.Change
			want   error
		}{
			"id taken":                   {user.Change{New: ada}, user.ErrExists},
			"login name taken":           {user.Change{New: double}, user.ErrLoginNameTaken},
			"renamed to a taken name":    {user.Change{Old: renamed, New: asBob}, user.ErrLoginNameTaken},
			"user moved on":              {user.Change{Old: ada, New: moved(ada)}, fault.Conflict},
			"renamed so by another call": {user.Change{Old: ada, New: renamed}, fault.Conflict},
		} {
			if err := s.SaveUser(t.Context(), c.change); !errors.Is(err, c.want) {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
			}
		}
	})
}

// again applies every write twice and answers with the second outcome, as a client does
// whose first answer was lost on the way.
type again struct {
	table.Table

	writes atomic.Int64
}

func (a *again) Write(ctx context.Context, w table.Write) error {
	a.writes.Add(1)
	if err := a.Table.Write(ctx, w); err != nil {
		return err
	}
	return a.Table.Write(ctx, w)
}

// TestR2_WriteWhoseAnswerWasLostIsRecognized repeats the writes of one item, which
// have no token, and those of several, which do.
func TestR2_WriteWhoseAnswerWasLostIsRecognized(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		twice := &again{Table: tb}
		s := store.New(twice, rand.Reader)
		u, sess := fullUser(), fullSession()
		next, last := sess.Clone(), sess.Clone()
		next.Revision, last.Revision = 8, 9
		next.TokenID[0], last.TokenID[0] = 4, 5
		counted := moved(u)
		save(t, s, nil, u)                                                                                 // several items
		commit(t, s, session.Change{New: sess})                                                            // a session is created
		commit(t, s, session.Change{Old: sess, New: next})                                                 // and changed
		commit(t, s, session.Change{OldUser: u, NewUser: counted})                                         // the guard alone
		commit(t, s, session.Change{OldUser: counted, NewUser: counted, Rely: true})                       // a check alone
		commit(t, s, session.Change{Old: next, New: last, OldUser: counted, NewUser: counted, Rely: true}) // session and check
		if n := twice.writes.Load(); n != 6 {
			t.Errorf("%d writes", n)
		}
		want := session.Loaded{Session: last, User: counted, Guard: &counted.Guard}
		if diff := cmp.Diff(want, load(t, s, session.Ref{SessionID: sessionID, Depth: session.WholeUser}), compare); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
	})
}

func TestWriteOfAnotherIsNotTakenForOnesOwn(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		u, sess := fullUser(), fullSession()
		save(t, s, nil, u)
		commit(t, s, session.Change{New: sess})
		commit(t, s, session.Change{OldUser: u, NewUser: moved(u)})
		if err := s.Commit(t.Context(), session.Change{OldUser: u, NewUser: moved(u)}); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same count by another call: %v", err)
		}
		other := sess.Clone()
		other.TokenID[0]++
		if err := s.Commit(t.Context(), session.Change{New: other}); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same session with another token: %v", err)
		}
		longer := sess.Clone()
		longer.ExpiresAt = longer.ExpiresAt.Add(time.Hour)
		if err := s.Commit(t.Context(), session.Change{New: longer}); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same token with other content: %v", err)
		}
		step := sess.Clone()
		step.Revision++
		commit(t, s, session.Change{Old: sess, New: step})
		if err := s.Commit(t.Context(), session.Change{Old: sess, New: step}); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same step by another call, which draws no token: %v", err)
		}
		next, rival := step.Clone(), step.Clone()
		next.Revision, rival.Revision = next.Revision+1, rival.Revision+1
		next.TokenID[0], rival.TokenID[0] = 7, 8
		commit(t, s, session.Change{Old: step, New: next})
		if err := s.Commit(t.Context(), session.Change{Old: step, New: rival}); !errors.Is(err, fault.Conflict) {
			t.Errorf("the same step with another token: %v", err)
		}
	})
}

// TestEveryReadReportsAFailingTable has each call fail in turn.
func TestEveryReadReportsAFailingTable(t *testing.T) {
	t.Parallel()
	inner := apptest.Bolt(t)
	healthy := store.New(inner, rand.Reader)
	save(t, healthy, nil, fullUser())
	commit(t, healthy, session.Change{New: fullSession()})
	for name, read := range map[string]func(*store.Store) error{
		"Load": func(s *store.Store) error {
			_, err := s.Load(t.Context(), session.Ref{SessionID: sessionID, Depth: session.WholeUser})
			return err
		},
		"Load by login name": func(s *store.Store) error {
			_, err := s.Load(t.Context(), session.Ref{LoginName: "ada", Depth: session.WholeUser})
			return err
		},
		"Load of the guard": func(s *store.Store) error {
			_, err := s.Load(t.Context(), session.Ref{SessionID: sessionID})
			return err
		},
		"Load of counts": func(s *store.Store) error {
			_, err := s.Load(t.Context(), session.Ref{Counts: sending.Policy{}.Counts(sending.Message{Channel: sending.SMS}, apptest.Epoch())})
			return err
		},
		"Load of a region's count": func(s *store.Store) error {
			region := sending.Unused{Region: sending.Region{Channel: sending.SMS, CallingCode: "+41"}, Limit: 1}
			_, err := s.Load(t.Context(), session.Ref{Unused: []sending.Unused{region}})
			return err
		},
		"Sessions": func(s *store.Store) error { _, err := s.Sessions(t.Context(), []string{sessionID}); return err },
		"SessionIDs": func(s *store.Store) error {
			return errorOf(s.SessionIDs(t.Context(), session.Range{Sources: []session.Source{{}}}))
		},
		"User":            func(s *store.Store) error { _, err := s.User(t.Context(), "ada"); return err },
		"UserByLoginName": func(s *store.Store) error { _, err := s.UserByLoginName(t.Context(), "ada"); return err },
		"Users":           func(s *store.Store) error { _, err := s.Users(t.Context(), []string{"ada"}); return err },
		"UserIDsByEmail":  func(s *store.Store) error { _, err := s.UserIDsByEmail(t.Context(), "ada@example.com"); return err },
		"UserIDs":         func(s *store.Store) error { return errorOf(s.UserIDs(t.Context(), true)) },
		"Key":             func(s *store.Store) error { _, err := s.Key(t.Context(), "id"); return err },
		"Keys":            func(s *store.Store) error { _, err := s.Keys(t.Context()); return err },
	} {
		for broken := 1; ; broken++ {
			calls := 0
			s := store.New(tabletest.NewFaulty(inner, func(n int, _ string) tabletest.Action {
				calls = n
				if n == broken {
					return tabletest.Fail
				}
				return tabletest.Pass
			}), rand.Reader)
			err := read(s)
			if calls < broken {
				break
			}
			if !errors.Is(err, table.ErrUnavailable) {
				t.Errorf("%s with call %d broken: %v", name, broken, err)
			}
		}
	}
}

// errorOf reads ids to the end.
func errorOf(ids iter.Seq2[string, error]) error {
	var all error
	for _, err := range ids {
		all = errors.Join(all, err)
	}
	return all
}

func TestWithoutRandomnessNothingIsWritten(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, brokenReader{})
	if err := s.SaveUser(t.Context(), user.Change{New: fullUser()}); !errors.Is(err, errBroken) {
		t.Errorf("user: %v", err)
	}
	if err := s.Commit(t.Context(), session.Change{New: fullSession()}); !errors.Is(err, errBroken) {
		t.Errorf("session: %v", err)
	}
	if left := apptest.Dump(t, tb); len(left) != 0 {
		t.Errorf("written: %v", left)
	}
}

var errBroken = errors.New("broken")

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errBroken }

func TestSchemaIsTheDeployedTables(t *testing.T) {
	t.Parallel()
	byName := cmpopts.SortSlices(func(a, b table.Index) bool { return a.Name < b.Name })
	if diff := cmp.Diff(dynoxide.Schema(t), store.Schema(), byName); diff != "" {
		t.Errorf("schema (-template +package):\n%s", diff)
	}
}
