// Package password owns the hashing of passwords: making hashes (argon2id, RFC
// 9106), verifying them and those that came from other systems, deciding which
// hashes may come in, and the rules for new passwords.
//
// Hashes are modular-crypt strings ("$algorithm$parameters$salt$hash"). Passwords
// are taken as the bytes that were received: nothing is trimmed, folded or
// normalized.
//
// A hash that somebody else made decides how much work its verification costs. So
// every string passes a strict reading and the Bounds before anything is computed,
// on import and again on every use, and only so many computations run at once.
package password

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-crypt/crypt/algorithm/argon2"

	"github.com/stepup-auth/stepup/pkg/fault"
)

const (
	saltSize = 16 // RFC 9106 section 3.1; NIST SP 800-63B-4 asks for 4
	keySize  = 32
)

var (
	// ErrUnusable is returned for a stored hash that cannot be verified (wire
	// contract, check of the password).
	ErrUnusable = fault.New(fault.Internal, "COMMAND-CahN2", "An internal error occurred")
	// ErrUnsupported is returned for a hash that may not be imported (wire contract,
	// creating a human user).
	ErrUnsupported = fault.New(fault.InvalidArgument, "USER-JDk4t", "Password hash is not supported")
	// ErrBusy is returned when the caller's time ran out in the queue for a
	// computation. Nothing was computed.
	ErrBusy = fault.New(fault.ResourceExhausted, "STEPUP-password-busy", "Too many passwords are being checked at the moment").
		WithRetryAfter(time.Second)
)

// Config says how a Hasher works. The zero value is the recommended configuration.
type Config struct {
	// Params are the cost of new hashes. The zero value stands for DefaultParams.
	Params Params
	// Bounds are the limits for hashes made elsewhere. Each zero field stands for
	// the default that is named there.
	Bounds Bounds
	// MaxConcurrent is how many hashes are computed at once; more wait for their
	// turn (security bar R3). The default of 4 keeps a burst of logins at 4 × 19 MiB,
	// and the worst burst of imported hashes at 4 × Bounds.MemoryKiB.
	MaxConcurrent int
}

// Verdict is the outcome of comparing a password with a hash.
type Verdict struct {
	// Match reports whether the password is the right one.
	Match bool
	// Outdated reports that the hash is not what Hash would make today: another
	// algorithm or other parameters. After a Match, the caller should store a new
	// hash of the same password.
	Outdated bool
}

// Hasher makes and verifies hashes. It may be used from many goroutines at once.
type Hasher struct {
	params Params
	bounds Bounds
	argon  *argon2.Hasher
	dummy  stored
	slots  chan struct{}
}

// New returns a Hasher. It fails, naming the value, when Params are below the
// floor of the security bar (P3), or when they are above the Bounds, since the
// Hasher would then refuse its own hashes.
func New(c Config) (*Hasher, error) {
	if c.MaxConcurrent < 0 {
		return nil, fmt.Errorf("password: MaxConcurrent %d is negative", c.MaxConcurrent)
	}
	h := &Hasher{params: c.Params, bounds: c.Bounds.withDefaults()}
	if h.params == (Params{}) {
		h.params = DefaultParams()
	}
	if err := errors.Join(h.params.validate(), h.bounds.validate()); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	var err error
	h.argon, err = argon2.New(argon2.WithVariantID(), argon2.WithM(h.params.MemoryKiB),
		argon2.WithT(int(h.params.Time)), argon2.WithP(int(h.params.Threads)), argon2.WithK(keySize))
	if err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	if h.dummy, err = h.bounds.read(h.params.dummy()); err != nil {
		return nil, fmt.Errorf("password: Params are above Bounds: %w", err)
	}
	h.slots = make(chan struct{}, cmp.Or(c.MaxConcurrent, 4))
	return h, nil
}

// Hash returns an argon2id hash of plain under the Hasher's Params, with a salt of
// 16 bytes from random. The string has about 97 characters. It waits for its turn
// and returns ErrBusy, or an error with the context's in its chain, when ctx ends
// first.
//
// The library allocates the memory of a computation anew each time and leaves it to
// the garbage collector; it offers no way to hand memory in. So the peak of a
// process is some multiple of MaxConcurrent × MemoryKiB.
func (h *Hasher) Hash(ctx context.Context, random io.Reader, plain string) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("password: read salt: %w", err)
	}
	var encoded string
	err := h.inTurn(ctx, func() error {
		digest, err := h.argon.HashWithSalt(plain, salt)
		if err != nil {
			return fmt.Errorf("password: hash: %w", err)
		}
		encoded = digest.Encode()
		return nil
	})
	return encoded, err
}

// Verify compares plain with a stored hash. A wrong password is a Verdict, not an
// error. It returns ErrUnusable for a hash that it cannot read or that is out of
// bounds, and fails like Hash when ctx ends before its turn; a computation that has
// begun runs to its end.
func (h *Hasher) Verify(ctx context.Context, encoded, plain string) (Verdict, error) {
	s, err := h.bounds.read(encoded)
	if err != nil {
		return Verdict{}, ErrUnusable.Wrap(err)
	}
	match, err := h.match(ctx, s, plain)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Match: match, Outdated: s.params != h.params}, nil
}

// VerifyDummy does the work of Verify for a hash under the Hasher's Params and
// matches nothing. Callers use it where there is no user or no hash, so that the
// time of the answer does not tell (security bar P6). An imported hash of another
// algorithm takes its own time until the first login replaces it.
func (h *Hasher) VerifyDummy(ctx context.Context, plain string) error {
	_, err := h.match(ctx, h.dummy, plain)
	return err
}

// CheckImport returns ErrUnsupported unless Verify could use the hash: a known
// algorithm, well-formed, within the Bounds, and at most 200 characters (wire
// contract, HashedPassword). It computes nothing.
func (h *Hasher) CheckImport(encoded string) error {
	if _, err := h.bounds.read(encoded); err != nil {
		return ErrUnsupported.Wrap(err)
	}
	return nil
}

func (h *Hasher) match(ctx context.Context, s stored, plain string) (match bool, err error) {
	err = h.inTurn(ctx, func() error {
		if match, err = s.match(plain); err != nil {
			return ErrUnusable.Wrap(err)
		}
		return nil
	})
	return match, err
}

// inTurn runs compute when one of the slots is free.
func (h *Hasher) inTurn(ctx context.Context, compute func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("password: %w", err)
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
		return compute()
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return ErrBusy.Wrap(ctx.Err())
		}
		return fmt.Errorf("password: %w", ctx.Err())
	}
}
