package app_test

import (
	"cmp"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/user"
)

var (
	extension = regexp.MustCompile(`(?m)^## (.*)$`)
	shell     = regexp.MustCompile("(?s)```sh\n(.*?)```\n")
	blank     = regexp.MustCompile(`\s+`)
	variable  = regexp.MustCompile("The example runs with `([A-Z_]+)=([^`]*)`")
)

// example is a command of a document and what its output has to be.
type example struct{ command, want string }

// examplesOf reads the paragraphs of blocks of shell: what it is about as comments,
// commands, and as comments again what these put out. Blanks do not count there, and …
// is anything.
func examplesOf(section string) []example {
	var all []example
	for _, block := range shell.FindAllStringSubmatch(section, -1) {
		for paragraph := range strings.SplitSeq(block[1], "\n\n") {
			var x example
			for line := range strings.Lines(paragraph) {
				switch text, comment := strings.CutPrefix(line, "# "); {
				case !comment:
					x.command += line
				case x.command != "":
					x.want += text
				}
			}
			all = append(all, x)
		}
	}
	return all
}

func (x example) matches(output string) bool {
	want := regexp.QuoteMeta(blank.ReplaceAllString(x.want, ""))
	return regexp.MustCompile("^" + strings.ReplaceAll(want, "…", ".*") + "$").MatchString(blank.ReplaceAllString(output, ""))
}

// exampleWorld is what the document says that its examples find, and the section that
// they are configured with.
func exampleWorld(t *testing.T, section string) []string {
	t.Helper()
	env := map[string]string{"STEPUP_SMS_PRICES": "+41=0.07,*=0.25"}
	for _, v := range variable.FindAllStringSubmatch(section, -1) {
		env[v[1]] = v[2]
	}
	s := apptest.New(t, apptest.Options{Env: env})
	_, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: "demo", Username: "demo@stepup.test", Profile: user.Profile{GivenName: "Demo", FamilyName: "User"},
		Email:    user.Contact{Address: "demo@stepup.test", Verified: true},
		Phone:    user.Contact{Address: "+41446681800", Verified: true},
		Password: user.NewPassword{Plain: apptest.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Users.AddSMSCodes(t.Context(), apptest.Admin(), "demo"); err != nil {
		t.Fatal(err)
	}
	return []string{"URL=" + s.Serve(t), "KEY=" + s.NewKey(t, access.IAMLoginClient, ""), "PATH=" + os.Getenv("PATH")}
}

const between = "--- next ---\n"

func TestTheExamplesOfTheExtensionsRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/extensions.md")
	if err != nil {
		t.Fatal(err)
	}
	heads := extension.FindAllSubmatchIndex(text, -1)
	if len(heads) == 0 {
		t.Fatal("the document has no sections")
	}
	for i, head := range heads {
		end := len(text)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		section := string(text[head[1]:end])
		t.Run(string(text[head[2]:head[3]]), func(t *testing.T) {
			t.Parallel()
			runExamples(t, section)
		})
	}
}

func runExamples(t *testing.T, section string) {
	t.Helper()
	examples := examplesOf(section)
	if len(examples) == 0 {
		t.Fatal("the section has no example")
	}
	var script strings.Builder
	for _, x := range examples {
		script.WriteString(x.command + "\necho; echo '" + strings.TrimSpace(between) + "'\n")
	}
	bash := exec.CommandContext(t.Context(), "bash", "-eu", "-c", script.String())
	bash.Env = exampleWorld(t, section)
	output, err := bash.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for i, answer := range strings.Split(strings.TrimSuffix(string(output), between), between) {
		if x := examples[i]; !x.matches(answer) {
			t.Errorf("%s\nanswered %s\nwant     %s", x.command, answer, cmp.Or(x.want, "nothing"))
		}
	}
}
