package user_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/user"
)

// countingHasher accepts the password "right" for any hash, and calls every hash but
// "new" outdated.
type countingHasher struct {
	verified, hashed, dummies int
	err                       error
}

func (h *countingHasher) Hash(context.Context, io.Reader, string) (string, error) {
	h.hashed++
	return "new", h.err
}

func (h *countingHasher) Verify(_ context.Context, encoded, plain string) (password.Verdict, error) {
	h.verified++
	return password.Verdict{Match: plain == "right", Outdated: encoded != "new"}, h.err
}

func (h *countingHasher) VerifyDummy(context.Context, string) error {
	h.dummies++
	return h.err
}

func (*countingHasher) CheckImport(string) error { return nil }

func TestProofComputesOncePerStoredHashHoweverOftenItIsAsked(t *testing.T) {
	t.Parallel()
	hasher := &countingHasher{}
	proof := user.NewProof(hasher, nil, "right")
	for range 16 {
		u := &user.User{Password: user.Password{Hash: "old"}, Guard: user.Guard{State: user.StateActive}}
		denied, err := u.CheckPassword(t.Context(), proof, user.Lockout{}, apptest.Epoch())
		if denied != nil || err != nil || u.Password.Hash != "new" || u.Guard.Version != 1 {
			t.Fatalf("%v, %v, %+v", denied, err, u)
		}
	}
	other := &user.User{Password: user.Password{Hash: "another"}, Guard: user.Guard{State: user.StateActive}}
	if _, err := other.CheckPassword(t.Context(), proof, user.Lockout{}, apptest.Epoch()); err != nil {
		t.Fatal(err)
	}
	if hasher.verified != 2 || hasher.hashed != 1 {
		t.Errorf("verified %d times, hashed %d times", hasher.verified, hasher.hashed)
	}
}

func TestFailingHasherDecidesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	hasher := &countingHasher{err: broken}
	u := &user.User{Password: user.Password{Hash: "old"}, Guard: user.Guard{State: user.StateActive}}
	denied, err := u.CheckPassword(t.Context(), user.NewProof(hasher, nil, "wrong"), user.Lockout{}, apptest.Epoch())
	if denied != nil || !errors.Is(err, broken) || u.Guard.Version != 0 || len(u.Guard.Attempts) != 0 {
		t.Errorf("%v, %v, %+v", denied, err, u.Guard)
	}
}
