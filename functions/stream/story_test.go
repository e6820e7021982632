package main_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/pkg/user"
	"github.com/stepup-auth/stepup/test/canary"
)

// story is a service on DynamoDB, and what was kept secret in it.
type story struct {
	*apptest.Service

	t       *testing.T
	store   *store.Store
	table   string
	secrets []string
}

func newStory(t *testing.T, env map[string]string) *story {
	t.Helper()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	tb := dynamo.New(client, name, store.Schema(), dynamo.Options{})
	s := &story{Service: apptest.New(t, apptest.Options{Table: tb, Env: env}), t: t, table: name}
	s.store = store.New(tb, rand.Reader)
	return s
}

func (s *story) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// keep notes what must not be told.
func (s *story) keep(secrets ...string) { s.secrets = append(s.secrets, secrets...) }

const (
	ada      = "ada"
	password = "canary: the right password"
	guess    = "canary: a wrong password"
)

// register creates the user, with an address, a phone and a name.
func (s *story) register() {
	_, err := s.Users.Create(s.t.Context(), apptest.Admin(), user.Registration{
		ID: ada, Username: "canary-username", Profile: user.Profile{GivenName: "CanaryAda", FamilyName: "CanaryLovelace"},
		Email: user.Contact{Address: "canary@example.com", Verified: true}, Phone: user.Contact{Address: "+41446681800", Verified: true},
		Password: user.NewPassword{Plain: password},
	})
	s.must(err)
	s.keep(password, guess, "canary-username", "CanaryAda", "CanaryLovelace", "canary@example.com", "446681800")
}

// stepUp makes a session and verifies every factor that has a code.
func (s *story) stepUp() {
	created := s.NewSession(s.t, session.Create{
		Step:  session.Step{Lifetime: new(time.Hour)},
		Agent: session.UserAgent{Fingerprint: "canary-fingerprint", Description: "canary-browser"},
	})
	id := created.SessionID
	set := func(step session.Step) session.Result {
		s.Clock.Advance(time.Minute)
		result := s.Set(s.t, id, step)
		s.keep(result.Token)
		return result
	}
	set(apptest.Named(ada))
	set(apptest.Guess(password))
	set(session.Step{Metadata: map[string][]byte{"canary-key": []byte("canary-value")}})

	_, app, err := s.Users.RegisterTOTP(s.t.Context(), apptest.Admin(), ada)
	s.must(err)
	seed, err := otp.ParseSecret(app.Secret)
	s.must(err)
	_, err = s.Users.VerifyTOTP(s.t.Context(), apptest.Admin(), ada, otp.Code(seed, s.Clock.Now()))
	s.must(err)
	set(session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: otp.Code(seed, s.Clock.Now().Add(time.Minute))}}})

	_, err = s.Users.AddEmailCodes(s.t.Context(), apptest.Admin(), ada)
	s.must(err)
	opened := set(session.Step{Challenges: session.RequestChallenges{Email: &session.RequestCode{ReturnCode: true}}})
	code := opened.Codes[sending.Email]
	if _, err := s.TrySet(id, session.Step{Checks: session.Checks{Email: &session.CheckCode{Code: "31415926"}}}); err == nil {
		s.t.Fatal("a wrong code passes")
	}
	set(session.Step{Checks: session.Checks{Email: &session.CheckCode{Code: code}}})

	_, codes, err := s.Users.GenerateRecoveryCodes(s.t.Context(), apptest.Admin(), ada, 1)
	s.must(err)
	set(session.Step{Checks: session.Checks{Recovery: &session.CheckCode{Code: codes[0]}}})
	s.must(s.end(id))
	s.keep("canary-fingerprint", "canary-browser", "canary-key", "canary-value", created.Token, app.Secret, string(seed), code, codes[0])
}

func (s *story) end(id string) error {
	_, err := s.Sessions.Delete(s.t.Context(), apptest.Admin(), id, "")
	return err
}

// lockOut guesses the password until it locks, and sets a new one.
func (s *story) lockOut() {
	id := s.NewSession(s.t, session.Create{Step: apptest.Named(ada)}).SessionID
	for range 10 {
		if _, err := s.TrySet(id, apptest.Guess(guess)); err == nil {
			s.t.Fatal("a wrong password passes")
		}
	}
	s.Clock.Advance(time.Minute)
	_, err := s.Users.SetPassword(s.t.Context(), apptest.Admin(), ada, user.PasswordChange{New: user.NewPassword{Plain: password + "!"}})
	s.must(err)
}

