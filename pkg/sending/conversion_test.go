package sending_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/sending"
)

func TestAConversionThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		conversion sending.Conversion
		refused    bool
	}{
		"off":               {sending.Conversion{}, false},
		"only a limit":      {sending.Conversion{Limit: 1}, false},
		"all":               {sending.Conversion{Limit: 1, PerCode: 1, Window: 10 * time.Minute}, false},
		"a day":             {sending.Conversion{Limit: 1, Window: 24 * time.Hour}, false},
		"negative limit":    {sending.Conversion{Limit: -1}, true},
		"a code pays back":  {sending.Conversion{PerCode: -1}, true},
		"shorter than code": {sending.Conversion{Window: 10*time.Minute - 1}, true},
		"longer than a day": {sending.Conversion{Window: 24*time.Hour + 1}, true},
		"negative window":   {sending.Conversion{Window: -time.Hour}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := row.conversion.Validate(); (err != nil) != row.refused {
				t.Errorf("validated with %v", err)
			}
			if err := (sending.Policy{Conversion: row.conversion}).Validate(); (err != nil) != row.refused {
				t.Errorf("the policy is validated with %v", err)
			}
		})
	}
}

func TestWatchedAreNumbersThatCodesAreSentTo(t *testing.T) {
	t.Parallel()
	on := sending.Policy{Conversion: sending.Conversion{Limit: 1}, Fixed: sending.FixedCodes{"+41791111111": "12345678"}}
	for address, want := range map[string]string{
		"+41446681800": "+41", "+423 2345678": "+423", "+41791111111": "", "ada@example.com": "", "": "", "+999": "",
	} {
		if got := on.Watched(address); got != want {
			t.Errorf("%q is watched as %q, want %q", address, got, want)
		}
		if got := (sending.Policy{}).Watched(address); got != "" {
			t.Errorf("%q is watched as %q where nothing is", address, got)
		}
	}
}

func TestACountRunsForAWholeWindow(t *testing.T) {
	t.Parallel()
	region := sending.Region{Channel: sending.SMS, Organization: "default", CallingCode: "+41"}
	now := time.Date(2026, time.March, 1, 13, 15, 0, 1, time.FixedZone("CET", 3600))
	u := sending.Policy{Conversion: sending.Conversion{Limit: 7}}.Unused(region, now)
	noon := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	if u.None() || u.Region != region || !u.Start.Equal(noon) || !u.End.Equal(noon.Add(time.Hour)) || u.Limit != 7 || u.PerCode != 10 {
		t.Errorf("counts as %+v", u)
	}
	if f := u.Stopped(); !f.Is(sending.ErrConversion) || f.RetryAfter != 45*time.Minute-1 {
		t.Errorf("stopped with %v for %v", f, f.RetryAfter)
	}
	elsewhere := sending.Region{Channel: sending.Email, Organization: "default"}
	if u := (sending.Policy{Conversion: sending.Conversion{Limit: 7}}).Unused(elsewhere, now); !u.None() {
		t.Errorf("a region without a calling code counts as %+v", u)
	}
	if u := (sending.Policy{}).Unused(region, now); !u.None() {
		t.Errorf("where nothing is watched the region counts as %+v", u)
	}
}
