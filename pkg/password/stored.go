package password

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
)

const (
	// maxEncoded is the longest hash in characters (wire contract, HashedPassword).
	maxEncoded = 200
	// minSalt is in bytes: 32 bits, NIST SP 800-63B-4 section 3.1.1.2.
	minSalt = 4
	// minKey is in bytes. A shorter output would be matched by chance: one wrong
	// password in 256 fits a hash of one byte.
	minKey = 16
	// maxScryptBlock bounds scrypt's r, whose buffers are not part of N × r. The
	// value in use everywhere is 8.
	maxScryptBlock = 32
)

// stored is a hash that was read and is within the bounds. What is left to do is
// the expensive part.
type stored struct {
	digest algorithm.Digest
	// params are those of argon2id; zero for every other algorithm, so that these
	// differ from any valid Params.
	params Params
	// zeroPadded marks the algorithms that pad the password with zero bytes.
	zeroPadded bool
}

// match compares plain with the hash in constant time.
//
// bcrypt looks at the first 72 bytes only, like every implementation of it that
// does not refuse longer passwords: people with such a password could not log in
// otherwise, and 72 known bytes are no easier to guess. The hash that replaces it
// covers all bytes.
//
// bcrypt, and HMAC inside PBKDF2 and scrypt, pad or repeat a password behind a zero
// byte, so that "a" and "a\x00" are the same to them. No system lets people type a
// zero byte; here it does not match at all.
func (s stored) match(plain string) (bool, error) {
	match, err := s.digest.MatchBytesAdvanced([]byte(plain))
	if s.zeroPadded && strings.Contains(plain, "\x00") {
		match = false
	}
	return match, err
}

// read reads a hash and holds it against the bounds, before any computation. Only
// one spelling of the parameters is accepted, so that the numbers judged here are
// the numbers that the library uses. Errors contain no part of the hash's secret.
func (b Bounds) read(encoded string) (stored, error) {
	if len(encoded) > maxEncoded {
		return stored{}, fmt.Errorf("hash has more than %d characters", maxEncoded)
	}
	if strings.ContainsFunc(encoded, foreign) {
		return stored{}, errors.New("hash contains a character that no modular-crypt string has")
	}
	fields := strings.Split(encoded, "$")
	if len(fields) < 4 || fields[0] != "" {
		return stored{}, errors.New("not a modular-crypt string")
	}
	s, err := b.decode(fields)
	if err != nil {
		return stored{}, err
	}
	if n := len(s.digest.Salt()); n < minSalt {
		return stored{}, fmt.Errorf("salt has %d bytes, at least %d are needed", n, minSalt)
	}
	if n := len(s.digest.Key()); n < minKey {
		return stored{}, fmt.Errorf("hash value has %d bytes, at least %d are needed", n, minKey)
	}
	return s, nil
}

// foreign reports whether c is outside the characters of the supported formats.
// Line breaks above all, which base64 decoders skip.
func foreign(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("$./+=,-", c)
}

func (b Bounds) decode(fields []string) (stored, error) {
	switch fields[1] {
	case "argon2id", "argon2i", "argon2d":
		return b.argon2(fields)
	case "2a", "2b", "2y": // not "2x", which marks hashes of a broken implementation
		return b.bcrypt(fields)
	case "scrypt":
		return b.scrypt(fields)
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha224", "pbkdf2-sha256", "pbkdf2-sha384", "pbkdf2-sha512":
		return b.pbkdf2(fields)
	}
	return stored{}, errors.New("unknown algorithm")
}

var errMalformed = errors.New("malformed hash")

// argon2 reads $argon2id$v=19$m=19456,t=2,p=1$salt$hash, and argon2i and argon2d.
func (b Bounds) argon2(fields []string) (stored, error) {
	if len(fields) != 6 || fields[2] != "v=19" {
		return stored{}, errMalformed
	}
	n, ok := numbers(fields[3], "m", "t", "p")
	if !ok {
		return stored{}, errMalformed
	}
	memory, time, threads := n[0], n[1], n[2]
	switch {
	case threads < 1 || threads > uint64(b.Argon2Threads):
		return stored{}, outOfBounds("argon2 p", threads)
	case time < 1 || time > uint64(b.Argon2Time):
		return stored{}, outOfBounds("argon2 t", time)
	case memory < 8*threads || memory > uint64(b.MemoryKiB):
		return stored{}, outOfBounds("argon2 m", memory)
	}
	digest, err := argon2.Decode(strings.Join(fields, "$"))
	if err != nil {
		return stored{}, errMalformed
	}
	s := stored{digest: digest}
	if fields[1] == "argon2id" {
		s.params = Params{MemoryKiB: uint32(memory), Time: uint32(time), Threads: uint8(threads)}
	}
	return s, nil
}

