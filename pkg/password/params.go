package password

import (
	"cmp"
	"encoding/base64"
	"fmt"
)

// Params are the cost parameters of argon2id (RFC 9106 section 3.1).
type Params struct {
	// MemoryKiB is the memory in KiB, a multiple of 4 × Threads.
	MemoryKiB uint32
	// Time is the number of passes over the memory.
	Time uint32
	// Threads is the number of lanes, which are computed in parallel.
	Threads uint8
}

// DefaultParams returns 19 MiB, two passes, one lane: the least memory that ASVS
// accepts for two passes, which is what suits a function that pays for memory.
func DefaultParams() Params { return Params{MemoryKiB: 19 * 1024, Time: 2, Threads: 1} }

// validate compares with the floor of ASVS 5.0 11.4.2 and appendix C.
func (p Params) validate() error {
	if p.Time < 1 || p.Threads < 1 {
		return fmt.Errorf("Params.Time %d and Params.Threads %d must be at least 1", p.Time, p.Threads)
	}
	floor := uint32(12 * 1024)
	switch p.Time {
	case 1:
		floor = 46 * 1024
	case 2:
		floor = 19 * 1024
	}
	if p.MemoryKiB < floor {
		return fmt.Errorf("Params.MemoryKiB %d is below the floor of %d for Time %d", p.MemoryKiB, floor, p.Time)
	}
	// The library rounds the memory down to whole slices. A stored hash would then
	// differ from the Params and be made anew after every login.
	if slice := 4 * uint32(p.Threads); p.MemoryKiB%slice != 0 {
		return fmt.Errorf("Params.MemoryKiB %d is not a multiple of %d (4 × Threads)", p.MemoryKiB, slice)
	}
	return nil
}

// dummy returns a hash under p that no password matches.
func (p Params) dummy() string {
	zeros := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		p.MemoryKiB, p.Time, p.Threads, zeros(make([]byte, saltSize)), zeros(make([]byte, keySize)))
}

// Bounds limit what the verification of one hash may cost. The defaults admit the
// strongest settings that are recommended or preset anywhere common, and keep the
// worst hash at a second or two of one core and 128 MiB. There is no floor: a weak
// hash is replaced after the first login, and refusing it would only keep it where
// it is.
type Bounds struct {
	// MemoryKiB limits argon2 and scrypt. The default is 131072 (128 MiB): scrypt's
	// minimum of OWASP (N = 2^17, r = 8) needs all of it; argon2 presets need 64 MiB.
	MemoryKiB uint32
	// Argon2Time limits the passes of argon2. The default is 10.
	Argon2Time uint32
	// Argon2Threads limits the lanes of argon2. The default is 8.
	Argon2Threads uint8
	// BcryptCost limits bcrypt, whose work doubles with every step. The default is
	// 14, about a second; the limit of the algorithm is 31, about two days.
	BcryptCost uint8
	// ScryptParallel limits the p of scrypt, which multiplies its time. The default
	// is 4.
	ScryptParallel uint32
	// PBKDF2Rounds limits rounds × blocks of output. The default is 1,500,000: OWASP
	// recommends 1,400,000 for SHA-1 and less for all others.
	PBKDF2Rounds uint32
}

const bcryptMaxCost = 31

func (b Bounds) withDefaults() Bounds {
	return Bounds{
		MemoryKiB:      cmp.Or(b.MemoryKiB, 128*1024),
		Argon2Time:     cmp.Or(b.Argon2Time, 10),
		Argon2Threads:  cmp.Or(b.Argon2Threads, 8),
		BcryptCost:     cmp.Or(b.BcryptCost, 14),
		ScryptParallel: cmp.Or(b.ScryptParallel, 4),
		PBKDF2Rounds:   cmp.Or(b.PBKDF2Rounds, 1_500_000),
	}
}

func (b Bounds) validate() error {
	if b.BcryptCost > bcryptMaxCost {
		return fmt.Errorf("Bounds.BcryptCost %d is above %d, the limit of the algorithm", b.BcryptCost, bcryptMaxCost)
	}
	return nil
}
