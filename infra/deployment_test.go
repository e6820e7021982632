package infra_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

// variableRow is a row of the table in docs/deployment.md: name, default, parameter.
var variableRow = regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|(?: `([^`]+)`)? \\|(?: `([A-Za-z]+)`)? \\| .+ \\|$")

// documented returns the rows of the configuration table.
func documented(t *testing.T) [][]string {
	t.Helper()
	return variableRow.FindAllStringSubmatch(read(t, "docs/deployment.md"), -1)
}

func TestEveryVariableIsDocumentedInOrder(t *testing.T) {
	t.Parallel()
	var names []string
	for _, row := range documented(t) {
		names = append(names, row[1])
	}
	if diff := cmp.Diff(config.Names(), names); diff != "" {
		t.Errorf("the service reads (-), docs/deployment.md lists (+):\n%s", diff)
	}
}

func TestDocumentedDefaultsAreThoseOfTheService(t *testing.T) {
	t.Parallel()
	want, err := config.Load(func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	want.Environment = "dev" // the default is the template's
	explicit := map[string]string{}
	for _, row := range documented(t) {
		explicit[row[1]] = row[2]
	}
	got, err := config.Load(func(name string) (string, bool) { v, set := explicit[name]; return v, set })
	if err != nil {
		t.Fatal(err)
	}
	if diff := compare(want, got); diff != "" {
		t.Error(diff)
	}
}

func compare(want, got config.Config) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(passkey.RelyingParties{}))
}

func TestTemplateSetsWhatIsDocumented(t *testing.T) {
	t.Parallel()
	deployed, variables := load(t, app), functions(t)["api"].Environment.Variables
	for _, row := range documented(t) {
		name, value, parameter := row[1], row[2], ""
		variable := variables[name]
		set := variable.Value
		if p, isParameter := deployed.Parameters[set]; isParameter && variable.Tag == "!Ref" {
			set, parameter = p.Default, variable.Value
			if strings.HasPrefix(p.Type, "AWS::SSM::") {
				set = "" // the default is where the value is, not the value
			}
		}
		if row[3] != parameter {
			t.Errorf("%s: the document names parameter %q, the template %q", name, row[3], parameter)
		}
		if set != value {
			t.Errorf("%s: the document has the default %q, the template sets %q", name, value, set)
		}
	}
}
