package securitybar_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/test/securitybar"
)

var update = flag.Bool("update", false, "write docs/security-bar.md")

const root = "../.."

func found(t *testing.T) []securitybar.Test {
	t.Helper()
	tests, err := securitybar.Find(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func TestTheDocumentListsTheTestsOfToday(t *testing.T) {
	t.Parallel()
	file := filepath.Join(root, "docs", "security-bar.md")
	want := securitybar.Document(found(t))
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/security-bar.md is out of date: run make security-bar (-want +got):\n%s", diff)
	}
}

func TestEveryRowAndAdvisoryHasATestOrAReasonAndNotBoth(t *testing.T) {
	t.Parallel()
	proven := make(map[string]bool)
	for _, test := range found(t) {
		for _, id := range slices.Concat(test.IDs, test.Tags) {
			proven[id] = true
		}
	}
	seen := make(map[string]bool)
	for _, s := range securitybar.Sections() {
		for _, r := range s.Rows {
			switch {
			case seen[r.ID]:
				t.Errorf("row %s is there twice", r.ID)
			case r.Requirement == "", r.Source == "":
				t.Errorf("row %s does not say what it asks, or who", r.ID)
			case !proven[r.ID] && r.Reason == "":
				t.Errorf("row %s has neither a test nor a reason", r.ID)
			case proven[r.ID] && r.Reason != "":
				t.Errorf("row %s has a test now: remove its reason from rows.go", r.ID)
			}
			seen[r.ID] = true
		}
	}
	for _, a := range securitybar.Advisories() {
		switch {
		case seen[a.Tag]:
			t.Errorf("%s is there twice", a.Tag)
		case a.Product == "", a.What == "":
			t.Errorf("%s does not say what went wrong, or where", a.Tag)
		case !proven[a.Tag] && a.Reason == "":
			t.Errorf("%s has neither a test nor a reason", a.Tag)
		case proven[a.Tag] && a.Reason != "":
			t.Errorf("%s has a test now: remove its reason from advisories.go", a.Tag)
		}
		seen[a.Tag] = true
	}
}

func TestNoTestNamesARowThatIsNotThere(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, s := range securitybar.Sections() {
		for _, r := range s.Rows {
			known[r.ID] = true
		}
	}
	for _, a := range securitybar.Advisories() {
		known[a.Tag] = true
	}
	for _, test := range found(t) {
		for _, id := range slices.Concat(test.IDs, test.Tags) {
			if !known[id] {
				t.Errorf("%s: %s names %s, which is in no list of this package", test.Package, test.Name, id)
			}
		}
	}
}

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2][]string{
		"TestEveryKindHasItsHTTPStatus":     {},
		"TestL3_RightPasswordIsNotTold":     {{"L3"}},
		"TestO1EveryDigitIsEquallyLikely":   {{"O1"}},
		"TestW1W2_TheVectors":               {{"W1", "W2"}},
		"TestS10_O11_W5_EveryCombination":   {{"S10", "O11", "W5"}},
		"TestP1_PasswordOf200Characters":    {{"P1"}},
		"TestL3_CVE_2023_47111_Parallel":    {{"L3"}, {"CVE_2023_47111"}},
		"TestIssue12656_ParallelSteps":      {nil, {"Issue12656"}},
		"TestO4_Keycloak2FA146_Wrong":       {{"O4"}, {"Keycloak2FA146"}},
		"TestO4_CVE_2024_1_CVE_2025_2_Five": {{"O4"}, {"CVE_2024_1", "CVE_2025_2"}},
		"TestOneOf200ParallelAnswersPasses": {},
		"TestX9_NobodyKnowsThisRow":         {{"X9"}},
	} {
		ids, tags := securitybar.Parse(name)
		if diff := cmp.Diff(want, [2][]string{ids, tags}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
