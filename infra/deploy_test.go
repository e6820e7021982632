package infra_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// site is a copy of what the deployment scripts read, with programs in the place of aws,
// sam and go that write down how they were called.
type site struct {
	dir string
	env []string
}

// The programs. What aws answers is in files: one for each SSM parameter that is
// published, and the number of versions of each secret.
const (
	fakeAWS = `#!/usr/bin/env bash
echo "aws $*" >> "$SITE/calls"
option() { while [[ $# -gt 0 ]]; do if [[ "$1" == "$name" ]]; then echo "$2"; return; fi; shift; done; }
case "$1 $2" in
  "sts get-caller-identity") [[ -e "$SITE/known" ]] && echo 111122223333 ;;
  "configure get") exit 1 ;;
  "ssm get-parameter") name=--name; cat "$SITE/ssm$(option "$@")" ;;
  "secretsmanager list-secret-version-ids") name=--secret-id; cat "$SITE/versions/$(option "$@")" ;;
  "secretsmanager put-secret-value") cat > "$SITE/put" ;;
  *) echo "unexpected" >&2; exit 99 ;;
esac
`
	fakeSAM = `#!/usr/bin/env bash
echo "sam $*" >> "$SITE/calls"
[[ "$*" != *"$FAIL_AT"* || -z "$FAIL_AT" ]]
`
	fakeGo = `#!/usr/bin/env bash
echo "go $* table=${STEPUP_TABLE:-} keyring=${STEPUP_KEYRING:-}" >> "$SITE/calls"
echo "made by $4"
`
)

func newSite(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{dir: dir, env: []string{
		"PATH=" + filepath.Join(dir, "bin") + ":/usr/bin:/bin", "SITE=" + dir, "AWS_REGION=eu-central-1", "FAIL_AT=", "HOME=" + dir,
	}}
	for path, text := range map[string]string{
		"infra/deploy.sh": read(t, "infra/deploy.sh"), "infra/api-key.sh": read(t, "infra/api-key.sh"),
		"samconfig.toml": read(t, "samconfig.toml"), "functions/api/main.go": "", "build/api/bootstrap": "",
		"bin/aws": fakeAWS, "bin/sam": fakeSAM, "bin/go": fakeGo, "known": "",
	} {
		s.write(t, path, text)
	}
	return s
}

func (s *site) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(s.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// publish makes SSM parameters known, and secrets with so many versions.
func (s *site) publish(t *testing.T, environment string, versions string) *site {
	t.Helper()
	for name, value := range map[string]string{
		"table/name": "the-table", "table/arn": "the-table-arn", "bus/name": "the-bus", "key/arn": "the-key", "keyring/arn": "the-keyring", "smoke-key/arn": "the-smoke-key",
		"app/api": "the-api", "app/url": "https://login.example.com",
	} {
		s.write(t, "ssm/stepup/"+environment+"/"+name, value+"\n")
	}
	s.write(t, "versions/the-keyring", versions+"\n")
	s.write(t, "versions/the-smoke-key", versions+"\n")
	return s
}

// run runs a script of the site and returns what it printed and the calls it made.
func (s *site) run(t *testing.T, script string, args ...string) (output string, calls []string, err error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(s.dir, "infra", script), args...)
	command.Env = s.env
	out, err := command.CombinedOutput()
	text, _ := os.ReadFile(filepath.Join(s.dir, "calls"))
	return string(out), strings.Split(strings.TrimSpace(string(text)), "\n"), err
}

// deployments returns the sections that sam was called with, in order.
func deployments(calls []string) []string {
	var sections []string
	for _, call := range calls {
		if rest, ok := strings.CutPrefix(call, "sam deploy --config-env "); ok {
			section, _, _ := strings.Cut(rest, " ")
			sections = append(sections, section)
		}
	}
	return sections
}

