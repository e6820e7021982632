package user

import (
	"context"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/password"
)

// Hasher computes and verifies password hashes; package password has it.
type Hasher interface {
	// Hash returns a modular-crypt string with a fresh salt from random.
	Hash(ctx context.Context, random io.Reader, plain string) (string, error)
	// Verify compares. It returns a fault of kind Internal for an unusable hash.
	Verify(ctx context.Context, encoded, plain string) (password.Verdict, error)
	// VerifyDummy takes as long as Verify and never matches.
	VerifyDummy(ctx context.Context, plain string) error
	// CheckImport returns a fault of kind InvalidArgument for a hash that cannot
	// be verified within bounds.
	CheckImport(encoded string) error
}

// Faults of a password check (wire contract, section 4.4).
var (
	ErrPasswordLocked = fault.New(fault.FailedPrecondition, "COMMAND-JLK35", "User is locked")
	ErrPasswordNotSet = fault.New(fault.FailedPrecondition, "COMMAND-3nJ4t", "User has not set a password")
	ErrPasswordWrong  = fault.New(fault.InvalidArgument, "COMMAND-3M0fs", "Password is invalid")
)

// Proof is one password as the caller gave it, with what has been found out about
// it. A decision may run several times when it loses races; the slow hash is
// computed once for each stored hash.
type Proof struct {
	hasher   Hasher
	random   io.Reader
	plain    string
	verdicts map[string]password.Verdict
	upgraded string
}

// NewProof prepares the check of a password.
func NewProof(hasher Hasher, random io.Reader, plain string) *Proof {
	return &Proof{hasher: hasher, random: random, plain: plain, verdicts: make(map[string]password.Verdict)}
}

func (p *Proof) verdict(ctx context.Context, hash string) (password.Verdict, error) {
	if v, known := p.verdicts[hash]; known {
		return v, nil
	}
	v, err := p.hasher.Verify(ctx, hash, p.plain)
	if err != nil {
		return v, err
	}
	p.verdicts[hash] = v
	return v, nil
}

func (p *Proof) upgrade(ctx context.Context) (string, error) {
	if p.upgraded != "" {
		return p.upgraded, nil
	}
	hash, err := p.hasher.Hash(ctx, p.random, p.plain)
	if err != nil {
		return "", err
	}
	p.upgraded = hash
	return hash, nil
}

// Stall spends the time of a check without checking anything, for a user who does
// not exist or has no password, so that the clock does not tell (row P6).
func (p *Proof) Stall(ctx context.Context) error {
	return p.hasher.VerifyDummy(ctx, p.plain)
}

// CheckPassword compares the password and changes u to match: a failure is counted,
// a success forgets the failures, and an outdated hash is replaced. The fault is
// what the caller may be told once u is committed; err means that nothing was
// decided.
func (u *User) CheckPassword(ctx context.Context, p *Proof, l Lockout, now time.Time) (denied *fault.Fault, err error) {
	if lock := u.Locked(AuthPassword, l, now); lock != nil {
		return ErrPasswordLocked.WithFailedAttempts(lock.Failures).WithRetryAfter(lock.Wait), nil
	}
	if u.Password.Hash == "" {
		return ErrPasswordNotSet, p.Stall(ctx)
	}
	verdict, err := p.verdict(ctx, u.Password.Hash)
	if err != nil {
		return nil, err
	}
	if !verdict.Match {
		return ErrPasswordWrong.WithFailedAttempts(u.Fail(AuthPassword, l, now)), nil
	}
	u.Succeed(AuthPassword, now)
	if !verdict.Outdated {
		return nil, nil
	}
	if u.Password.Hash, err = p.upgrade(ctx); err != nil {
		return nil, err
	}
	u.touch(now)
	return nil, nil
}