// administer walks through the states of a user.
func (s *story) administer() {
	for _, change := range []func() (*user.User, error){
		func() (*user.User, error) { return s.Users.Lock(s.t.Context(), apptest.Admin(), ada) },
		func() (*user.User, error) { return s.Users.Unlock(s.t.Context(), apptest.Admin(), ada) },
		func() (*user.User, error) { return s.Users.Deactivate(s.t.Context(), apptest.Admin(), ada) },
		func() (*user.User, error) { return s.Users.Reactivate(s.t.Context(), apptest.Admin(), ada) },
	} {
		_, err := change()
		s.must(err)
	}
}

// addKey gives the user a passkey as a registration would, and uses it once.
func (s *story) addKey() {
	for _, count := range []uint32{0, 1} {
		old, err := s.store.User(s.t.Context(), ada)
		s.must(err)
		changed := old.Clone()
		changed.Guard.Version++
		changed.Keys = []user.SecurityKey{{ID: "key-1", Kind: passkey.Passkey, Name: "canary-phone", Credential: passkey.Credential{
			ID: []byte("canary-credential"), PublicKey: []byte("canary-public-key"), Kind: passkey.Passkey, RPID: "localhost", SignCount: count,
		}}}
		s.must(s.store.SaveUser(s.t.Context(), user.Change{Old: old, New: changed}))
	}
	s.keep("canary-phone", "canary-credential", "canary-public-key")
}

