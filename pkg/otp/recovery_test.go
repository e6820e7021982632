package otp_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/otp"
)

var form = regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{4}(-[0-9a-hjkmnp-tv-z]{4}){3}$`)

func TestT6ARecoveryCodeShowsEveryOneOfIts80Bits(t *testing.T) {
	t.Parallel()
	zero, err := otp.NewRecoveryCode(bytes.NewReader(make([]byte, 10)))
	if err != nil || zero != "0000-0000-0000-0000" {
		t.Fatalf("NewRecoveryCode = %s, %v", zero, err)
	}
	seen := map[string]bool{zero: true}
	for bit := range 80 {
		raw := make([]byte, 10)
		raw[bit/8] = 1 << (bit % 8)
		code, err := otp.NewRecoveryCode(bytes.NewReader(raw))
		if err != nil || !form.MatchString(code) {
			t.Errorf("bit %d: %q, %v", bit, code, err)
		}
		if seen[code] {
			t.Errorf("bit %d makes no difference: %s", bit, code)
		}
		seen[code] = true
	}
}

func TestNewRecoveryCodeNeedsAllItsRandomness(t *testing.T) {
	t.Parallel()
	broken := errors.New("entropy is out")
	if _, err := otp.NewRecoveryCode(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("NewRecoveryCode = %v, want the cause", err)
	}
	if code, err := otp.NewRecoveryCode(bytes.NewReader(make([]byte, 9))); err == nil {
		t.Errorf("NewRecoveryCode made %s from 9 bytes", code)
	}
}

const written = "7zk3-01mq-x8vd-4n2c"

// spellings are ways of people to write the code down.
var spellings = []string{
	written, "7ZK3-01MQ-X8VD-4N2C", "7zk301mqx8vd4n2c", " 7zk3 01mq x8vd 4n2c\n",
	"7zk3–01mq—x8vd‑4n2c", "7zk3-oimq-x8vd-4n2c", "7zk3-OLMQ-x8vd-4n2c", "7zk3-Oimq-x8vd-4n2c",
	"7zk3\u00a001mq\u3000x8vd\t4n2c",
}

func TestNormalizeUnifiesTheSpellings(t *testing.T) {
	t.Parallel()
	for _, spelling := range spellings {
		if got := otp.Normalize(spelling); got != "7zk301mqx8vd4n2c" {
			t.Errorf("Normalize(%q) = %q", spelling, got)
		}
	}
}

func TestT6TheMACMatchesTheCodeOfItsUserInAnySpelling(t *testing.T) {
	t.Parallel()
	r := ring(t)
	mac, err := otp.NewRecoveryMAC(r, "mini", written)
	if err != nil || mac.KeyID != "k1" {
		t.Fatalf("NewRecoveryMAC = %+v, %v", mac, err)
	}
	for _, spelling := range spellings {
		if !mac.Matches(r, "mini", spelling) {
			t.Errorf("%q does not match", spelling)
		}
	}
	for _, other := range []string{"", "7zk3-01mq-x8vd-4n2d", "7zk3-01mq-x8vd-4n2", "7zk3-01mq-x8vd-4n2cc", "7zk3-01mq-u8vd-4n2c"} {
		if mac.Matches(r, "mini", other) {
			t.Errorf("%q matches", other)
		}
	}
	if mac.Matches(r, "max", written) {
		t.Error("the code matches for another user")
	}
}

func TestT6TheMACIsBoundToItsKey(t *testing.T) {
	t.Parallel()
	r := ring(t)
	mac, err := otp.NewRecoveryMAC(r, "mini", written)
	if err != nil {
		t.Fatalf("NewRecoveryMAC: %v", err)
	}
	for _, keyID := range []string{"k2", "k3", ""} {
		moved := otp.RecoveryMAC{KeyID: keyID, Sum: mac.Sum}
		if moved.Matches(r, "mini", written) {
			t.Errorf("the MAC of k1 matches under %q", keyID)
		}
	}
	if (otp.RecoveryMAC{}).Matches(r, "mini", "") {
		t.Error("the zero value matches the empty code")
	}
	if strings.Contains(string(mac.Sum[:]), "7zk3") {
		t.Error("the MAC shows the code")
	}
}

func FuzzNormalize(f *testing.F) {
	for _, spelling := range spellings {
		f.Add(spelling)
	}
	f.Add("\xff\u212a\u0130")
	f.Fuzz(func(t *testing.T, code string) {
		once := otp.Normalize(code)
		if twice := otp.Normalize(once); twice != once {
			t.Errorf("Normalize(%q) = %q, and of that %q", code, once, twice)
		}
		if strings.ContainsAny(once, " -oilOIL") || utf8.RuneCountInString(once) > utf8.RuneCountInString(code) {
			t.Errorf("Normalize(%q) = %q", code, once)
		}
	})
}

func FuzzANewCodeIsItsOwnNormalForm(f *testing.F) {
	f.Add([]byte("0123456789"))
	f.Fuzz(func(t *testing.T, random []byte) {
		code, err := otp.NewRecoveryCode(bytes.NewReader(random))
		if err != nil {
			return
		}
		if !form.MatchString(code) || otp.Normalize(code) != strings.ReplaceAll(code, "-", "") {
			t.Errorf("code %q normalizes to %q", code, otp.Normalize(code))
		}
	})
}