func TestStacksAreDeployedInTheOrderThatTheyNeed(t *testing.T) {
	t.Parallel()
	for environment, want := range map[string][]string{
		"dev":  {"dev-data", "dev-keys", "dev", "dev-observability"},
		"prod": {"prod-data", "prod-keys", "prod-mail", "prod-sms", "prod", "prod-observability"},
	} {
		out, calls, err := newSite(t).publish(t, environment, "1").run(t, "deploy.sh", environment)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(want, deployments(calls)); diff != "" {
			t.Errorf("%s:\n%s", environment, diff)
		}
		for _, said := range []string{"account      111122223333", "region       eu-central-1", "deployed: https://login.example.com"} {
			if !strings.Contains(out, said) {
				t.Errorf("%q is not in\n%s", said, out)
			}
		}
	}
}

func TestKeyringIsMadeOnceAndNeverShown(t *testing.T) {
	t.Parallel()
	for versions, made := range map[string]bool{"0": true, "1": false, "2": false} {
		s := newSite(t).publish(t, "dev", versions)
		out, calls, err := s.run(t, "deploy.sh", "dev")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		put, _ := os.ReadFile(filepath.Join(s.dir, "put"))
		if (string(put) == "made by generate\n") != made {
			t.Errorf("with %s versions, %q is put", versions, put)
		}
		if strings.Contains(out, "made by generate") {
			t.Error("the keyring is on the screen")
		}
		// Before the application, which does not start without it.
		if at := slices.IndexFunc(calls, func(c string) bool { return strings.Contains(c, "put-secret-value") }); made &&
			(at < 0 || at > slices.Index(calls, "sam deploy --config-env dev")) {
			t.Errorf("calls:\n%s", strings.Join(calls, "\n"))
		}
	}
}

func TestKeyringIsLeftAloneWhenItIsNotKnownWhetherThereIsOne(t *testing.T) {
	t.Parallel()
	for name, break_ := range map[string]func(*testing.T, *site){
		"an answer that is no number": func(t *testing.T, s *site) { s.write(t, "versions/the-keyring", "None\n") },
		"no answer": func(t *testing.T, s *site) {
			if err := os.Remove(filepath.Join(s.dir, "versions/the-keyring")); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t).publish(t, "dev", "0")
			break_(t, s)
			out, calls, err := s.run(t, "deploy.sh", "dev")
			if err == nil || !strings.Contains(out, "it is not known whether there is a keyring") {
				t.Errorf("%v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(s.dir, "put")); err == nil {
				t.Error("a keyring is put all the same")
			}
			if diff := cmp.Diff([]string{"dev-data", "dev-keys"}, deployments(calls)); diff != "" {
				t.Errorf("deployed:\n%s", diff)
			}
		})
	}
}

