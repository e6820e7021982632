package otp_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// seed is the secret of the RFCs' vectors: the digits 1 to 9 and 0, repeated to the
// length of the hash.
func seed(size int) []byte { return []byte(strings.Repeat("1234567890", 7)[:size]) }

func TestT2VectorsOfRFC4226(t *testing.T) {
	t.Parallel()
	want := []string{
		"755224", "287082", "359152", "969429", "338314",
		"254676", "287922", "162583", "399871", "520489",
	}
	for counter, code := range want {
		if got := otp.HOTP(sha1.New, seed(20), uint64(counter)); got != code {
			t.Errorf("HOTP(%d) = %s, want %s", counter, got, code)
		}
	}
}

// The vectors have eight digits; six are their last six, since both are remainders of
// one number.
func TestT2VectorsOfRFC6238(t *testing.T) {
	t.Parallel()
	hashes := []struct {
		name    string
		newHash func() hash.Hash
		secret  []byte
	}{
		{"SHA-1", sha1.New, seed(20)}, {"SHA-256", sha256.New, seed(32)}, {"SHA-512", sha512.New, seed(64)},
	}
	tests := []struct {
		unix int64
		want [3]string
	}{
		{59, [3]string{"94287082", "46119246", "90693936"}},
		{1111111109, [3]string{"07081804", "68084774", "25091201"}},
		{1111111111, [3]string{"14050471", "67062674", "99943326"}},
		{1234567890, [3]string{"89005924", "91819424", "93441116"}},
		{2000000000, [3]string{"69279037", "90698825", "38618901"}},
		{20000000000, [3]string{"65353130", "77737706", "47863826"}},
	}
	for _, tt := range tests {
		for i, h := range hashes {
			if got := otp.HOTP(h.newHash, h.secret, uint64(tt.unix/30)); got != tt.want[i][2:] {
				t.Errorf("%s at %d: %s, want %s", h.name, tt.unix, got, tt.want[i][2:])
			}
		}
		if got := otp.Code(seed(20), time.Unix(tt.unix, 0)); got != tt.want[0][2:] {
			t.Errorf("Code at %d = %s, want %s", tt.unix, got, tt.want[0][2:])
		}
	}
}

// now is inside a step: 15 s after it began.
var now = time.Unix(1_700_000_000/30*30+15, 0)

const current = uint64(1_700_000_000 / 30)

func at(steps int) time.Time { return now.Add(time.Duration(steps) * otp.Step) }

func TestT4OneStepEitherSideCountsAndNoneInStrictMode(t *testing.T) {
	t.Parallel()
	for steps := -3; steps <= 3; steps++ {
		code := otp.Code(seed(20), at(steps))
		wantLoose, wantStrict := otp.Wrong, otp.Wrong
		if steps >= -1 && steps <= 1 {
			wantLoose = otp.Right
		}
		if steps == 0 {
			wantStrict = otp.Right
		}
		step, outcome := otp.Match(seed(20), code, otp.Window{Now: now})
		if outcome != wantLoose || (outcome == otp.Right) != (step == current+uint64(steps)) {
			t.Errorf("%+d steps: %d, %v; want %v", steps, step, outcome, wantLoose)
		}
		if _, outcome := otp.Match(seed(20), code, otp.Window{Now: now, Strict: true}); outcome != wantStrict {
			t.Errorf("%+d steps, strict: %v, want %v", steps, outcome, wantStrict)
		}
	}
}

func TestT4TheStepTurnsAtItsLastSecond(t *testing.T) {
	t.Parallel()
	code := otp.Code(seed(20), now)
	begin := time.Unix(int64(current)*30, 0)
	tests := []struct {
		at   time.Time
		want otp.Outcome
	}{
		{begin.Add(-1), otp.Wrong},
		{begin, otp.Right},
		{begin.Add(otp.Step - 1), otp.Right},
		{begin.Add(otp.Step), otp.Wrong},
	}
	for _, tt := range tests {
		if _, outcome := otp.Match(seed(20), code, otp.Window{Now: tt.at, Strict: true}); outcome != tt.want {
			t.Errorf("at %v from the begin: %v, want %v", tt.at.Sub(begin), outcome, tt.want)
		}
	}
}

