package password_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	xargon2 "golang.org/x/crypto/argon2"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/password"
)

func hasher(t testing.TB, c password.Config) *password.Hasher {
	t.Helper()
	h, err := password.New(c)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return h
}

func verify(t testing.TB, h *password.Hasher, encoded, plain string) password.Verdict {
	t.Helper()
	verdict, err := h.Verify(t.Context(), encoded, plain)
	if err != nil {
		t.Fatalf("Verify(%s): %v", encoded, err)
	}
	return verdict
}

func TestP5HashesOfOtherSystemsVerifyAndAreOutdated(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	for name, encoded := range vectors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := h.CheckImport(encoded); err != nil {
				t.Errorf("CheckImport: %v", err)
			}
			want := password.Verdict{Match: true, Outdated: encoded != defaultVector}
			if diff := cmp.Diff(want, verify(t, h, encoded, plain)); diff != "" {
				t.Errorf("right password (-want +got):\n%s", diff)
			}
			if verify(t, h, encoded, plain+"!").Match {
				t.Error("a wrong password matches")
			}
		})
	}
}

func TestP4_HashIsArgon2idOfThePasswordAsReceivedUnderA128BitSalt(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	salt := []byte("sixteen byte slt")
	for _, plain := range []string{"", " Pa\u0308ss\n", "p\x00\xff", strings.Repeat("x", 200)} {
		got, err := h.Hash(t.Context(), bytes.NewReader(salt), plain)
		if err != nil {
			t.Fatalf("Hash(%q): %v", plain, err)
		}
		key := xargon2.IDKey([]byte(plain), salt, 2, 19*1024, 1, 32)
		b64 := base64.RawStdEncoding.EncodeToString
		want := fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", b64(salt), b64(key))
		if got != want {
			t.Errorf("Hash(%q) = %s, want %s", plain, got, want)
		}
	}
}

func TestHashVerifiesAndIsNotOutdated(t *testing.T) {
	t.Parallel()
	params := map[string]password.Params{
		"default":          {},
		"one pass":         {MemoryKiB: 46 * 1024, Time: 1, Threads: 1},
		"three, two lanes": {MemoryKiB: 12 * 1024, Time: 3, Threads: 2},
	}
	for name, p := range params {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hasher(t, password.Config{Params: p})
			random := rand.NewChaCha8([32]byte{1})
			first, err := h.Hash(t.Context(), random, plain)
			if err != nil {
				t.Fatalf("Hash: %v", err)
			}
			if err := h.CheckImport(first); err != nil {
				t.Errorf("CheckImport of its own hash: %v", err)
			}
			if diff := cmp.Diff(password.Verdict{Match: true}, verify(t, h, first, plain)); diff != "" {
				t.Errorf("own hash (-want +got):\n%s", diff)
			}
			second, err := h.Hash(t.Context(), random, plain)
			if err != nil || second == first {
				t.Errorf("the second hash is %s, %v; want another salt", second, err)
			}
		})
	}
}

func TestHashFailsWhenRandomnessDoes(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	broken := errors.New("entropy is out")
	if got, err := h.Hash(t.Context(), iotest.ErrReader(broken), plain); !errors.Is(err, broken) || got != "" {
		t.Errorf("Hash = %q, %v; want the cause", got, err)
	}
	if got, err := h.Hash(t.Context(), bytes.NewReader(make([]byte, 15)), plain); err == nil {
		t.Errorf("Hash = %q with 15 bytes of salt", got)
	}
}

func TestChangedParamsMakeOldHashesOutdated(t *testing.T) {
	t.Parallel()
	for _, p := range []password.Params{
		{MemoryKiB: 20 * 1024, Time: 2, Threads: 1},
		{MemoryKiB: 19 * 1024, Time: 3, Threads: 1},
		{MemoryKiB: 19 * 1024, Time: 2, Threads: 2},
		{MemoryKiB: 12 * 1024, Time: 3, Threads: 1}, // cheaper is different, too
	} {
		got := verify(t, hasher(t, password.Config{Params: p}), defaultVector, plain)
		if diff := cmp.Diff(password.Verdict{Match: true, Outdated: true}, got); diff != "" {
			t.Errorf("under %+v (-want +got):\n%s", p, diff)
		}
	}
}

func TestPasswordIsComparedExactlyAsReceived(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	encoded := vectors["argon2id, least memory"]
	for _, other := range []string{
		"", " " + plain, plain + " ", plain + "\n", plain + "\x00", strings.ToUpper(plain),
		strings.Replace(plain, "ä", "a\u0308", 1), strings.Replace(plain, "ä", "a", 1), strings.Replace(plain, "ä", "\xe4", 1),
	} {
		if verify(t, h, encoded, other).Match {
			t.Errorf("%q matches the hash of %q", other, plain)
		}
	}
}

func TestBcryptReads72Bytes(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name, encoded, plain string
		want                 bool
	}{
		{"71 of 71", bcryptOf71x, x(71), true},
		{"72 of 71", bcryptOf71x, x(72), false},
		{"71 of 80", bcryptOf80x, x(71), false},
		{"72 of 80", bcryptOf80x, x(72), true},
		{"80 of 80", bcryptOf80x, x(80), true},
		{"200 of 80", bcryptOf80x, x(200), true},
		{"byte 72 differs", bcryptOf80x, x(71) + "y" + x(8), false},
		{"byte 73 differs", bcryptOf80x, x(72) + "y" + x(7), true},
		{"empty", bcryptOfNone, "", true},
		{"something for empty", bcryptOfNone, "a", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := verify(t, h, tt.encoded, tt.plain); got.Match != tt.want || !got.Outdated {
				t.Errorf("verdict %+v, want match %v and outdated", got, tt.want)
			}
		})
	}
}

