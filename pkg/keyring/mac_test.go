package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// The expected value was computed outside this program, with HKDF and HMAC written
// out by hand from RFC 5869 and RFC 2104. A change of it invalidates every session
// token that is out there.
func TestMACIsStableAcrossReleases(t *testing.T) {
	t.Parallel()
	mac, err := ring(t, "k1", "k1").MAC("session-token", "k1", []byte("ab"), nil, []byte("c"))
	if err != nil {
		t.Fatalf("MAC: %v", err)
	}
	const want = "c27629a38c4c4c9e5704e610f903e7b77afbbf6bd8e82db4a514eb3a506df852"
	if got := hex.EncodeToString(mac[:]); got != want {
		t.Errorf("MAC = %s, want %s", got, want)
	}
}

func TestMACDependsOnEverythingThatGoesIn(t *testing.T) {
	t.Parallel()
	type input struct {
		purpose, keyID string
		parts          [][]byte
	}
	split := func(parts ...string) [][]byte {
		out := make([][]byte, len(parts))
		for i, part := range parts {
			out[i] = []byte(part)
		}
		return out
	}
	inputs := []input{
		{"a", "k1", split("ab", "c")},
		{"a", "k1", split("a", "bc")},
		{"a", "k1", split("abc")},
		{"a", "k1", split("abc", "")},
		{"a", "k1", split("", "abc")},
		{"a", "k1", split()},
		{"a", "k1", split("")},
		{"a", "k1", split("ab\x00\x00\x00\x00\x00\x00\x00\x01c")},
		{"b", "k1", split("ab", "c")},
		{"a", "k2", split("ab", "c")},
	}
	r := ring(t, "k1", "k1", "k2")
	seen := map[[keyring.MACSize]byte]input{}
	for _, in := range inputs {
		mac, err := r.MAC(in.purpose, in.keyID, in.parts...)
		if err != nil {
			t.Fatalf("MAC(%v): %v", in, err)
		}
		if other, ok := seen[mac]; ok {
			t.Errorf("%q and %q have the same MAC", in, other)
		}
		seen[mac] = in
	}
}

func TestMACOfAnUnknownKeyIsAnError(t *testing.T) {
	t.Parallel()
	mac, err := ring(t, "k1", "k1").MAC(purpose, "k2", []byte("a"))
	if !errors.Is(err, keyring.ErrUnknownKey) || mac != [keyring.MACSize]byte{} {
		t.Errorf("MAC = %x, %v; want ErrUnknownKey", mac, err)
	}
}

func TestVerifyAcceptsAtLeast16BytesOfTheRightMAC(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1", "k2")
	part := []byte("part")
	full, err := r.MAC(purpose, "k1", part)
	if err != nil {
		t.Fatalf("MAC: %v", err)
	}
	for length := range keyring.MACSize + 1 {
		want := length >= keyring.MinMACSize
		if got := r.Verify(purpose, "k1", full[:length], part); got != want {
			t.Errorf("Verify of the first %d bytes = %v, want %v", length, got, want)
		}
	}
	if r.Verify(purpose, "k1", append(full[:], 0), part) {
		t.Error("Verify accepted a byte too many")
	}
}

func TestVerifyRefusesEveryChangedBit(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1", "k2")
	part := []byte("part")
	full, err := r.MAC(purpose, "k1", part)
	if err != nil {
		t.Fatalf("MAC: %v", err)
	}
	for bit := range 8 * keyring.MACSize {
		mac := bytes.Clone(full[:])
		mac[bit/8] ^= 1 << (bit % 8)
		if r.Verify(purpose, "k1", mac, part) {
			t.Errorf("Verify accepted a MAC with bit %d flipped", bit)
		}
	}
	if r.Verify(purpose, "k2", full[:], part) {
		t.Error("Verify accepted the MAC of another key")
	}
	if r.Verify(purpose, "k3", full[:], part) {
		t.Error("Verify accepted a MAC under a key that the ring lacks")
	}
	if r.Verify("other", "k1", full[:], part) {
		t.Error("Verify accepted the MAC of another purpose")
	}
	if r.Verify(purpose, "k1", full[:], part, nil) {
		t.Error("Verify accepted an added empty part")
	}
}
