package prove_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// onceState is a code that may be used once.
type onceState struct {
	used bool
	key  string // the Idempotency-Key of the use, which may be repeated
}

type onceCall struct{ code, key string }

// Refusals of a code that was used already, by the kind of code.
var usedUp = []outcome{
	"COMMAND-S34gh", // SMS: no code is open any more
	"TOTP-Auw0a",    // TOTP: its step is over
	"DOMAIN-6uvh0",  // recovery: it is gone
	"COMMAND-eis9R", // of an address: no code is open any more
	"COMMAND-Eeb2a", // to register a passkey: the same
}

func (s onceState) use(in onceCall, out outcome) []any {
	repeated := s.used && in.key != "" && s.key == in.key
	switch {
	case out == raced, out == unknown && s.used:
		return []any{s}
	case out == unknown:
		return []any{s, onceState{true, in.key}}
	case out == done && !s.used:
		return []any{onceState{true, in.key}}
	case out == done:
		return only(repeated, s)
	case slices.Contains(usedUp, out):
		return only(s.used && !repeated, s)
	default:
		return nil
	}
}

// byCode judges each code by itself.
func byCode(history []porcupine.Operation) [][]porcupine.Operation {
	codes := make(map[string][]porcupine.Operation)
	for _, op := range history {
		code := op.Input.(onceCall).code
		codes[code] = append(codes[code], op)
	}
	return slices.Collect(maps.Values(codes))
}

// onceKind lets clients use the same codes: an SMS code in the one session that it was
// sent for, a TOTP code and two recovery codes in a session each, and those about a user.
func onceKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Partition:         byCode,
			Init:              func() []any { return []any{onceState{}} },
			Step:              func(s, in, out any) []any { return s.(onceState).use(in.(onceCall), out.(outcome)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		// An SMS code is a matter of the session's revision, the others of the guard's version.
		mutants: []string{"r", "v"},
		env:     map[string]string{"STEPUP_LOCKOUT_LIMIT": "100"},
		run:     useCodes,
	}
}

// codeUse is a call that uses a code; in a session of the client's when there is no path.
type codeUse struct {
	verb, path, body string
	keyed            bool // it takes an Idempotency-Key
}

func useCodes(t *testing.T, l *lab, r *record) {
	const clients = 6
	userID, seed, recovery := enrol(t, l)
	sms := l.session(t, userID)
	code := l.must(t, "PATCH", sms, `{"challenges":{"otpSms":{"returnCode":true}}}`).body.Challenges.OtpSms
	own := make([]string, clients)
	for i := range own {
		own[i] = l.session(t, userID)
	}
	uses := append([]codeUse{
		{"PATCH", sms, fmt.Sprintf(`{"checks":{"otpSms":{"code":%q}}}`, code), true},
		{"PATCH", "", fmt.Sprintf(`{"checks":{"totp":{"code":%q}}}`, otp.Code(seed, l.Clock.Now())), true},
		{"PATCH", "", fmt.Sprintf(`{"checks":{"recoveryCode":{"code":%q}}}`, recovery[0]), true},
		{"PATCH", "", fmt.Sprintf(`{"checks":{"recoveryCode":{"code":%q}}}`, recovery[1]), true},
	}, codesAbout(t, l)...)
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i, which := range random.Perm(len(uses)) {
			u, key := uses[which], ""
			if u.path == "" {
				u.path = own[client]
			}
			if u.keyed && random.IntN(2) == 0 {
				key = fmt.Sprintf("%d-%d-%d", r.seed, client, i)
			}
			l.insist(r, plea{client, onceCall{u.body, key}, key, unknown, func() any { return l.do(u.verb, u.path, u.body, key).outcome }})
		}
	})
}

// codesAbout are the codes about a user: of the address, of the number, and to register a
// passkey.
func codesAbout(t *testing.T, l *lab) []codeUse {
	t.Helper()
	l.pause(true)
	defer l.pause(false)
	l.registered++
	u, err := l.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: fmt.Sprintf("u%d", l.registered), Profile: user.Profile{GivenName: "Ben", FamilyName: "Franklin"},
		Email: user.Contact{Address: "ben@example.com"}, EmailCode: &user.CodeRequest{Return: true},
		Phone: user.Contact{Address: fmt.Sprintf("+4179%07d", l.registered)}, PhoneCode: &user.CodeRequest{Return: true},
	})
	check(t, err)
	_, link, err := l.Users.CreatePasskeyLink(t.Context(), apptest.Admin(), u.ID, user.CodeRequest{Return: true})
	check(t, err)
	about := "/v2/users/" + u.ID
	return []codeUse{
		{"POST", about + "/email/verify", fmt.Sprintf(`{"verificationCode":%q}`, u.Code(sending.Email)), false},
		{"POST", about + "/phone/verify", fmt.Sprintf(`{"verificationCode":%q}`, u.Code(sending.SMS)), false},
		{"POST", about + "/passkeys", fmt.Sprintf(`{"domain":"example.com","code":{"id":%q,"code":%q}}`, link.ID, link.Code), false},
	}
}

// session creates one of the user and returns its path.
func (l *lab) session(t *testing.T, userID string) string {
	t.Helper()
	created := l.must(t, "POST", "/v2/sessions", fmt.Sprintf(`{"checks":{"user":{"userId":%q}}}`, userID))
	return "/v2/sessions/" + created.body.SessionID
}

// sessionsOf is session for n of them.
func (l *lab) sessionsOf(t *testing.T, userID string, n int) []string {
	t.Helper()
	paths := make([]string, n)
	for i := range paths {
		paths[i] = l.session(t, userID)
	}
	return paths
}

// register creates a user who takes codes by SMS.
func register(t testing.TB, l *lab, p user.NewPassword) string {
	t.Helper()
	l.registered++
	u, err := l.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		Username: fmt.Sprintf("u%d", l.registered),
		Profile:  user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:    user.Contact{Address: "ada@example.com", Verified: true},
		Phone:    user.Contact{Address: fmt.Sprintf("+4179%07d", l.registered), Verified: true},
		Password: p,
	})
	check(t, err)
	_, err = l.Users.AddSMSCodes(t.Context(), apptest.Admin(), u.ID)
	check(t, err)
	return u.ID
}

// enrol registers a user who also has an app for TOTP and recovery codes.
func enrol(t *testing.T, l *lab) (userID string, seed []byte, recovery []string) {
	t.Helper()
	l.pause(true)
	defer l.pause(false)
	userID = register(t, l, user.NewPassword{})
	_, app, err := l.Users.RegisterTOTP(t.Context(), apptest.Admin(), userID)
	check(t, err)
	seed, err = otp.ParseSecret(app.Secret)
	check(t, err)
	_, err = l.Users.VerifyTOTP(t.Context(), apptest.Admin(), userID, otp.Code(seed, l.Clock.Now()))
	check(t, err)
	_, recovery, err = l.Users.GenerateRecoveryCodes(t.Context(), apptest.Admin(), userID, 0)
	check(t, err)
	l.Clock.Advance(time.Minute) // past the step that confirmed the app
	return userID, seed, recovery
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCodesAreUsedOnce(t *testing.T) { proves(t, onceKind()) }

func TestCodesAreUsedTwiceWithoutACondition(t *testing.T) { refuses(t, onceKind()) }
