package lifecycle_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// at is a time some minutes into the tests' day.
func at(minutes int) time.Time {
	return time.Date(2026, time.March, 1, 12, minutes, 0, 0, time.UTC)
}

// record is one of the stream, written in the ninth minute.
func record() lifecycle.Record { return lifecycle.Record{ID: "r", At: at(9)} }

func swept() lifecycle.Record { return lifecycle.Record{ID: "r", At: at(9), Swept: true} }

// living is a session in its third revision, with a user and a password.
func living(edit ...func(*session.Session)) *session.Session {
	s := &session.Session{
		ID: "s", Creator: "login", Created: at(0), Changed: at(1), Sequence: 2, Revision: 3, ExpiresAt: at(59),
		Factors: session.Factors{User: session.UserFactor{ID: "ada", Organization: "acme", VerifiedAt: at(1)}, Password: at(1)},
	}
	for _, e := range edit {
		e(s)
	}
	return s
}

// stepped counts one more step of a session, made in the second minute.
func stepped(s *session.Session) { s.Sequence, s.Revision, s.Changed = 3, 4, at(2) }

func ended(s *session.Session) { s.TerminatedAt, s.Changed, s.Revision = at(5), at(5), 9 }

func TestSessionEvents(t *testing.T) {
	t.Parallel()
	about := func(name lifecycle.Name, edit func(*lifecycle.Event)) []lifecycle.Event {
		e := lifecycle.Event{ID: "r." + string(name), Name: name, SessionID: "s", UserID: "ada", Organization: "acme", Revision: 3, Time: at(9)}
		edit(&e)
		return []lifecycle.Event{e}
	}
	password := []user.Authenticator{user.AuthPassword}
	updated := func(verified, factors []user.Authenticator) []lifecycle.Event {
		return about(lifecycle.SessionUpdated, func(e *lifecycle.Event) {
			e.Time, e.Revision, e.ExpiresAt, e.Verified, e.Factors = at(2), 4, at(59), verified, factors
		})
	}
	none := []user.Authenticator{}
	for name, tc := range map[string]struct {
		before, after *session.Session
		record        lifecycle.Record
		want          []lifecycle.Event
	}{
		"created bare": {nil, &session.Session{ID: "s", Creator: "login", Created: at(0), Changed: at(0), Sequence: 1, Revision: 1}, record(), []lifecycle.Event{{
			ID: "r.session.created", Name: lifecycle.SessionCreated, Time: at(0), SessionID: "s", Creator: "login", Revision: 1, Verified: none, Factors: none,
		}}},
		"created with checks": {nil, living(), record(), about(lifecycle.SessionCreated, func(e *lifecycle.Event) {
			e.Time, e.Creator, e.ExpiresAt, e.Verified, e.Factors = at(0), "login", at(59), password, password
		})},
		"nothing verified": {living(), living(stepped), record(), updated(none, password)},
		"a second factor": {
			living(), living(stepped, func(s *session.Session) { s.Factors.TOTP = at(2) }), record(),
			updated([]user.Authenticator{user.AuthTOTP}, []user.Authenticator{user.AuthPassword, user.AuthTOTP}),
		},
		"the same factor again": {living(), living(stepped, func(s *session.Session) { s.Factors.Password = at(2) }), record(), updated(password, password)},
		"every other factor": {
			living(), living(stepped, func(s *session.Session) {
				f := &s.Factors
				f.SMS, f.Email, f.Recovery = at(2), at(2), at(2)
				f.Key = session.KeyFactor{VerifiedAt: at(2), Kind: passkey.U2F}
			}), record(),
			updated([]user.Authenticator{user.AuthU2F, user.AuthSMS, user.AuthEmail, user.AuthRecovery},
				[]user.Authenticator{user.AuthPassword, user.AuthU2F, user.AuthSMS, user.AuthEmail, user.AuthRecovery}),
		},
		"a passkey": {
			living(), living(stepped, func(s *session.Session) { s.Factors.Key = session.KeyFactor{VerifiedAt: at(2), Kind: passkey.Passkey} }), record(),
			updated([]user.Authenticator{user.AuthPasskey}, []user.Authenticator{user.AuthPassword, user.AuthPasskey}),
		},
		"a password that no longer counts": {
			living(), living(stepped, func(s *session.Session) { s.Factors.Password = time.Time{} }), record(), updated(none, none),
		},
		"a step taken back": {
			living(stepped, func(s *session.Session) { s.Factors.TOTP = at(2) }), living(func(s *session.Session) { s.Revision = 5 }), record(),
			about(lifecycle.SessionUpdated, func(e *lifecycle.Event) {
				e.Revision, e.ExpiresAt, e.Verified, e.Factors = 5, at(59), none, password
			}),
		},
		"kept where others end": {
			living(), living(func(s *session.Session) { s.Revision, s.Factors.User.Epoch = 4, 99 }), record(),
			about(lifecycle.SessionUpdated, func(e *lifecycle.Event) {
				e.Revision, e.ExpiresAt, e.Verified, e.Factors = 4, at(59), none, password
			}),
		},
		"a wrong answer to a code": {living(), living(func(s *session.Session) { s.Revision = 4 }), record(), nil},
		"terminated":               {living(), living(ended), record(), about(lifecycle.SessionTerminated, func(e *lifecycle.Event) { e.Time, e.Revision = at(5), 9 })},
		"terminated twice":         {living(ended), living(ended), record(), nil},
		"expired":                  {living(), nil, swept(), about(lifecycle.SessionExpired, func(e *lifecycle.Event) { e.Time, e.ExpiresAt = at(59), at(59) })},
		"swept tombstone":          {living(ended), nil, swept(), nil},
		"removed by hand":          {living(), nil, record(), about(lifecycle.SessionTerminated, func(*lifecycle.Event) {})},
		"tombstone removed":        {living(ended), nil, record(), nil},
		"nothing at all":           {nil, nil, record(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lifecycle.SessionChange{Old: tc.before, New: tc.after}.Events(tc.record)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