func TestT3ACodeIsAcceptedOnceAndNoneBeforeIt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		steps int
		after uint64
		want  otp.Outcome
	}{
		{"first code ever", 0, 0, otp.Right},
		{"same code again", 0, current, otp.Used},
		{"next code after it", 1, current, otp.Right},
		{"code of step n after n+1", 0, current + 1, otp.Used},
		{"previous code after the current one", -1, current, otp.Used},
		{"current code after the previous one", 0, current - 1, otp.Right},
		{"wrong code stays wrong", 2, current + 5, otp.Wrong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code := otp.Code(seed(20), at(tt.steps))
			step, outcome := otp.Match(seed(20), code, otp.Window{Now: now, After: tt.after})
			if outcome != tt.want {
				t.Fatalf("outcome %v, want %v", outcome, tt.want)
			}
			if want := current + uint64(tt.steps); outcome != otp.Wrong && step != want {
				t.Errorf("step %d, want %d", step, want)
			}
			if outcome == otp.Wrong && step != 0 {
				t.Errorf("step %d of a wrong code, want 0", step)
			}
		})
	}
}

// twin is the first step whose code the next step has as well.
const twin = 910737

func TestT3ACodeThatTwoStepsShareIsAcceptedOnce(t *testing.T) {
	t.Parallel()
	secret, at := seed(20), time.Unix(twin*30, 0)
	code := otp.Code(secret, at)
	if next := otp.Code(secret, at.Add(otp.Step)); next != code {
		t.Fatalf("codes %s and %s are no twins", code, next)
	}
	step, outcome := otp.Match(secret, code, otp.Window{Now: at})
	if outcome != otp.Right {
		t.Fatalf("first use: %v, want Right", outcome)
	}
	for _, later := range []time.Duration{0, otp.Step, 2 * otp.Step} {
		if _, outcome := otp.Match(secret, code, otp.Window{Now: at.Add(later), After: step}); outcome != otp.Used {
			t.Errorf("second use %v later: %v, want Used", later, outcome)
		}
	}
}

func TestMatchRefusesWhatIsNotSixDigits(t *testing.T) {
	t.Parallel()
	code := otp.Code(seed(20), now)
	for _, wrong := range []string{"", code[:5], code + "0", " " + code, code[:5] + "x", strings.Repeat(code, 2), "٠٠٠٠٠٠"} {
		if step, outcome := otp.Match(seed(20), wrong, otp.Window{Now: now}); outcome != otp.Wrong || step != 0 {
			t.Errorf("Match(%q) = %d, %v; want Wrong", wrong, step, outcome)
		}
	}
}

// A user whose secret was lost on the way must not be open to whoever computes the
// code of an empty one.
func TestNoCodeIsRightForAMissingSecret(t *testing.T) {
	t.Parallel()
	for _, secret := range [][]byte{nil, {}, seed(9)} {
		if _, outcome := otp.Match(secret, otp.Code(secret, now), otp.Window{Now: now}); outcome != otp.Wrong {
			t.Errorf("secret of %d bytes: %v, want Wrong", len(secret), outcome)
		}
	}
}

func TestTimesAroundTheEpochDoNotWrapAround(t *testing.T) {
	t.Parallel()
	for _, unix := range []int64{-62135596800, -31, 0, 29, 30} {
		at := time.Unix(unix, 0)
		step, outcome := otp.Match(seed(20), otp.HOTP(sha1.New, seed(20), 1), otp.Window{Now: at})
		if outcome != otp.Right || step != 1 {
			t.Errorf("at %d: %d, %v; want step 1 of the window", unix, step, outcome)
		}
		if _, outcome := otp.Match(seed(20), otp.HOTP(sha1.New, seed(20), 0), otp.Window{Now: at}); outcome != otp.Wrong {
			t.Errorf("at %d: code of step 0 is %v, want Wrong", unix, outcome)
		}
	}
}
