package id_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stepup-auth/stepup/pkg/id"
)

func TestEncodeWritesKnownBytesAsKnownText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  [id.Size]byte
		want string
	}{
		{"all zero", [id.Size]byte{}, "00000000000000000000000000"},
		{"all ones", [id.Size]byte(bytes.Repeat([]byte{0xff}, id.Size)), "zzzzzzzzzzzzzzzzzzzzzzzzzw"},
		{"first bit", [id.Size]byte{0x80}, "g0000000000000000000000000"},
		{"last bit", [id.Size]byte{15: 1}, "00000000000000000000000004"},
		{
			"counting up", [id.Size]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
			"000g40r40m30e209185gr38e1w",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := id.Encode(tt.raw)
			if got != tt.want {
				t.Errorf("Encode = %q, want %q", got, tt.want)
			}
			back, err := id.Decode(got)
			if err != nil || back != tt.raw {
				t.Errorf("Decode(%q) = %x, %v; want %x", got, back, err, tt.raw)
			}
		})
	}
}

func TestNewSpendsExactly128Bits(t *testing.T) {
	t.Parallel()
	random := bytes.NewReader(bytes.Repeat([]byte{0xa5}, 40))
	text, err := id.New(random)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if read := 40 - random.Len(); read != id.Size {
		t.Errorf("New read %d bytes, want %d", read, id.Size)
	}
	raw, err := id.Decode(text)
	if err != nil || raw != [id.Size]byte(bytes.Repeat([]byte{0xa5}, id.Size)) {
		t.Errorf("Decode(New()) = %x, %v; want the bytes of the source", raw, err)
	}
}

func TestNewFailsWhenRandomnessDoes(t *testing.T) {
	t.Parallel()
	broken := errors.New("entropy is out")
	if text, err := id.New(iotest.ErrReader(broken)); !errors.Is(err, broken) || text != "" {
		t.Errorf("New = %q, %v; want no id and the cause", text, err)
	}
	if text, err := id.New(bytes.NewReader(make([]byte, id.Size-1))); err == nil {
		t.Errorf("New = %q from too few bytes, want an error", text)
	}
}

func TestDecodeRefusesEverySecondSpelling(t *testing.T) {
	t.Parallel()
	const good = "000g40r40m30e209185gr38e1w"
	if _, err := id.Decode(good); err != nil {
		t.Fatalf("Decode(%q): %v", good, err)
	}
	tests := map[string]string{
		"empty":                      "",
		"one character short":        good[1:],
		"one character long":         good + "0",
		"upper case":                 strings.ToUpper(good),
		"o for zero":                 "o" + good[1:],
		"l for one":                  strings.Replace(good, "1", "l", 1),
		"letter outside":             "u" + good[1:],
		"spare bits set":             good[:25] + "x",
		"line break inside":          good[:5] + "\n" + good[6:],
		"line break behind":          good[:25] + "\n",
		"padding":                    good[:25] + "=",
		"not ASCII":                  good[:24] + "é",
		"many line breaks, no bytes": strings.Repeat("\n", id.Len),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := id.Decode(text)
			if !errors.Is(err, id.ErrMalformed) || raw != [id.Size]byte{} {
				t.Errorf("Decode(%q) = %x, %v; want ErrMalformed", text, raw, err)
			}
		})
	}
}

func TestTextsSortAsTheirBytes(t *testing.T) {
	t.Parallel()
	raws := [][id.Size]byte{{}, {15: 1}, {15: 0xff}, {7: 1}, {1: 0xff}, {0: 1}, {0: 0x7f}, {0: 0x80}, {0: 0xff, 15: 0xff}}
	texts := make([]string, len(raws))
	for i, raw := range raws {
		texts[i] = id.Encode(raw)
	}
	if !slices.IsSorted(texts) {
		t.Errorf("texts of ascending bytes are not ascending: %q", texts)
	}
}

func FuzzDecodeAcceptsOnlyWhatEncodeWrites(f *testing.F) {
	f.Add("000g40r40m30e209185gr38e1w")
	f.Add("zzzzzzzzzzzzzzzzzzzzzzzzzz")
	f.Add("0000000000000000000000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := id.Decode(text)
		if err != nil {
			return
		}
		if again := id.Encode(raw); again != text {
			t.Errorf("Decode accepted %q, whose one spelling is %q", text, again)
		}
	})
}

func FuzzDecodeInvertsEncode(f *testing.F) {
	f.Add([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, seed []byte) {
		var raw [id.Size]byte
		copy(raw[:], seed)
		text := id.Encode(raw)
		back, err := id.Decode(text)
		if err != nil || back != raw || len(text) != id.Len {
			t.Errorf("Decode(Encode(%x)) = %x, %v through %q", raw, back, err, text)
		}
	})
}
