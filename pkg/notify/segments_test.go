package notify_test

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// The alphabet of GSM 03.38: what costs one unit and what costs two.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡" +
		"ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€\f"
)

// segments returns how many messages a phone network makes of the text, which is what
// a provider charges for: one holds 160 units of the GSM alphabet or 70 of UTF-16,
// and each part of a longer one 153 or 67. It ignores that a pair of units is not
// split between two parts, which can cost one more.
func segments(text string) int {
	if units, ok := gsmUnits(text); ok {
		return parts(units, 160, 153)
	}
	return parts(len(utf16.Encode([]rune(text))), 70, 67)
}

func parts(units, single, part int) int {
	if units <= single {
		return 1
	}
	return (units + part - 1) / part
}

// gsmUnits returns the length in the GSM alphabet, if the text can be written in it.
func gsmUnits(text string) (units int, ok bool) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			units++
		case strings.ContainsRune(gsmExtended, r):
			units += 2
		default:
			return 0, false
		}
	}
	return units, true
}

func TestSegmentsAreWhatANetworkCharges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       int
	}{
		{"nothing", "", 1},
		{"160 of the alphabet", strings.Repeat("é", 160), 1},
		{"161 of the alphabet", strings.Repeat("a", 161), 2},
		{"306 of the alphabet", strings.Repeat("a", 306), 2},
		{"307 of the alphabet", strings.Repeat("a", 307), 3},
		{"80 of the extension", strings.Repeat("€", 80), 1},
		{"81 of the extension", strings.Repeat("€", 81), 2},
		{"70 with a character outside", strings.Repeat("a", 69) + "ő", 1},
		{"71 with a character outside", strings.Repeat("a", 70) + "ő", 2},
		{"35 pairs", strings.Repeat("😀", 35), 1},
		{"36 pairs", strings.Repeat("😀", 36), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := segments(tt.text); got != tt.want {
				t.Errorf("segments = %d, want %d", got, tt.want)
			}
		})
	}
}
