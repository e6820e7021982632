// Package otp owns one-time codes: time-based ones from an authenticator app
// (TOTP), the ones that are sent by SMS or mail, and recovery codes.
//
// It computes and compares, and remembers nothing. The caller brings the time, the
// randomness and the keys, and stores what makes a code single-use: the last TOTP
// step, the challenge a sent code belongs to, the list of recovery codes left.
package otp

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 and every authenticator app mean SHA-1; HMAC does not need it collision-free
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"time"
)

// Step is the time for which one TOTP code is current (RFC 6238 section 5.2).
const Step = 30 * time.Second

// Outcome is what a check of a TOTP code found out.
type Outcome uint8

// The outcomes. Wrong is the zero value, so that a forgotten assignment refuses.
const (
	// Wrong is a code that belongs to none of the steps that count.
	Wrong Outcome = iota
	// Used is a right code of a step that is not after the last accepted one.
	Used
	// Right is a code to accept, after its step has been stored.
	Right
)

// Window says which steps a code may come from.
type Window struct {
	// Now is the server's time; a client's is never asked for (row T5).
	Now time.Time
	// After is the last accepted step; 0 is none. A code is accepted once in its
	// life, and none that is older than an accepted one (RFC 6238 section 5.2).
	After uint64
	// Strict accepts the current step only. Otherwise one step either side counts
	// too, for clocks that differ and people who type slowly: the most that RFC
	// 6238 section 5.2 recommends, and more than the 30 s of ASVS 6.5.5.
	Strict bool
}

// Match compares a code of six digits with those of the window, all of them and in
// constant time. It returns the step that the code belongs to, and 0 for a wrong
// one. A caller accepts Right only together with storing the step as the next
// After, in one conditional write. No code is right for a secret below 10 bytes, and
// so none for a secret that is missing.
func Match(secret []byte, code string, w Window) (step uint64, outcome Outcome) {
	if len(secret) < minSecretSize {
		return 0, Wrong
	}
	first, last := w.steps()
	for s := first; s <= last; s++ {
		same := subtle.ConstantTimeCompare([]byte(code), []byte(hotp(sha1.New, secret, s)))
		// The later step wins when chance gave two steps one code: storing the
		// earlier one would leave the same code good for another time.
		step = uint64(subtle.ConstantTimeSelect(same, int(s), int(step)))
	}
	switch {
	case step == 0:
		return 0, Wrong
	case step <= w.After:
		return step, Used
	default:
		return step, Right
	}
}

// steps returns the first and the last step of the window. Step 0 is left out: it
// stands for none, and 1970 is over.
func (w Window) steps() (first, last uint64) {
	current := stepAt(w.Now)
	skew := uint64(1)
	if w.Strict {
		skew = 0
	}
	return max(current, skew+1) - skew, current + skew
}

// Code returns the code of six digits that is current at the given time, as an
// authenticator app shows it. Servers use Match; this is for clients and tests.
func Code(secret []byte, at time.Time) string {
	return hotp(sha1.New, secret, stepAt(at))
}

func stepAt(t time.Time) uint64 {
	return uint64(max(t.Unix(), 0)) / uint64(Step/time.Second)
}

// hotp returns the six digits of RFC 4226 section 5.3 for a counter, with the hash
// of RFC 6238 section 1.2 as an argument.
func hotp(newHash func() hash.Hash, secret []byte, counter uint64) string {
	mac := hmac.New(newHash, secret)
	var text [8]byte
	binary.BigEndian.PutUint64(text[:], counter)
	mac.Write(text[:])
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0xf
	value := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%06d", value%1_000_000)
}
