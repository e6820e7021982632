package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

var seed = []byte("a TOTP seed, 20 byte")

func seal(t testing.TB, r *keyring.Ring, aad string) []byte {
	t.Helper()
	sealed, err := r.Seal(&counter{}, purpose, seed, []byte(aad))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return sealed
}

// The expected value was computed outside this program. A change of it means that
// stored data cannot be read any more.
func TestSealedLayoutIsStableAcrossReleases(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1")
	sealed, err := r.Seal(&counter{}, "totp-seed", []byte("plain"), []byte("user/1"))
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	const want = "01026b310102030405060708090a0b0c4edbd20294dd8b6b76f32e77ef3e987232300ebeec"
	if got := hex.EncodeToString(sealed); got != want {
		t.Errorf("Seal = %s, want %s", got, want)
	}
}

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1")
	for _, size := range []int{0, 1, 16, 20, 4096} {
		plain := bytes.Repeat([]byte{'x'}, size)
		for _, aad := range [][]byte{nil, []byte("item field")} {
			sealed, err := r.Seal(&counter{}, purpose, plain, aad)
			if err != nil {
				t.Fatalf("Seal: %v", err)
			}
			if want := size + 30 + len(r.Current()); len(sealed) != want {
				t.Errorf("sealed %d bytes to %d, want %d", size, len(sealed), want)
			}
			got, err := r.Open(purpose, sealed, aad)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Open = %q, %v; want %q", got, err, plain)
			}
		}
	}
}

func TestC1EveryFlippedBitIsAnError(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1", "k2")
	sealed := seal(t, r, "aad")
	for bit := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		plain, err := r.Open(purpose, changed, []byte("aad"))
		if plain != nil || (!errors.Is(err, keyring.ErrSealed) && !errors.Is(err, keyring.ErrUnknownKey)) {
			t.Errorf("bit %d flipped: Open = %q, %v; want an error", bit, plain, err)
		}
	}
}

func TestC1EveryCutAndAddedByteIsAnError(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1")
	sealed := seal(t, r, "aad")
	for length := range sealed {
		if plain, err := r.Open(purpose, sealed[:length], []byte("aad")); err == nil {
			t.Errorf("the first %d bytes open to %q", length, plain)
		}
	}
	if plain, err := r.Open(purpose, append(sealed, 0), []byte("aad")); err == nil {
		t.Errorf("an added byte opens to %q", plain)
	}
}

func TestC2RotationKeepsOldDataReadable(t *testing.T) {
	t.Parallel()
	before := ring(t, "k1", "k1")
	added := ring(t, "k1", "k1", "k2")
	after := ring(t, "k2", "k1", "k2")
	removed := ring(t, "k2", "k2")

	old, fresh := seal(t, before, "aad"), seal(t, after, "aad")
	tests := []struct {
		name   string
		ring   *keyring.Ring
		sealed []byte
		want   error
	}{
		{"old value, key added", added, old, nil},
		{"old value, key switched", after, old, nil},
		{"old value, old key removed", removed, old, keyring.ErrUnknownKey},
		{"new value, not yet switched", added, fresh, nil},
		{"new value, old key removed", removed, fresh, nil},
		{"new value, key not yet added", before, fresh, keyring.ErrUnknownKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain, err := tt.ring.Open(purpose, tt.sealed, []byte("aad"))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Open: %v, want %v", err, tt.want)
			}
			if tt.want == nil && !bytes.Equal(plain, seed) {
				t.Errorf("Open = %q, want %q", plain, seed)
			}
		})
	}
}

func TestC2NoncesDoNotRepeat(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1")
	random := rand.NewChaCha8([32]byte{1})
	seen := map[string]bool{}
	for range 5000 {
		sealed, err := r.Seal(random, purpose, seed, nil)
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		nonce := string(sealed[4:16])
		if seen[nonce] {
			t.Fatalf("nonce %x came twice", nonce)
		}
		seen[nonce] = true
	}
}

func TestC3SealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	t.Parallel()
	r := ring(t, "k1", "k1")
	sealed := seal(t, r, "user/1/totp")
	for _, aad := range []string{"", "user/2/totp", "user/1/totp ", "user/1/tot"} {
		if plain, err := r.Open(purpose, sealed, []byte(aad)); !errors.Is(err, keyring.ErrSealed) || plain != nil {
			t.Errorf("Open with aad %q = %q, %v; want ErrSealed", aad, plain, err)
		}
	}
	if plain, err := r.Open("other", sealed, []byte("user/1/totp")); !errors.Is(err, keyring.ErrSealed) || plain != nil {
		t.Errorf("Open for another purpose = %q, %v; want ErrSealed", plain, err)
	}
}

func TestKeyOfTheSameIDInAnotherRingDoesNotOpen(t *testing.T) {
	t.Parallel()
	text, err := keyring.Generate(&counter{}, "k1")
	if err != nil {
		t.Fatalf("Generate: %v", err)
	}
	other, err := keyring.Parse(text)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	if plain, err := other.Open(purpose, seal(t, ring(t, "k1", "k1"), ""), nil); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("Open = %q, %v; want ErrSealed", plain, err)
	}
}

func TestSealFailsWhenRandomnessDoes(t *testing.T) {
	t.Parallel()
	broken := errors.New("entropy is out")
	r := ring(t, "k1", "k1")
	if sealed, err := r.Seal(iotest.ErrReader(broken), purpose, seed, nil); !errors.Is(err, broken) || sealed != nil {
		t.Errorf("Seal = %x, %v; want nothing and the cause", sealed, err)
	}
	if sealed, err := r.Seal(bytes.NewReader(make([]byte, 11)), purpose, seed, nil); err == nil {
		t.Errorf("Seal = %x with 11 bytes of nonce", sealed)
	}
}

func FuzzOpenRefusesWhatSealDidNotMake(f *testing.F) {
	r := ring(f, "k1", "k1", "k2")
	good := seal(f, r, "aad")
	f.Add(good, []byte("aad"))
	f.Add(good[:20], []byte("aad"))
	f.Add([]byte{1, 255, 'k'}, []byte{})
	f.Add([]byte{1, 0}, []byte{})
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		plain, err := r.Open(purpose, sealed, aad)
		made := bytes.Equal(sealed, good) && string(aad) == "aad"
		if made != (err == nil) {
			t.Errorf("Open(%x, %q) = %q, %v", sealed, aad, plain, err)
		}
	})
}
