package assurance_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/assurance"
)

// The table: what is verified beside the key in the rows, what the key is in the
// columns. A cell is the level, then P where the session is phishing-resistant and R
// where the level rests on a restricted authenticator. Codes by mail and recovery codes
// have no place in it, because they change nothing.
//
// Every line can be held against NIST SP 800-63B-4; docs/extensions.md names the clauses.
var keys = []key{
	{"no key", assurance.Evidence{}},
	{"key, touched, synced", evidence(assurance.Key)},
	{"key, touched, device-bound", bound(evidence(assurance.Key))},
	{"passkey, synced", verified(evidence(assurance.Key))},
	{"passkey, device-bound", bound(verified(evidence(assurance.Key)))},
}

var table = []struct {
	beside  string
	columns [5]string
}{
	{"nothing", [5]string{"0", "1 P", "1 P", "2 P", "3 P"}},
	{"app", [5]string{"0", "1 P", "1 P", "2 P", "3 P"}},
	{"SMS", [5]string{"0", "1 P", "1 P", "2 P", "3 P"}},
	{"app + SMS", [5]string{"0", "1 P", "1 P", "2 P", "3 P"}},
	{"external identity", [5]string{"0", "1 P", "1 P", "2 P", "3 P"}},
	{"external identity + app", [5]string{"1", "1 P", "1 P", "2 P", "3 P"}},
	{"external identity + SMS", [5]string{"1 R", "1 P", "1 P", "2 P", "3 P"}},
	{"external identity + app + SMS", [5]string{"1", "1 P", "1 P", "2 P", "3 P"}},
	{"password", [5]string{"1", "2 P", "3 P", "2 P", "3 P"}},
	{"password + app", [5]string{"2", "2 P", "3 P", "2 P", "3 P"}},
	{"password + SMS", [5]string{"2 R", "2 P", "3 P", "2 P", "3 P"}},
	{"password + app + SMS", [5]string{"2", "2 P", "3 P", "2 P", "3 P"}},
	{"password + external identity", [5]string{"1", "2 P", "3 P", "2 P", "3 P"}},
	{"password + external identity + app", [5]string{"2", "2 P", "3 P", "2 P", "3 P"}},
	{"password + external identity + SMS", [5]string{"2 R", "2 P", "3 P", "2 P", "3 P"}},
	{"password + external identity + app + SMS", [5]string{"2", "2 P", "3 P", "2 P", "3 P"}},
}

// methods are the names by what was verified.
var methods = []struct {
	when string
	amr  []string
	is   func(assurance.Evidence) bool
}{
	{"password", []string{"pwd"}, func(e assurance.Evidence) bool { return e.Has(assurance.Password) }},
	{"key, device-bound", []string{"hwk", "user"}, func(e assurance.Evidence) bool { return e.Has(assurance.Key) && e.DeviceBound }},
	{"key, synced or not known", []string{"swk", "user"}, func(e assurance.Evidence) bool { return e.Has(assurance.Key) && !e.DeviceBound }},
	{"authenticator app", []string{"otp"}, func(e assurance.Evidence) bool { return e.Has(assurance.TOTP) }},
	{"code by SMS", []string{"sms"}, func(e assurance.Evidence) bool { return e.Has(assurance.SMS) }},
	{"external identity", []string{"stepup:external"}, func(e assurance.Evidence) bool { return e.Has(assurance.External) }},
	{"code by mail", []string{"stepup:email"}, func(e assurance.Evidence) bool { return e.Has(assurance.Email) }},
	{"recovery code", []string{"stepup:recovery"}, func(e assurance.Evidence) bool { return e.Has(assurance.Recovery) }},
	{"AAL2 and AAL3", []string{"mfa"}, func(e assurance.Evidence) bool { return assurance.Of(e).AAL >= 2 }},
}

