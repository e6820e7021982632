package app_test

import (
	"slices"
	"testing"

	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// The domain names purposes and package notify kinds; neither imports the other.
func TestEveryPurposeIsAKindOfMessage(t *testing.T) {
	t.Parallel()
	purposes := []sending.Purpose{
		sending.OTPSMS, sending.OTPEmail, sending.VerifyEmail, sending.VerifyPhone, sending.RegisterPasskey,
	}
	for _, p := range purposes {
		if !slices.Contains(notify.Kinds(), notify.Kind(p)) {
			t.Errorf("no kind of message is for %q", p)
		}
	}
	if got, want := len(notify.Kinds()), len(purposes); got != want {
		t.Errorf("%d kinds for %d purposes", got, want)
	}
}
