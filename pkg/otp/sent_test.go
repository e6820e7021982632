package otp_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/otp"
)

const purpose = "otp-sms"

// ring has two fixed keys, k1 and k2, of which k1 is current.
func ring(t testing.TB) *keyring.Ring {
	t.Helper()
	key := func(c string) string { return strings.Repeat(c, 42) + "A=" }
	r, err := keyring.Parse([]byte(`{"current":"k1","keys":{"k1":"` + key("b") + `","k2":"` + key("c") + `"}}`))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return r
}

// The keys are fixed, so the counts are the same in every run and the bound is no
// matter of luck: 27.88 is what chi-square exceeds once in a thousand times when nine
// degrees of freedom are fair.
func TestO1EveryDigitIsEquallyLikelyAtEveryPlace(t *testing.T) {
	t.Parallel()
	const codes, workers, bound = 1_000_000, 4, 27.88
	r := ring(t)
	var counts [workers][otp.Digits][10]int
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < codes; i += workers {
				code, err := otp.Derive(r, purpose, "k1", binary.BigEndian.AppendUint64(nil, uint64(i)))
				if err != nil || len(code) != otp.Digits {
					t.Errorf("Derive = %q, %v", code, err)
					return
				}
				for place := range otp.Digits {
					counts[w][place][code[place]-'0']++
				}
			}
		})
	}
	wg.Wait()
	for place := range otp.Digits {
		chi := 0.0
		for digit := range 10 {
			n := 0
			for w := range workers {
				n += counts[w][place][digit]
			}
			off := float64(n) - codes/10
			chi += off * off / (codes / 10)
		}
		if chi > bound {
			t.Errorf("place %d: chi-square %.1f is over %.2f", place, chi, bound)
		}
	}
}

// The expected codes were computed outside this program from RFC 5869 and RFC 2104. A
// change of them kills the codes that are on their way.
func TestDeriveIsStableAndDependsOnEverythingThatGoesIn(t *testing.T) {
	t.Parallel()
	r := ring(t)
	type input struct {
		purpose, keyID string
		parts          []string
	}
	tests := []struct {
		in   input
		want string
	}{
		{input{"otp-sms", "k1", []string{"session", "challenge"}}, "49183233"},
		{input{"otp-email", "k1", []string{"session", "challenge"}}, "62184752"},
		{input{"otp-sms", "k2", []string{"session", "challenge"}}, "92122077"},
		{input{"otp-sms", "k1", []string{"sessionc", "hallenge"}}, "96758282"},
		{input{"otp-sms", "k1", []string{"session", "other"}}, "88864975"},
	}
	seen := map[string]input{}
	for _, tt := range tests {
		var parts [][]byte
		for _, part := range tt.in.parts {
			parts = append(parts, []byte(part))
		}
		for range 2 {
			got, err := otp.Derive(r, tt.in.purpose, tt.in.keyID, parts...)
			if err != nil || got != tt.want {
				t.Errorf("Derive(%v) = %s, %v; want %s", tt.in, got, err, tt.want)
			}
		}
		if other, ok := seen[tt.want]; ok {
			t.Errorf("%v and %v have one code", tt.in, other)
		}
		seen[tt.want] = tt.in
	}
}

func TestDeriveOfAnUnknownKeyIsAnError(t *testing.T) {
	t.Parallel()
	if code, err := otp.Derive(ring(t), purpose, "k3"); code != "" || !errors.Is(err, keyring.ErrUnknownKey) {
		t.Errorf("Derive = %q, %v; want ErrUnknownKey", code, err)
	}
}

func TestBytesThatWouldFavourADigitAreSkipped(t *testing.T) {
	t.Parallel()
	fill := func(values ...byte) (block [keyring.MACSize]byte) {
		for i := range block {
			block[i] = 255
		}
		copy(block[:], values)
		return block
	}
	blocks := [][keyring.MACSize]byte{
		fill(),
		fill(250, 0, 251, 9, 252, 10),
		fill(253, 249, 254),
		fill(19, 128, 255, 77, 31, 99, 98),
	}
	read := 0
	code, err := otp.DigitsOf(func(n byte) ([keyring.MACSize]byte, error) {
		read++
		return blocks[n], nil
	})
	if err != nil || code != "09099871" || read != len(blocks) {
		t.Errorf("code %s of %d blocks, %v; want 09099871 of 4", code, read, err)
	}
}

func TestO8EqualComparesTheWholeCode(t *testing.T) {
	t.Parallel()
	if !otp.Equal("01234567", "01234567") {
		t.Error("a code is not equal to itself")
	}
	for place := range otp.Digits {
		other := []byte("01234567")
		other[place] ^= 1
		if otp.Equal("01234567", string(other)) {
			t.Errorf("codes that differ at place %d are equal", place)
		}
	}
	for _, other := range []string{"", "0123456", "012345678", " 01234567"} {
		if otp.Equal("01234567", other) {
			t.Errorf("01234567 equals %q", other)
		}
	}
}

func ExampleDerive() {
	r, _ := keyring.Parse([]byte(`{"current":"k1","keys":{"k1":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}}`))
	sent, _ := otp.Derive(r, "otp-sms", "k1", []byte("session"), []byte("challenge"))
	again, _ := otp.Derive(r, "otp-sms", "k1", []byte("session"), []byte("challenge"))
	fmt.Println(len(sent), otp.Equal(sent, again))
	// Output: 8 true
}
