package phone_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/stepup-auth/stepup/pkg/phone"
)

var update = flag.Bool("update", false, "write the numbering plans anew")

const plansFile = "plans.txt"

func TestPlansAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	text := plansOfTheLibrary(t)
	if *update {
		if err := os.WriteFile(plansFile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(plansFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != text {
		t.Errorf("%s is out of date: run go test ./pkg/phone -update", plansFile)
	}
}

// plansOfTheLibrary writes down what the library knows of each country: the countries of
// a calling code in its order.
func plansOfTheLibrary(t *testing.T) string {
	t.Helper()
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	byCountry := map[string]*phonenumbers.PhoneMetadata{}
	for _, m := range all.GetMetadata() {
		byCountry[m.GetId()] = m
	}
	var lines []string
	for code := range phonenumbers.GetSupportedCallingCodes() {
		for i, country := range phonenumbers.GetRegionCodesForCountryCode(code) {
			if country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
				continue
			}
			lines = append(lines, fmt.Sprintf("%d %02d\t%s\n", code, i, planLine(t, byCountry[country])))
		}
	}
	slices.Sort(lines)
	for i, line := range lines { // without what they were sorted by
		order, fields, _ := strings.Cut(line, "\t")
		code, _, _ := strings.Cut(order, " ")
		lines[i] = code + "\t" + fields
	}
	return strings.Join(lines, "")
}

// none is the library's pattern for a kind of number that a country does not have.
const none = "NA"

func planLine(t *testing.T, m *phonenumbers.PhoneMetadata) string {
	t.Helper()
	general := m.GetGeneralDesc()
	fields := []string{
		m.GetId(), m.GetLeadingDigits(), m.GetNationalPrefixForParsing(), m.GetNationalPrefixTransformRule(),
		letters(general.GetPossibleLengthLocalOnly()),
		letters(general.GetPossibleLength()), general.GetNationalNumberPattern(),
	}
	for _, kind := range []*phonenumbers.PhoneNumberDesc{
		m.GetFixedLine(), m.GetMobile(), m.GetTollFree(), m.GetPremiumRate(), m.GetSharedCost(), m.GetVoip(),
		m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
	} {
		if pattern := kind.GetNationalNumberPattern(); pattern != "" && pattern != none {
			fields = append(fields, letters(kind.GetPossibleLength()), kind.GetNationalNumberPattern())
		}
	}
	line := strings.Join(fields, "\t")
	if strings.Count(line, "\t") != len(fields)-1 || strings.Contains(line, "\n") || letters(general.GetPossibleLength()) == "" {
		t.Fatalf("the plan of %s does not fit into a line: %q", m.GetId(), line)
	}
	return line
}

// letters writes lengths as one letter each, from "a" for 1.
func letters(lengths []int32) string {
	var b strings.Builder
	for _, n := range lengths {
		if n > 0 { // -1 is the library's word for "no such number"
			b.WriteByte(byte('a' - 1 + n))
		}
	}
	return b.String()
}

// theLibrary is Parse as libphonenumber would have it, for a text that Parse looks at.
func theLibrary(text string) (e164, country string) {
	number, err := phonenumbers.Parse(text, "ZZ")
	if err != nil {
		return "", ""
	}
	country = phonenumbers.GetRegionCodeForNumber(number)
	if !phonenumbers.IsValidNumber(number) || country == "" || country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY {
		return "", ""
	}
	return phonenumbers.Format(number, phonenumbers.E164), country
}

func mustAgree(t *testing.T, text string) {
	t.Helper()
	wantE164, wantCountry := theLibrary(text)
	if e164, country, _ := phone.Parse(text); e164 != wantE164 || country != wantCountry {
		t.Errorf("Parse(%q) = %q, %q; the library says %q, %q", text, e164, country, wantE164, wantCountry)
	}
}

// TestEveryCountryIsReadAsTheLibraryReadsIt tries an example of every kind of number of
// every country, as it is, with what is dialed before it inside the country, and with one
// digit more, less or different. The fuzz test below goes on from there.
func TestEveryCountryIsReadAsTheLibraryReadsIt(t *testing.T) {
	t.Parallel()
	for country := range phonenumbers.GetSupportedRegions() {
		t.Run(country, func(t *testing.T) {
			t.Parallel()
			trunk := phonenumbers.GetNddPrefixForRegion(country, true)
			for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
				example := phonenumbers.GetExampleNumberForType(country, kind)
				if example == nil {
					continue
				}
				code, national := fmt.Sprintf("+%d", example.GetCountryCode()), phonenumbers.GetNationalSignificantNumber(example)
				mustAgree(t, code+" "+national)
				mustAgree(t, code+"(0)"+national)
				mustAgree(t, code+trunk+national)
				mustAgree(t, code+national+"0")
				mustAgree(t, code+national[1:])
				for i, digit := range []byte(national[:min(4, len(national))]) { // the rest is a subscriber's
					other := '0' + (digit-'0'+1)%10
					mustAgree(t, code+national[:i]+string(other)+national[i+1:])
				}
			}
		})
	}
}

func FuzzParseAgreesWithTheLibrary(f *testing.F) {
	for country := range phonenumbers.GetSupportedRegions() {
		if example := phonenumbers.GetExampleNumber(country); example != nil {
			f.Add(fmt.Sprint(example.GetCountryCode()) + " 0" + phonenumbers.GetNationalSignificantNumber(example))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text = "+" + text; len(text) > 40 || strings.Trim(text, "+0123456789 ()-./") != "" || strings.Contains(text[1:], "+") {
			return
		}
		mustAgree(t, text)
	})
}