func TestZeroByteIsNotSwallowed(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	for name, encoded := range map[string]string{ // hashes of "a"
		"bcrypt": bcryptOfA,
		"scrypt": "$scrypt$ln=4,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$+78yiToj/qo10W5PrKQIP1CiMKIqPZZ3bHdirU3fUbI",
		"pbkdf2": "$pbkdf2-sha256$10$MDEyMzQ1Njc4OWFiY2RlZg$/HXPZMaBNLejF7U9uBsdyzczMeWJx6lnZhFHmx9gnu8",
	} {
		if !verify(t, h, encoded, "a").Match {
			t.Errorf("%s: the right password does not match", name)
		}
		for _, other := range []string{"a\x00", "a\x00a", "a\x00a\x00a", "a\x00b"} {
			if verify(t, h, encoded, other).Match {
				t.Errorf("%s: %q matches the hash of \"a\"", name, other)
			}
		}
	}
}

func TestVerifyOfAnUnusableHashIsInternalAndTellsNoSecret(t *testing.T) {
	t.Parallel()
	h := hasher(t, password.Config{})
	for name, encoded := range unsupported {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verdict, err := h.Verify(t.Context(), encoded, plain)
			if !errors.Is(err, password.ErrUnusable) || verdict != (password.Verdict{}) {
				t.Fatalf("Verify = %+v, %v; want ErrUnusable", verdict, err)
			}
			f := fault.From(err)
			if f.Kind != fault.Internal || f.ID != "COMMAND-CahN2" || f.Text != "An internal error occurred" {
				t.Errorf("fault %v %s %q", f.Kind, f.ID, f.Text)
			}
			if salt := "MDEyMzQ1"; strings.Contains(err.Error(), salt) {
				t.Errorf("error %q contains a part of the hash", err)
			}
		})
	}
}

func TestP6DummyHasTheCostOfARealHashAndMatchesNothing(t *testing.T) { // not parallel: it measures memory
	for _, p := range []password.Params{{}, {MemoryKiB: 46 * 1024, Time: 1, Threads: 1}} {
		h := hasher(t, password.Config{Params: p})
		if got := verify(t, h, h.Dummy(), plain); got != (password.Verdict{}) {
			t.Errorf("the dummy's verdict is %+v, want no match and the parameters of today", got)
		}
		encoded, err := h.Hash(t.Context(), rand.NewChaCha8([32]byte{}), plain)
		if err != nil {
			t.Fatalf("Hash: %v", err)
		}
		wrong := allocated(func() { verify(t, h, encoded, "wrong") })
		dummy := allocated(func() {
			if err := h.VerifyDummy(t.Context(), "wrong"); err != nil {
				t.Errorf("VerifyDummy: %v", err)
			}
		})
		if ratio := float64(dummy) / float64(wrong); ratio < 0.99 || ratio > 1.01 {
			t.Errorf("the dummy allocates %d bytes, a real hash %d", dummy, wrong)
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestR3ComputationsBeyondTheLimitWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, password.Config{MaxConcurrent: 2})
		release := h.Occupy()
		defer h.Occupy()()
		done := make(chan password.Verdict, 1)
		go func() { done <- verify(t, h, bcryptOfA, "a") }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("a third computation ran beside two others")
		}
		release()
		synctest.Wait()
		if got := <-done; !got.Match {
			t.Errorf("verdict %+v after the wait, want a match", got)
		}
	})
}

func TestR3WaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := hasher(t, password.Config{MaxConcurrent: 1})
		release := h.Occupy()
		calls := map[string]func(context.Context) error{
			"Hash": func(ctx context.Context) error {
				_, err := h.Hash(ctx, rand.NewChaCha8([32]byte{}), plain)
				return err
			},
			"Verify": func(ctx context.Context) error {
				_, err := h.Verify(ctx, bcryptOfA, "a")
				return err
			},
			"VerifyDummy": func(ctx context.Context) error { return h.VerifyDummy(ctx, "a") },
		}
		for name, call := range calls {
			late, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			begin := time.Now()
			err := call(late)
			cancel()
			if f := fault.From(err); !errors.Is(err, password.ErrBusy) || f.Kind != fault.ResourceExhausted || f.RetryAfter != time.Second {
				t.Errorf("%s: %v; want ErrBusy with a time to retry", name, err)
			}
			if waited := time.Since(begin); waited != 3*time.Second {
				t.Errorf("%s: waited %v, want all of the 3 s", name, waited)
			}
			gone, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			if err := call(gone); fault.From(err).Kind != fault.Canceled {
				t.Errorf("%s: %v; want Canceled", name, err)
			}
		}
		release()
		over, cancel := context.WithTimeout(t.Context(), -1)
		defer cancel()
		for name, call := range calls {
			if err := call(over); fault.From(err).Kind != fault.DeadlineExceeded {
				t.Errorf("%s with a context that is over: %v; want DeadlineExceeded", name, err)
			}
			if err := call(t.Context()); err != nil {
				t.Errorf("%s after all that: %v; want its slot back", name, err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := hasher(b, password.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if !verify(b, h, defaultVector, plain).Match {
			b.Fatal("no match")
		}
	}
}

func BenchmarkHash(b *testing.B) {
	h := hasher(b, password.Config{})
	random := rand.NewChaCha8([32]byte{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Hash(b.Context(), random, plain); err != nil {
			b.Fatal(err)
		}
	}
}