// bcrypt reads $2b$12$ and 53 characters of salt and hash, and 2a and 2y, which are
// other names for the same thing.
func (b Bounds) bcrypt(fields []string) (stored, error) {
	if len(fields) != 4 || len(fields[2]) != 2 {
		return stored{}, errMalformed
	}
	cost, err := strconv.ParseUint(fields[2], 10, 8)
	if err != nil {
		return stored{}, errMalformed
	}
	if cost < 4 || cost > uint64(b.BcryptCost) {
		return stored{}, outOfBounds("bcrypt cost", cost)
	}
	digest, err := bcrypt.DecodeVariant(bcrypt.VariantStandard)(strings.Join(fields, "$"))
	if err != nil {
		return stored{}, errMalformed
	}
	return stored{digest: digest, zeroPadded: true}, nil
}

// scrypt reads $scrypt$ln=17,r=8,p=1$salt$hash, where N = 2^ln.
func (b Bounds) scrypt(fields []string) (stored, error) {
	if len(fields) != 5 {
		return stored{}, errMalformed
	}
	n, ok := numbers(fields[2], "ln", "r", "p")
	if !ok {
		return stored{}, errMalformed
	}
	ln, block, parallel := n[0], n[1], n[2]
	switch {
	case parallel < 1 || parallel > uint64(b.ScryptParallel):
		return stored{}, outOfBounds("scrypt p", parallel)
	case block < 1 || block > maxScryptBlock:
		return stored{}, outOfBounds("scrypt r", block)
	case ln < 1 || ln > 31 || block<<ln > 8*uint64(b.MemoryKiB): // 128 × N × r bytes
		return stored{}, outOfBounds("scrypt ln", ln)
	}
	digest, err := scrypt.DecodeVariant(scrypt.VariantScrypt)(strings.Join(fields, "$"))
	if err != nil {
		return stored{}, errMalformed
	}
	return stored{digest: digest, zeroPadded: true}, nil
}

// pbkdf2 reads $pbkdf2-sha256$600000$salt$hash; plain pbkdf2 means SHA-1. Salt and
// hash may be in either base64 that is in use: with "." in the place of "+" and no
// padding, or the standard one.
func (b Bounds) pbkdf2(fields []string) (stored, error) {
	if len(fields) != 5 {
		return stored{}, errMalformed
	}
	rounds, err := strconv.ParseUint(fields[2], 10, 32)
	if err != nil {
		return stored{}, errMalformed
	}
	adapted := strings.NewReplacer("+", ".", "=", "").Replace(strings.Join(fields, "$"))
	digest, err := pbkdf2.Decode(adapted)
	if err != nil {
		return stored{}, errMalformed
	}
	size := pbkdf2.NewVariant(fields[1]).HashFunc()().Size()
	blocks := uint64((len(digest.Key()) + size - 1) / size)
	if rounds < 1 || rounds*blocks > uint64(b.PBKDF2Rounds) {
		return stored{}, outOfBounds("pbkdf2 rounds", rounds)
	}
	return stored{digest: digest, zeroPadded: true}, nil
}

// numbers reads "m=19456,t=2,p=1": these names, in this order, each once, with
// decimal digits.
func numbers(text string, names ...string) ([]uint64, bool) {
	pairs := strings.Split(text, ",")
	if len(pairs) != len(names) {
		return nil, false
	}
	values := make([]uint64, len(names))
	for i, pair := range pairs {
		name, digits, _ := strings.Cut(pair, "=")
		value, err := strconv.ParseUint(digits, 10, 32)
		if name != names[i] || err != nil {
			return nil, false
		}
		values[i] = value
	}
	return values, true
}

func outOfBounds(name string, value uint64) error {
	return fmt.Errorf("%s of %d is out of bounds", name, value)
}
