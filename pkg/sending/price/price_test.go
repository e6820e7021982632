package price_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/stepup-auth/stepup/pkg/sending/price"
)

func TestTheLongestBeginningHasThePrice(t *testing.T) {
	t.Parallel()
	list := price.List{"": 250_000, "+4": 1, "+41": 70_000, "+4179": 60_000, "+423": 50_000}
	for to, want := range map[string]price.Micros{
		"+41446681800": 70_000, "+41791234567": 60_000, "+4232345678": 50_000, "+4930123456": 1,
		"+16502530000": 250_000, "ada@example.com": 250_000, "": 250_000, "41446681800": 250_000,
	} {
		if got := list.Of(to); got != want {
			t.Errorf("%q costs %d, want %d", to, got, want)
		}
	}
	if got := price.List(nil).Of("+41446681800"); got != 0 {
		t.Errorf("without a list: %d", got)
	}
}

func TestAnUnknownCountryIsTheDearestExample(t *testing.T) {
	t.Parallel()
	examples := price.Examples()
	for prefix, p := range examples {
		if p <= 0 || p > examples[""] {
			t.Errorf("%s costs %v, and all else %v", prefix, p, examples[""])
		}
	}
}

func TestListsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]price.List{
		"*=0.25":                    {"": 250_000},
		"+41=0.0743, +1=0.0075,*=1": {"+41": 74_300, "+1": 7_500, "": price.USD},
		"*=0.0000005":               {"": 1},
	} {
		if got, err := price.ParseList(text); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "+41=0.07", "*=", "*", "41=1,*=1", "+41=-1,*=1", "*=NaN", "*=Inf", "*=1e9", "*=1,*=2", "*=1,", "=1", "a@b=1,*=1",
	} {
		if got, err := price.ParseList(text); !errors.Is(err, price.ErrList) {
			t.Errorf("%q was read as %v, %v", text, got, err)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add("+41=0.07,*=0.25")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := price.ParseList(text)
		for prefix, p := range list {
			if err != nil || p < 0 || p > 1_000_000*price.USD {
				t.Errorf("%q: %q costs %d, %v", text, prefix, p, err)
			}
		}
	})
}