// tell runs the function over the table's stream, in batches, and returns the events
// without what differs from run to run.
func (s *story) tell(d deployed) (lines []string) {
	s.t.Helper()
	for batch := range slices.Chunk(dynoxide.Stream(s.t, s.table), 7) {
		if failed := d.deliver(s.t, batch); failed != nil {
			s.t.Fatalf("failed: %v; %s", failed, d.Stdout())
		}
	}
	for _, e := range d.bus.Events() {
		var detail map[string]any
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			s.t.Fatal(err)
		}
		line := e.DetailType
		for _, field := range []string{"userId", "creatorId", "revision", "factor", "keyId", "failures", "lockedUntil", "verified", "factors", "expiresAt"} {
			if value, has := detail[field]; has {
				line += fmt.Sprintf(" %s=%v", field, value)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *story) all() {
	s.register()
	s.stepUp()
	s.lockOut()
	s.administer()
	s.addKey()
	_, err := s.Users.Delete(s.t.Context(), apptest.Admin(), ada)
	s.must(err)
}

// TestL7_S6_AStoryIsToldOnceAndInOrder lives through what a user can, on the table of
// the template, and runs the real binary over the real stream of that table.
func TestL7_S6_AStoryIsToldOnceAndInOrder(t *testing.T) {
	t.Parallel()
	s, d := newStory(t, nil), deploy(t)
	s.all()
	want := []string{
		"user.created userId=ada",
		"user.factor_added userId=ada factor=password",

		"session.created creatorId=admin revision=1 verified=[] factors=[] expiresAt=2026-03-01T13:00:00Z",
		"session.updated userId=ada revision=2 verified=[] factors=[] expiresAt=2026-03-01T13:00:00Z",
		"session.updated userId=ada revision=3 verified=[password] factors=[password] expiresAt=2026-03-01T13:00:00Z",
		"session.updated userId=ada revision=4 verified=[] factors=[password] expiresAt=2026-03-01T13:00:00Z",
		"user.factor_added userId=ada factor=totp",
		"session.updated userId=ada revision=5 verified=[totp] factors=[password totp] expiresAt=2026-03-01T13:00:00Z",
		"user.factor_added userId=ada factor=email",
		"session.updated userId=ada revision=6 verified=[] factors=[password totp] expiresAt=2026-03-01T13:00:00Z",
		"user.check_failed userId=ada revision=6 factor=email failures=1",
		"session.updated userId=ada revision=8 verified=[email] factors=[password totp email] expiresAt=2026-03-01T13:00:00Z",
		"user.factor_added userId=ada revision=8 factor=recovery",
		"session.updated userId=ada revision=9 verified=[recovery] factors=[password totp email recovery] expiresAt=2026-03-01T13:00:00Z",
		"user.factor_removed userId=ada revision=9 factor=recovery",
		"session.terminated userId=ada revision=10",

		"session.created userId=ada creatorId=admin revision=1 verified=[] factors=[]",
		"user.check_failed userId=ada revision=10 factor=password failures=1",
		"user.check_failed userId=ada revision=11 factor=password failures=2",
		"user.check_failed userId=ada revision=12 factor=password failures=3",
		"user.check_failed userId=ada revision=13 factor=password failures=4",
		"user.check_failed userId=ada revision=14 factor=password failures=5",
		"user.check_failed userId=ada revision=15 factor=password failures=6",
		"user.check_failed userId=ada revision=16 factor=password failures=7",
		"user.check_failed userId=ada revision=17 factor=password failures=8",
		"user.check_failed userId=ada revision=18 factor=password failures=9",
		"user.check_failed userId=ada revision=19 factor=password failures=10",
		"user.authenticator_locked userId=ada revision=19 factor=password failures=10 lockedUntil=2026-03-01T12:07:30Z",
		"user.password_changed userId=ada revision=20",

		"user.locked userId=ada revision=21",
		"user.sessions_ended userId=ada revision=21",
		"user.unlocked userId=ada revision=22",
		"user.deactivated userId=ada revision=23",
		"user.sessions_ended userId=ada revision=23",
		"user.reactivated userId=ada revision=24",

		"user.factor_added userId=ada factor=passkey keyId=key-1",

		"user.sessions_ended userId=ada revision=27",
		"user.factor_removed userId=ada factor=password",
		"user.factor_removed userId=ada factor=totp",
		"user.factor_removed userId=ada factor=email",
		"user.deleted userId=ada",
		"user.factor_removed userId=ada factor=passkey keyId=key-1",
	}
	got := s.tell(d)
	// A user's items are deleted in no order.
	slices.Sort(want[len(want)-6:])
	slices.Sort(got[max(0, len(got)-6):])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAStoryTellsWhichSessionMadeRoomForAnother: with room for one session, the second
// ends the first.
func TestAStoryTellsWhichSessionMadeRoomForAnother(t *testing.T) {
	t.Parallel()
	s, d := newStory(t, map[string]string{"STEPUP_SESSIONS_PER_USER": "1"}), deploy(t)
	u := s.NewUser(t, "ada@example.com")
	first := s.NewSession(t, session.Create{Step: apptest.Named(u.ID)}).SessionID
	s.NewSession(t, session.Create{Step: apptest.Named(u.ID)})
	var displaced []string
	s.tell(d)
	for _, e := range d.bus.Events() {
		if e.DetailType == "session.displaced" {
			displaced = append(displaced, e.Detail)
		}
	}
	if len(displaced) != 1 || !strings.Contains(displaced[0], `"`+first+`"`) || !strings.Contains(displaced[0], `"`+u.ID+`"`) {
		t.Errorf("told of %q, want one event about %s of %s", displaced, first, u.ID)
	}
}

// binary finds the values of a record that are bytes.
var binary = regexp.MustCompile(`"B":\s*"([^"]+)"`)

// TestG2_NoEventTellsASecret searches the events, the log and the metrics of a whole
// story for all that must stay where it is.
func TestG2_NoEventTellsASecret(t *testing.T) {
	t.Parallel()
	s, d := newStory(t, nil), deploy(t, "STEPUP_LOG_LEVEL=DEBUG")
	s.all()
	records := dynoxide.Stream(t, s.table)
	for i := range records { // a record that cannot be read, with all its content
		if strings.Contains(string(records[i]), "canary-fingerprint") {
			records = append(records, json.RawMessage(strings.Replace(string(records[i]), `{"B":`, `{"BS":`, 1)))
			break
		}
	}
	if failed := d.deliver(t, records); len(failed) != 1 {
		t.Fatalf("failed: %v", failed)
	}
	if err := d.Stop(); err != nil { // whatever it printed has arrived then
		t.Fatal(err)
	}
	told := d.Stdout() + d.Stderr()
	for _, e := range d.bus.Events() {
		told += fmt.Sprintf("%+v\n", e)
	}
	var stream strings.Builder
	for _, r := range records {
		stream.Write(r)
	}
	s.Secrets.Plant(canary.Password, s.secrets...)
	s.Secrets.Want(t, canary.Events, []byte(told))
	bytes := binary.FindAllStringSubmatch(stream.String(), -1)
	for _, value := range bytes { // token ids, MACs, seeds, keys
		if strings.Contains(told, value[1]) {
			t.Errorf("the stored bytes %s are told", value[1])
		}
	}
	if len(bytes) < 20 {
		t.Errorf("%d stored bytes were searched for", len(bytes))
	}
	for _, kept := range []string{"canary-username", "$argon2id$", "canary@example.com", "446681800"} {
		if !strings.Contains(stream.String(), kept) || strings.Contains(told, kept) {
			t.Errorf("%q is told, or was not there to be told", kept)
		}
	}
	if !strings.Contains(told, "session.updated") || !strings.Contains(d.Stdout(), "batch stopped") {
		t.Errorf("the search does not see the events or the log: %s", d.Stdout())
	}
}
