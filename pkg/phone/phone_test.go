package phone_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/phone"
)

func TestEverySpellingOfANumberBecomesOne(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, e164, country string }{
		{"+41446681800", "+41446681800", "CH"},
		{"+41 44 668 18 00", "+41446681800", "CH"},
		{" +41 (0)44 668-18-00 ", "+41446681800", "CH"},
		{"+41.44.668.18.00", "+41446681800", "CH"},
		{"+1 650-253-0000", "+16502530000", "US"},
		{"+1 (416) 555-0123", "+14165550123", "CA"},
		{"+44 7400 123456", "+447400123456", "GB"},
		{"+49 171 1234567", "+491711234567", "DE"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			e164, country, err := phone.Parse(tt.text)
			if err != nil || e164 != tt.e164 || country != tt.country {
				t.Errorf("Parse = %q, %q, %v; want %q, %q", e164, country, err, tt.e164, tt.country)
			}
		})
	}
}

func TestWhatNoMessageCanReachIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"empty":                    "",
		"a plus sign":              "+",
		"no country":               "044 668 18 00",
		"double zero for the plus": "0041446681800",
		"unknown calling code":     "+999446681800",
		"too short":                "+4144",
		"too long":                 "+4144668180044668180044",
		"not in the plan":          "+15550001111",
		"of no country":            "+80012345678",
		"with an extension":        "+41446681800 ext. 3",
		"a telephone URI":          "tel:+41446681800",
		"with letters":             "+1 650 CALL NOW",
		"two numbers":              "+41446681800+41446681801",
		"a line break inside":      "+4144668\n1800",
		"full-width digits":        "+４１４４６６８１８００",
		"full-width plus":          "＋41446681800",
		"punctuation without end":  "+4" + strings.Repeat("-", 1000) + "1446681800",
		"binary":                   "\x00\xff+41446681800",
		"invisible characters":     "+41\u200b446681800",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e164, country, err := phone.Parse(text)
			if !errors.Is(err, phone.ErrInvalid) || e164 != "" || country != "" {
				t.Errorf("Parse(%q) = %q, %q, %v; want ErrInvalid and nothing else", text, e164, country, err)
			}
		})
	}
}

func TestRefusalDoesNotRepeatTheNumber(t *testing.T) {
	t.Parallel()
	_, _, err := phone.Parse("+999123456789")
	if err == nil || strings.Contains(err.Error(), "123456789") {
		t.Errorf("Parse = %v, want an error without the number", err)
	}
}

func TestAllowedFollowsThePrefixes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		e164     string
		prefixes []string
		want     bool
	}{
		{"no list allows every number", "+447400123456", nil, true},
		{"own country", "+41446681800", []string{"+49", "+41"}, true},
		{"another country", "+447400123456", []string{"+49", "+41"}, false},
		{"a range of a country", "+41791234567", []string{"+4179"}, true},
		{"another range of that country", "+41446681800", []string{"+4179"}, false},
		{"the number itself", "+41446681800", []string{"+41446681800"}, true},
		{"longer than the number", "+414", []string{"+41446681800"}, false},
		{"the digits elsewhere", "+14165550123", []string{"+41"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := phone.Allowed(tt.e164, tt.prefixes); got != tt.want {
				t.Errorf("Allowed(%q, %q) = %v, want %v", tt.e164, tt.prefixes, got, tt.want)
			}
		})
	}
}

func TestPrefixesThatCouldNotMatchAreNamed(t *testing.T) {
	t.Parallel()
	if err := phone.CheckPrefixes([]string{"+1", "+41", "+4179"}); err != nil {
		t.Errorf("CheckPrefixes of good ones = %v", err)
	}
	for _, bad := range []string{"", "+", "41", "0041", "+41 79", "CH", "+1234567890123456"} {
		err := phone.CheckPrefixes([]string{"+1", bad})
		if err == nil || !strings.Contains(err.Error(), `"`+bad+`"`) {
			t.Errorf("CheckPrefixes(%q) = %v, want an error that names it", bad, err)
		}
	}
}

