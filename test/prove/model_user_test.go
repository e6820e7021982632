package prove_test

import (
	"slices"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// The limits, as the documents have them. The lockout's is small, to be reached.
const (
	machineLimit = 3
	codeTries    = 5
	codeLife     = 5 * time.Minute
	mailLife     = time.Hour
	phoneLife    = 10 * time.Minute
	linkLife     = time.Hour
	keyLife      = 5 * time.Minute
	intentLife   = time.Hour
	appStep      = 30 * time.Second
	maxRecovery  = 10
)

// States of a user.
const (
	stateActive   = "USER_STATE_ACTIVE"
	stateInactive = "USER_STATE_INACTIVE"
	stateLocked   = "USER_STATE_LOCKED"
)

// What can be guessed, as the contract names methods where it does.
const (
	aPassword = "PASSWORD"
	aTOTP     = "TOTP"
	anSMS     = "OTP_SMS"
	aMail     = "OTP_EMAIL"
	aRecovery = "RECOVERY_CODE"
	aPasskey  = "PASSKEY"
	aU2F      = "U2F"
	anIDP     = "IDP"
)

// guessing is what is known of the guesses at one kind of secret.
type guessing struct {
	failures int
	until    time.Time
}

// account is a user: what is known of somebody, and what they can prove.
type account struct {
	id, name, given     string
	state               string
	email, phone        address
	smsCodes, mailCodes bool
	password            string // empty for none
	changed             int    // counts the passwords
	app                 app
	step                int64 // the last whose code was accepted
	recovery            []string
	keys                []*modelKey
	links               []string // names of accounts elsewhere
	registration        secretCode
	guesses             map[string]guessing
	version             int // the highest sequence that was seen
}

// address is a mail address or a number, and the code that would verify it.
type address struct {
	text     string
	verified bool
	code     secretCode
}

// secretCode is one that was sent or returned; the zero value is none.
type secretCode struct {
	id, code string
	tries    int
	ends     time.Time
}

func (c *secretCode) open() bool { return c.code != "" }

func (c *secretCode) miss() {
	if c.tries++; c.tries >= codeTries {
		*c = secretCode{}
	}
}

// app is an authenticator app; without a seed there is none.
type app struct {
	seed      []byte
	confirmed bool
}

// modelKey is a passkey or U2F key, in the making until it is ready.
type modelKey struct {
	heldKey

	kind   string
	ready  bool
	ends   time.Time // of the registration
	answer string    // that completes it
	count  uint32    // of signatures, as the service knows it
}

func (u *account) canStart() bool { return u.state == stateActive }

func (u *account) locked(kind string, now time.Time) bool {
	return u.state == stateLocked || now.Before(u.guesses[kind].until)
}

func (u *account) fail(kind string, now time.Time) {
	g := u.guesses[kind]
	g.failures++
	if over := g.failures - machineLimit; over >= 0 {
		g.until = now.Add(min(30*time.Second<<min(over, 20), time.Hour))
	}
	u.guesses[kind] = g
}

func (u *account) succeed(kind string) { delete(u.guesses, kind) }

func (u *account) setPassword(plain string) {
	u.password = plain
	u.changed++
	u.succeed(aPassword)
}

func (u *account) checkPassword(plain string, now time.Time) refusal {
	switch {
	case u.locked(aPassword, now):
		return passwordLocked
	case u.password == "":
		return passwordMissing
	case plain != u.password:
		u.fail(aPassword, now)
		return passwordWrong
	}
	u.succeed(aPassword)
	return carriedOut
}

// match returns the step of those around now whose code it is, the last of several, or 0.
func (u *account) match(code string, now time.Time) (step int64) {
	for _, offset := range []time.Duration{-appStep, 0, appStep} {
		if at := now.Add(offset); otp.Code(u.app.seed, at) == code {
			step = at.Unix() / int64(appStep/time.Second)
		}
	}
	return step
}

func (u *account) checkTOTP(code string, now time.Time) refusal {
	if !u.app.confirmed {
		return totpNotReady
	}
	step := u.match(code, now)
	switch {
	case u.locked(aTOTP, now):
		return totpLocked
	case step != 0 && step <= u.step:
		return totpUsed
	case step == 0:
		u.fail(aTOTP, now)
		return totpWrong
	}
	u.step = step
	u.succeed(aTOTP)
	return carriedOut
}

func (u *account) confirm(code string, now time.Time) refusal {
	switch {
	case len(u.app.seed) == 0:
		return appMissing
	case u.app.confirmed:
		return appConfirmed
	}
	step := u.match(code, now)
	if step <= u.step {
		return totpWrong
	}
	u.app.confirmed, u.step = true, step
	u.succeed(aTOTP)
	return carriedOut
}

func (u *account) checkRecovery(code string, now time.Time) refusal {
	at := slices.Index(u.recovery, code)
	switch {
	case len(u.recovery) == 0:
		return recoveryNone
	case u.locked(aRecovery, now):
		return recoveryLocked
	case at < 0:
		u.fail(aRecovery, now)
		return recoveryWrong
	}
	u.recovery = slices.Delete(slices.Clone(u.recovery), at, at+1)
	u.succeed(aRecovery)
	return carriedOut
}

// contact returns one of the addresses, by what it serves.
func (u *account) contact(kind string) *address {
	if kind == anSMS {
		return &u.phone
	}
	return &u.email
}

// verify is an answer to the code of an address.
func (u *account) verify(kind, code string, now time.Time) refusal {
	to := u.contact(kind)
	switch {
	case !to.code.open():
		return verifyWrong
	case now.After(to.code.ends):
		return verifyLate
	case u.locked(kind, now):
		return verifyLocked
	case code != to.code.code:
		u.fail(kind, now)
		to.code.miss()
		return verifyWrong
	}
	u.succeed(kind)
	to.verified, to.code = true, secretCode{}
	return carriedOut
}

func (u *account) takes(kind string) bool {
	if kind == anSMS {
		return u.smsCodes && u.phone.verified
	}
	return u.mailCodes && u.email.verified
}

func (u *account) key(kind, id string) *modelKey {
	for _, k := range u.keys {
		if k.kind == kind && k.id == id {
			return k
		}
	}
	return nil
}

func (u *account) dropKeys(drop func(*modelKey) bool) {
	u.keys = slices.DeleteFunc(slices.Clone(u.keys), drop)
}

func (u *account) hasKey(kind string) bool {
	return slices.ContainsFunc(u.keys, func(k *modelKey) bool { return k.ready && k.kind == kind })
}

// methods lists what the user can prove themselves with.
func (u *account) methods() []string {
	var ready []string
	for kind, has := range map[string]bool{
		aPassword: u.password != "", aPasskey: u.hasKey(aPasskey), anIDP: len(u.links) > 0, aTOTP: u.app.confirmed,
		aU2F: u.hasKey(aU2F), anSMS: u.takes(anSMS), aMail: u.takes(aMail), aRecovery: len(u.recovery) > 0,
	} {
		if has {
			ready = append(ready, kind)
		}
	}
	slices.Sort(ready)
	return ready
}

// needsTwo reports whether one factor is too few to act as the user.
func (u *account) needsTwo() bool {
	return slices.ContainsFunc(u.methods(), func(m string) bool { return m != aPassword && m != aRecovery && m != anIDP })
}

// usage is what was sent to one address.
type usage struct {
	next      time.Time
	hour, day time.Time
	hourly    int
	daily     int
}

// take counts a message.
func (s usage) take(now time.Time) (usage, refusal) {
	if hour := now.Truncate(time.Hour); !hour.Equal(s.hour) {
		s.hour, s.hourly = hour, 0
	}
	if day := now.Truncate(24 * time.Hour); !day.Equal(s.day) {
		s.day, s.daily = day, 0
	}
	switch {
	case now.Before(s.next):
		return s, messageTooSoon
	case s.daily >= 10, s.hourly >= 5:
		return s, messageTooMany
	}
	s.hourly++
	s.daily++
	s.next = now.Add(time.Minute)
	return s, carriedOut
}

// sent is what was sent, by address.
type sent map[string]usage

// may counts a message, unless it may not leave.
func (s sent) may(to string, now time.Time) refusal {
	after, denied := s[strings.ToLower(to)].take(now)
	if denied == carriedOut {
		s[strings.ToLower(to)] = after
	}
	return denied
}
