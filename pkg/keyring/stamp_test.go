package keyring_test

import (
	"bytes"
	"testing"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

func stamp(t testing.TB, r *keyring.Ring, payload string) []byte {
	t.Helper()
	stamped, err := r.Stamp(purpose, []byte(payload))
	if err != nil {
		t.Fatalf("Stamp: %v", err)
	}
	return stamped
}

func TestUnstampReturnsWhatWasStamped(t *testing.T) {
	t.Parallel()
	before, after := ring(t, "k1", "k1"), ring(t, "k2", "k1", "k2")
	for _, payload := range []string{"", "p", "a payload of some length"} {
		for name, stamped := range map[string][]byte{"old key": stamp(t, before, payload), "new key": stamp(t, after, payload)} {
			got, genuine := after.Unstamp(purpose, stamped)
			if !genuine || string(got) != payload {
				t.Errorf("%s: Unstamp = %q, %v; want %q", name, got, genuine, payload)
			}
		}
	}
	if _, genuine := before.Unstamp(purpose, stamp(t, after, "p")); genuine {
		t.Error("a stamp of a key that the ring lacks is genuine")
	}
	if _, genuine := after.Unstamp("other", stamp(t, after, "p")); genuine {
		t.Error("a stamp for another purpose is genuine")
	}
}

func TestUnstampRefusesEveryChange(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1", "k2")
	stamped := stamp(t, r, "payload")
	for bit := range 8 * len(stamped) {
		changed := bytes.Clone(stamped)
		changed[bit/8] ^= 1 << (bit % 8)
		if payload, genuine := r.Unstamp(purpose, changed); genuine || payload != nil {
			t.Errorf("bit %d flipped: Unstamp = %q, %v", bit, payload, genuine)
		}
	}
	for length := range stamped {
		if payload, genuine := r.Unstamp(purpose, stamped[:length]); genuine || payload != nil {
			t.Errorf("the first %d bytes: Unstamp = %q, %v", length, payload, genuine)
		}
	}
	if _, genuine := r.Unstamp(purpose, append(bytes.Clone(stamped), 0)); genuine {
		t.Error("a stamp with a byte behind it is genuine")
	}
}

func FuzzUnstampRefusesWhatStampDidNotMake(f *testing.F) {
	r := ring(f, "k1", "k1", "k2")
	good := stamp(f, r, "payload")
	f.Add(good)
	f.Add(good[:10])
	f.Add([]byte{1, 255})
	f.Fuzz(func(t *testing.T, stamped []byte) {
		if _, genuine := r.Unstamp(purpose, stamped); genuine != bytes.Equal(stamped, good) {
			t.Errorf("Unstamp(%x) is genuine: %v", stamped, genuine)
		}
	})
}