func TestTheCallingCodeIsTheBeginningOfANumber(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"one digit":                    {"+16502530000", "+1"},
		"one that countries share":     {"+18682345678", "+1"},
		"two digits":                   {"+41446681800", "+41"},
		"two digits, many numbers":     {"+447400123456", "+44"},
		"three digits":                 {"+4232370000", "+423"},
		"three that begin like two":    {"+35312345678", "+353"},
		"the code alone":               {"+41", "+41"},
		"half a code":                  {"+4", ""},
		"half a code of three":         {"+42", ""},
		"a code that nobody has":       {"+999123456", ""},
		"of no country":                {"+80012345678", ""},
		"without a plus sign":          {"41446681800", ""},
		"double zero for the plus":     {"0041446681800", ""},
		"two plus signs":               {"++41446681800", ""},
		"punctuation before the code":  {"+(41)446681800", ""},
		"letters after the code":       {"+41abc", "+41"},
		"a space before":               {" +41446681800", ""},
		"a line break after the plus":  {"+\n41446681800", ""},
		"a tabulator, as in the plans": {"+41\tCH", "+41"},
		"full-width digits":            {"+４１４４６６８１８００", ""},
		"a mail address":               {"ada@example.com", ""},
		"a plus sign":                  {"+", ""},
		"nothing":                      {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := phone.CallingCode(tc.text); got != tc.want {
				t.Errorf("CallingCode(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
}

// FuzzCallingCode holds that a code is a short beginning of its text, that what follows
// does not matter, so that nobody leaves the count of a country by it, and that every
// number that is accepted has one.
func FuzzCallingCode(f *testing.F) {
	for _, seed := range []string{"+41446681800", "+16502530000", "+4232370000", "+4", "+", "", "0041446681800", "+41\xff", "+999", "+80012345678", "++41", "+1\t"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^(\+[1-9][0-9]{0,2})?$`)
	f.Fuzz(func(t *testing.T, text string) {
		code := phone.CallingCode(text)
		if !form.MatchString(code) || !strings.HasPrefix(text, code) {
			t.Fatalf("CallingCode(%q) = %q", text, code)
		}
		if code != "" && (phone.CallingCode(code) != code || phone.CallingCode(text+"0") != code) {
			t.Errorf("the code of %q is %q, but alone %q and with a zero %q", text, code, phone.CallingCode(code), phone.CallingCode(text+"0"))
		}
		if e164, _, err := phone.Parse(text); err == nil && phone.CallingCode(e164) == "" {
			t.Errorf("%q has no code", e164)
		}
	})
}

func FuzzParseReturnsOneSpelling(f *testing.F) {
	for _, seed := range []string{"+41 44 668 18 00", "+1 650-253-0000", "tel:+41446681800;ext=3", "+", "++41", "+0000000000", "0041446681800", "+41\xff446681800"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^\+[1-9][0-9]{4,16}$`)
	f.Fuzz(func(t *testing.T, text string) {
		e164, country, err := phone.Parse(text)
		if err != nil {
			if !errors.Is(err, phone.ErrInvalid) {
				t.Fatalf("Parse(%q) failed with %v", text, err)
			}
			return
		}
		if !form.MatchString(e164) || len(country) != 2 {
			t.Fatalf("Parse(%q) = %q, %q", text, e164, country)
		}
		again, sameCountry, err := phone.Parse(e164)
		if err != nil || again != e164 || sameCountry != country {
			t.Errorf("Parse(%q) = %q, %q, %v; the first reading was %q, %q", e164, again, sameCountry, err, e164, country)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, number := range []string{"+41446681800", "+16502530000", "+18682345678", "+541143211234"} {
		b.Run(number, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := phone.Parse(number); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
