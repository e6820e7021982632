package keyring_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

func TestFingerprintTellsKeysOfOneIDApart(t *testing.T) {
	t.Parallel()
	fingerprint := func(seed byte) string {
		text, err := keyring.Generate(bytes.NewReader(bytes.Repeat([]byte{seed}, keyring.KeySize)), "k1")
		if err != nil {
			t.Fatal(err)
		}
		ring, err := keyring.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ring.Fingerprint("k2"); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("the fingerprint of a key that is not there: %v", err)
		}
		f, err := ring.Fingerprint("k1")
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, again, two := fingerprint(1), fingerprint(1), fingerprint(2)
	if one != again || one == two || len(one) != 32 {
		t.Errorf("fingerprints %s, %s and %s", one, again, two)
	}
}