// key is a column.
type key struct {
	name     string
	evidence assurance.Evidence
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func evidence(factors ...assurance.Factor) assurance.Evidence {
	e := assurance.Evidence{Verified: map[assurance.Factor]time.Time{}}
	for _, f := range factors {
		e.Verified[f] = noon
	}
	return e
}

func bound(e assurance.Evidence) assurance.Evidence    { e.DeviceBound = true; return e }
func verified(e assurance.Evidence) assurance.Evidence { e.UserVerified = true; return e }

// everyCombination yields all that a session can have verified: seven factors and the
// two properties of a key, 2⁹ of them. Where there is no key its properties are left
// over from nothing, and must not count.
func everyCombination(yield func(assurance.Evidence) bool) {
	factors := assurance.Factors()
	for n := range 1 << (len(factors) + 2) {
		e := assurance.Evidence{Verified: map[assurance.Factor]time.Time{}}
		for i, f := range factors {
			if n>>i&1 == 1 {
				e.Verified[f] = noon
			}
		}
		e.UserVerified, e.DeviceBound = n>>len(factors)&1 == 1, n>>(len(factors)+1)&1 == 1
		if !yield(e) {
			return
		}
	}
}

// tabled is the cell for the evidence.
func tabled(t *testing.T, e assurance.Evidence) string {
	t.Helper()
	column := slices.IndexFunc(keys, func(k key) bool {
		if !e.Has(assurance.Key) {
			return !k.evidence.Has(assurance.Key)
		}
		return k.evidence.Has(assurance.Key) && k.evidence.UserVerified == e.UserVerified && k.evidence.DeviceBound == e.DeviceBound
	})
	var beside []string
	for _, named := range []struct {
		factor assurance.Factor
		name   string
	}{
		{assurance.Password, "password"}, {assurance.External, "external identity"}, {assurance.TOTP, "app"}, {assurance.SMS, "SMS"},
	} {
		if e.Has(named.factor) {
			beside = append(beside, named.name)
		}
	}
	name := cmp.Or(strings.Join(beside, " + "), "nothing")
	for _, row := range table {
		if row.beside == name {
			return row.columns[column]
		}
	}
	t.Fatalf("the table has no row for %v", e)
	return ""
}

func TestS10_O11_O12_W5_EveryCombinationOfFactorsIsWorthWhatTheTableSays(t *testing.T) {
	t.Parallel()
	seen := 0
	for e := range everyCombination {
		seen++
		a := assurance.Of(e)
		got := fmt.Sprint(a.AAL)
		if a.PhishingResistant {
			got += " P"
		}
		if a.Restricted {
			got += " R"
		}
		if want := tabled(t, e); got != want {
			t.Errorf("%+v: %s, want %s", e, got, want)
		}
		if want := map[assurance.Level]string{0: "", 1: "aal1", 2: "aal2", 3: "aal3"}[a.AAL]; a.ACR != want {
			t.Errorf("%+v: acr %q, want %q", e, a.ACR, want)
		}
		if a.AuthTime.IsZero() != (a.AAL == 0) {
			t.Errorf("%+v: AAL %d since %v", e, a.AAL, a.AuthTime)
		}
	}
	if seen != 512 {
		t.Errorf("%d combinations, want 512", seen)
	}
}

func TestS12_MethodsAreThoseOfRFC8176OrHaveAPrefix(t *testing.T) {
	t.Parallel()
	for e := range everyCombination {
		var want []string
		for _, m := range methods {
			if m.is(e) {
				want = append(want, m.amr...)
			}
		}
		if got := assurance.Of(e).AMR; !slices.Equal(want, got) {
			t.Errorf("%+v: %v, want %v", e, got, want)
		}
	}
	registered := strings.Fields("face fpt geo hwk iris kba mca mfa otp pin pop pwd rba retina sc sms swk tel user vbm wia")
	for _, m := range methods {
		for _, name := range m.amr {
			if !slices.Contains(registered, name) && !strings.HasPrefix(name, "stepup:") {
				t.Errorf("%s is neither registered nor prefixed", name)
			}
		}
	}
}

// Laws that hold whatever the table says.
func TestAssuranceObeysItsLaws(t *testing.T) {
	t.Parallel()
	for e := range everyCombination {
		a := assurance.Of(e)
		for _, f := range []assurance.Factor{assurance.Email, assurance.Recovery} {
			if with := assurance.Of(plus(e, f)); with.AAL != a.AAL || with.Restricted != a.Restricted || !with.AuthTime.Equal(a.AuthTime) {
				t.Errorf("%+v: %s changed %+v to %+v", e, f, a, with)
			}
		}
		for _, f := range assurance.Factors() {
			if f != assurance.Key && assurance.Of(plus(e, f)).AAL < a.AAL {
				t.Errorf("%+v: one more factor, %s, lowered the level", e, f)
			}
		}
		switch {
		case a.AAL == 3 && (!e.Has(assurance.Key) || !e.DeviceBound || !a.PhishingResistant):
			t.Errorf("%+v: AAL3 without a phishing-resistant key that cannot leave its device", e)
		case a.AAL >= 2 && !e.Has(assurance.Password) && (!e.Has(assurance.Key) || !e.UserVerified):
			t.Errorf("%+v: AAL%d by one factor", e, a.AAL)
		case a.Restricted && !e.Has(assurance.SMS):
			t.Errorf("%+v: restricted without a code by SMS", e)
		}
	}
}

func plus(e assurance.Evidence, f assurance.Factor) assurance.Evidence {
	more := evidence(f)
	maps.Copy(more.Verified, e.Verified)
	more.UserVerified, more.DeviceBound = e.UserVerified, e.DeviceBound
	return more
}

func TestAuthTimeIsThatOfTheLatestFactorThatCounts(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for name, tc := range map[string]struct {
		verified map[assurance.Factor]time.Time
		want     time.Time
	}{
		"nothing":                     {nil, time.Time{}},
		"only what does not count":    {map[assurance.Factor]time.Time{assurance.Email: at(1), assurance.TOTP: at(2)}, time.Time{}},
		"the later of two":            {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.TOTP: at(2)}, at(2)},
		"a first factor again":        {map[assurance.Factor]time.Time{assurance.Password: at(3), assurance.TOTP: at(2)}, at(3)},
		"a mail refreshes nothing":    {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.Email: at(9)}, at(1)},
		"nor does a recovery code":    {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.Recovery: at(9)}, at(1)},
		"nor does another's sign-in":  {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.External: at(9)}, at(1)},
		"a key after the password":    {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.Key: at(5)}, at(5)},
		"a code by SMS, restricted":   {map[assurance.Factor]time.Time{assurance.Password: at(1), assurance.SMS: at(5)}, at(5)},
		"an app beside their sign-in": {map[assurance.Factor]time.Time{assurance.External: at(8), assurance.TOTP: at(5)}, at(5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := assurance.Of(assurance.Evidence{Verified: tc.verified}).AuthTime; !got.Equal(tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}
