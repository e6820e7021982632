package app_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/config"
)

// textsExample is the example in the document about message texts.
var textsExample = regexp.MustCompile("(?s)## Texts of messages\n.*?\n```sh\n(.*?)\n```\n")

// documentedTexts returns a folder of message texts, made by the commands in the document.
func documentedTexts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	example := textsExample.FindSubmatch(text)
	if example == nil {
		t.Fatal("the document has no example")
	}
	dir := t.TempDir()
	sh := exec.Command("sh", "-eu", "-c", string(example[1]))
	sh.Dir = dir
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("the example: %v\n%s", err, out)
	}
	return filepath.Join(dir, "templates")
}

// arrived is what the inbox has of a message, with its code put back to what templates
// call it.
type arrived struct{ To, Subject, Text string }

func TestTextsOfTheOperatorAreWhatArrives(t *testing.T) {
	t.Parallel()
	folder := documentedTexts(t)
	if err := os.CopyFS(folder, os.DirFS("testdata/templates")); err != nil {
		t.Fatal(err)
	}
	s := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_TEMPLATES": folder, "STEPUP_SITE": "login.example.com"}})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	const last = "\n@login.example.com #CODE" // by which browsers fill in the code
	for language, want := range map[string][]arrived{
		"de": { // one text replaced, the others built in
			{"de@example.com", "Ihr Anmeldecode für login.example.com", ""},
			{"+41446681800", "", "CODE ist Ihr Code für die Musterbank. Er gilt 5 Minuten." + last},
		},
		"fr-CH": { // a whole language
			{"fr-CH@example.com", "Votre code de connexion pour login.example.com", ""},
			{"+41446681801", "", "CODE est votre code de connexion, valable 5 min." + last},
		},
		"it": { // English, which nobody touched
			{"it@example.com", "Your sign-in code for login.example.com", ""},
			{"+41446681802", "", "CODE is your sign-in code. It expires in 5 minutes. Do not share it." + last},
		},
	} {
		t.Run(language, func(t *testing.T) {
			c := client{t, c.url, c.key}
			c.must("POST", "/v2/users/human", fmt.Sprintf(`{"userId":%[1]q,"profile":{"givenName":"A","familyName":"L","preferredLanguage":%[1]q},
				"email":{"email":%[2]q,"isVerified":true},"phone":{"phone":%[3]q,"isVerified":true}}`, language, want[0].To, want[1].To))
			c.must("POST", "/v2/users/"+language+"/otp_sms", `{}`)
			c.must("POST", "/v2/users/"+language+"/otp_email", `{}`)
			path := "/v2/sessions/" + c.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"`+language+`"}}}`)["sessionId"].(string)
			c.must("PATCH", path, `{"challenges":{"otpSms":{},"otpEmail":{}}}`)
			var got []arrived
			checks := map[string]string{}
			for i, m := range s.Inbox.Messages()[:2] { // the mail is the newer one
				text := strings.ReplaceAll(m.Text, m.Code, "CODE")
				if want[i].Text == "" {
					text = ""
				}
				got = append(got, arrived{m.To, m.Subject, text})
				checks[string(m.Channel)] = m.Code
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			c.must("PATCH", path, `{"checks":{"otpSms":{"code":"`+checks["sms"]+`"},"otpEmail":{"code":"`+checks["email"]+`"}}}`)
		})
	}
}

func TestTextsThatCannotBeUsedStopTheStartByName(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, text, want string }{
		"no folder":          {"", "", "no such file or directory"},
		"malformed":          {"de/otp-sms.txt", "{{.Code", "de/otp-sms.txt"},
		"mentions a secret":  {"en/otp-email.html", "{{.Password}}", "en/otp-email.html"},
		"misspelt":           {"de/otp_sms.txt", "{{.Code}}", "de/otp_sms.txt"},
		"half of a language": {"fr/otp-sms.txt", "{{.Code}}", "fr/expiry.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "templates")
			if tt.file != "" {
				write(t, filepath.Join(folder, tt.file), tt.text)
			}
			_, err := app.InFolder(t.TempDir(), with(t, "STEPUP_TEMPLATES", folder), ambient())
			if err == nil || !strings.HasPrefix(err.Error(), "STEPUP_TEMPLATES: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to name the variable and %s", err, tt.want)
			}
		})
	}
}

func TestTextsOutsideOfTheFolderAreNotRead(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, "canary {{.Code}}")
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "de"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "de", "otp-sms.txt")); err != nil {
		t.Fatal(err)
	}
	_, err := app.InFolder(t.TempDir(), with(t, "STEPUP_TEMPLATES", folder), ambient())
	if err == nil || !strings.Contains(err.Error(), "de/otp-sms.txt") {
		t.Errorf("got %v, want it to refuse de/otp-sms.txt", err)
	}
}

// write makes a file and the folders above it.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// with is the default configuration but for one variable.
func with(t *testing.T, name, value string) config.Config {
	t.Helper()
	c, err := config.Load(func(asked string) (string, bool) {
		if asked != name {
			return "", false
		}
		return value, true
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