// TestEveryChangeOfTheConfigurationMakesAVersion looks at the file beside the code, whose
// content decides whether SAM publishes a version.
func TestEveryChangeOfTheConfigurationMakesAVersion(t *testing.T) {
	t.Parallel()
	s := newSite(t).publish(t, "dev", "1")
	deployed := func() string {
		out, _, err := s.run(t, "deploy.sh", "dev")
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(s.dir, "build/api/configuration"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := deployed()
	if again := deployed(); again != before {
		t.Errorf("nothing has changed, and the file has:\n%s", cmp.Diff(before, again))
	}
	for what, change := range map[string]func(){
		"a parameter": func() {
			s.write(t, "samconfig.toml", strings.Replace(read(t, "samconfig.toml"), `"LogLevel=DEBUG"`, `"LogLevel=INFO"`, 1))
		},
		"the table":   func() { s.write(t, "ssm/stepup/dev/table/name", "restored\n") },
		"the keyring": func() { s.write(t, "versions/the-keyring", "3\n") },
	} {
		old := deployed()
		if change(); deployed() == old {
			t.Errorf("%s changes and the file does not:\n%s", what, old)
		}
	}
	if strings.Contains(before, "prod") {
		t.Errorf("what is of another environment counts:\n%s", before)
	}
}

func TestFailedStackStopsTheDeployment(t *testing.T) {
	t.Parallel()
	s := newSite(t).publish(t, "dev", "1")
	s.env = append(s.env, "FAIL_AT=dev-keys")
	out, calls, err := s.run(t, "deploy.sh", "dev")
	if err == nil {
		t.Errorf("the script goes on:\n%s", out)
	}
	if diff := cmp.Diff([]string{"dev-data", "dev-keys"}, deployments(calls)); diff != "" {
		t.Errorf("deployed:\n%s", diff)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		prepare func(*testing.T, *site)
		want    []string
		said    string
	}{
		"empty account": {
			func(*testing.T, *site) {}, []string{"dev-data", "dev-keys"},
			"== dev: cannot be shown before what it reads is deployed (table/name)",
		},
		"deployed account": {
			func(t *testing.T, s *site) { s.publish(t, "dev", "0") },
			[]string{"dev-data", "dev-keys", "dev", "dev-observability"}, "change sets are made and not executed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tc.prepare(t, s)
			out, calls, err := s.run(t, "deploy.sh", "--dry-run", "dev")
			if err != nil || !strings.Contains(out, tc.said) {
				t.Fatalf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(tc.want, deployments(calls)); diff != "" {
				t.Errorf("shown:\n%s", diff)
			}
			for _, call := range calls {
				harmless := strings.HasPrefix(call, "aws sts ") || strings.HasPrefix(call, "aws ssm get-") ||
					strings.HasSuffix(call, " --no-execute-changeset --no-confirm-changeset")
				if !harmless {
					t.Errorf("a dry run calls %s", call)
				}
			}
		})
	}
}

var documentedDryRun = regexp.MustCompile("(?s)```sh\n(make deploy [^\n]*DRY_RUN=1)\n```.*?In an empty account it begins like this.*?```\n(.*?)```")

// TestDryRunPrintsWhatTheDocumentSays follows the document's command to the script, and
// runs that on an empty account; what SAM would print is not there.
func TestDryRunPrintsWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	documented := documentedDryRun.FindStringSubmatch(read(t, "docs/deployment.md"))
	if documented == nil {
		t.Fatal("the document has no dry run")
	}
	command := strings.Fields(documented[1])
	plan := exec.CommandContext(t.Context(), command[0], append([]string{"--dry-run", "--assume-old=bootstrap", "--no-print-directory"}, command[1:]...)...)
	plan.Dir, plan.Env = "..", append(os.Environ(), "MAKEFLAGS=") // of the make that runs the tests
	recipe, err := plan.Output()
	if err != nil {
		t.Fatal(err)
	}
	script := strings.Fields(string(recipe))
	if len(script) < 2 || script[0] != "infra/deploy.sh" {
		t.Fatalf("the command runs %q", recipe)
	}
	out, _, err := newSite(t).run(t, "deploy.sh", script[1:]...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(documented[2], strings.ReplaceAll(out, "111122223333", "<your account>")); diff != "" {
		t.Errorf("the document (-), the script (+):\n%s", diff)
	}
}

func TestWhatCannotBeDeployedIsSaidBeforeAnythingIs(t *testing.T) {
	t.Parallel()
	remove := func(path string) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			if err := os.RemoveAll(filepath.Join(s.dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		args    []string
		prepare func(*testing.T, *site)
		want    string
	}{
		"no environment":      {nil, remove("nothing"), "usage: infra/deploy.sh"},
		"unknown environment": {[]string{"staging"}, remove("nothing"), "samconfig.toml has no environment staging"},
		"nothing built":       {[]string{"dev"}, remove("build"), "build/api/bootstrap is missing: run make bootstrap"},
		"no SAM":              {[]string{"dev"}, remove("bin/sam"), "sam is not installed"},
		"no credentials":      {[]string{"dev"}, remove("known"), "AWS does not know you"},
		"no region":           {[]string{"dev"}, func(_ *testing.T, s *site) { s.env = append(s.env, "AWS_REGION=") }, "there is no region"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			tc.prepare(t, s)
			out, calls, err := s.run(t, "deploy.sh", tc.args...)
			if err == nil || !strings.Contains(out, tc.want) {
				t.Errorf("%v\n%s", err, out)
			}
			if deployed := deployments(calls); len(deployed) > 0 {
				t.Errorf("deployed %q", deployed)
			}
		})
	}
}

func TestAPIKeyIsIssuedOnTheDeploymentAndTheTrialGetsOneOnce(t *testing.T) {
	t.Parallel()
	const issue = "go run ./cmd/stepup key create --role %s --name %s table=the-table keyring=the-keyring"
	for versions, trial := range map[string]bool{"0": true, "1": false} {
		s := newSite(t).publish(t, "dev", versions)
		out, calls, err := s.run(t, "api-key.sh", "dev", "IAM_OWNER", "admin")
		if err != nil || out != "URL=https://login.example.com\nKEY=made by create\n" {
			t.Fatalf("%v\n%s", err, out)
		}
		with := func(role, name string) bool {
			return slices.Contains(calls, strings.Replace(strings.Replace(issue, "%s", role, 1), "%s", name, 1))
		}
		if !with("IAM_OWNER", "admin") || with("IAM_LOGIN_CLIENT", "smoke") != trial {
			t.Errorf("with %s versions:\n%s", versions, strings.Join(calls, "\n"))
		}
		put, _ := os.ReadFile(filepath.Join(s.dir, "put"))
		if (string(put) == "made by create\n") != trial {
			t.Errorf("with %s versions, %q is put", versions, put)
		}
	}
}

func TestAPIKeyOfWhatIsNotDeployedIsRefused(t *testing.T) {
	t.Parallel()
	out, calls, err := newSite(t).run(t, "api-key.sh", "dev")
	if err == nil || !strings.Contains(out, "dev is not deployed") {
		t.Errorf("%v\n%s", err, out)
	}
	if slices.ContainsFunc(calls, func(c string) bool { return strings.HasPrefix(c, "go ") }) {
		t.Errorf("a key is issued:\n%s", strings.Join(calls, "\n"))
	}
}

var (
	sectionName = regexp.MustCompile(`(?m)^\[(\S+)\.deploy\.parameters\]$`)
	setting     = regexp.MustCompile(`(?m)^(\w+) = "?([^"\n]+)"?$`)
	override    = regexp.MustCompile(`(?m)^  "(\w+)=([^"]+)",$`)
)

// sections returns the text of each section of samconfig.toml.
func sections(t *testing.T) map[string]string {
	t.Helper()
	text, all := read(t, "samconfig.toml"), map[string]string{}
	found := sectionName.FindAllStringSubmatchIndex(text, -1)
	for i, at := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		all[text[at[2]:at[3]]] = text[at[1]:end]
	}
	if len(all) < 8 {
		t.Fatalf("%d sections", len(all))
	}
	return all
}

func TestSectionsNameTheirStackAndParametersThatThereAre(t *testing.T) {
	t.Parallel()
	for section, text := range sections(t) {
		environment, part, of := strings.Cut(section, "-")
		template := app
		if of {
			template = "infra/" + part + ".yaml"
		}
		settings := map[string]string{}
		for _, match := range setting.FindAllStringSubmatch(text, -1) {
			settings[match[1]] = match[2]
		}
		if settings["stack_name"] != "stepup-"+section || settings["template_file"] != template {
			t.Errorf("%s is the stack %s of %s", section, settings["stack_name"], settings["template_file"])
		}
		parameters := load(t, template).Parameters
		given := map[string]string{}
		for _, match := range override.FindAllStringSubmatch(text, -1) {
			given[match[1]] = match[2]
			if _, known := parameters[match[1]]; !known {
				t.Errorf("%s: %s has no parameter %s", section, template, match[1])
			}
		}
		if given["Environment"] != environment {
			t.Errorf("%s is of the environment %q", section, given["Environment"])
		}
		// What other stacks say is read from this environment and from no other.
		for name, p := range parameters {
			if want := strings.Replace(p.Default, "/stepup/dev/", "/stepup/"+environment+"/", 1); strings.HasPrefix(p.Type, "AWS::SSM::") && given[name] != want {
				t.Errorf("%s reads %s from %q, not %q", section, name, given[name], want)
			}
		}
	}
}
