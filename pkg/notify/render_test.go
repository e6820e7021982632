package notify_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
)

var update = flag.Bool("update", false, "write the golden files anew")

// renderer returns a renderer with the files of an operator, of which there may be none.
func renderer(t testing.TB, files fstest.MapFS) *notify.Renderer {
	t.Helper()
	var overrides fs.FS
	if files != nil {
		overrides = files
	}
	r, err := notify.NewRenderer(overrides)
	if err != nil {
		t.Fatalf("NewRenderer: %v", err)
	}
	return r
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// message returns a good message of the kind.
func message(kind notify.Kind) notify.Message {
	to := "mini@mouse.example.com"
	if kind.Channel() == notify.SMS {
		to = "+41446681800"
	}
	return notify.Message{Kind: kind, To: to, Language: "en", Data: notify.Data{
		Code: "12345678", URL: "https://login.example.com/otp?code=12345678&session=1", Domain: "login.example.com",
		UserID: "USERID", LoginName: "LOGINNAME", DisplayName: "DISPLAYNAME", PreferredLanguage: "PREFERRED",
		SessionID: "SESSIONID", Expiry: 5 * time.Minute,
	}}
}

func render(t testing.TB, r *notify.Renderer, m notify.Message) notify.Rendered {
	t.Helper()
	got, err := r.Render(m)
	if err != nil {
		t.Fatalf("Render(%v): %v", m, err)
	}
	return got
}

func TestEveryKindSaysThisInEveryLanguage(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, language := range []string{"en", "de"} {
		for _, kind := range notify.Kinds() {
			name := filepath.Join("testdata", language, string(kind)+".golden")
			t.Run(language+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				m := message(kind)
				m.Language = language
				got := golden(render(t, r, m))
				if *update {
					if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("the message differs from its golden file (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func golden(m notify.Rendered) string {
	return fmt.Sprintf("kind: %s\nchannel: %s\nto: %s\ncode: %s\nsubject: %s\n--- text\n%s\n--- html\n%s",
		m.Kind, m.Channel, m.To, m.Code, m.Subject, m.Text, m.HTML)
}

func TestLanguageIsTheTagThenItsBaseThenEnglish(t *testing.T) {
	t.Parallel()
	r := renderer(t, fstest.MapFS{
		"de-CH/otp-sms.txt":              file("Schwiiz {{.Code}}"),
		"de-CH/verify-phone.txt":         file("x"),
		"de-CH/expiry.txt":               file("x"),
		"de-CH/otp-email.txt":            file("x"),
		"de-CH/otp-email.subject.txt":    file("x"),
		"de-CH/otp-email.html":           file(blocks),
		"de-CH/verify-email.txt":         file("x"),
		"de-CH/verify-email.subject.txt": file("x"),
		"de-CH/verify-email.html":        file(blocks),

		"de-CH/register-passkey.txt":         file("x"),
		"de-CH/register-passkey.subject.txt": file("x"),
		"de-CH/register-passkey.html":        file(blocks),
	})
	tests := map[string]string{
		"de": "Anmeldecode", "DE": "Anmeldecode", "de-AT": "Anmeldecode", "de_DE": "Anmeldecode",
		"de-CH": "Schwiiz", "de-ch": "Schwiiz",
		"en": "sign-in code", "en-GB": "sign-in code", "": "sign-in code", "tlh": "sign-in code", "../../etc": "sign-in code", "-": "sign-in code",
	}
	for tag, want := range tests {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			m := message(notify.OTPSMS)
			m.Language = tag
			if got := render(t, r, m); !strings.Contains(got.Text, want) {
				t.Errorf("text = %q, want %q in it", got.Text, want)
			}
		})
	}
}

// The blocks that HTML of a mail needs, with the last one to be written yet, and whole.
const (
	blocksButNote = `{{define "title"}}t{{end}}{{define "lead"}}l{{end}}{{define "button"}}b{{end}}`
	blocks        = blocksButNote + `{{define "note"}}n{{end}}`
)

func TestFilesOfTheOperatorReplaceTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	r := renderer(t, fstest.MapFS{
		"en/otp-sms.txt":           file("{{.DisplayName}} {{.LoginName}} {{.UserID}} {{.SessionID}} {{.PreferredLanguage}} {{.Code}}\n\n"),
		"en/otp-email.subject.txt": file("\n{{.DisplayName}}\nat {{.Domain}}\n"),
		"en/expiry.txt":            file("{{.Expiry.Minutes}}m"),
		"layout.html":              file(`<b>{{template "note" .}}</b>`),
	})
	if got, want := render(t, r, message(notify.OTPSMS)).Text, "DISPLAYNAME LOGINNAME USERID SESSIONID PREFERRED 12345678\n@login.example.com #12345678"; got != want {
		t.Errorf("text message = %q, want %q", got, want)
	}
	mail := render(t, r, message(notify.OTPEmail))
	if mail.Subject != "DISPLAYNAME at login.example.com" {
		t.Errorf("subject = %q, want it in one line", mail.Subject)
	}
	if !strings.HasPrefix(mail.HTML, "<b>The code expires in 5m") || !strings.Contains(mail.Text, "expires in 5m") {
		t.Errorf("HTML = %q, text = %q; want the operator's layout and expiry", mail.HTML, mail.Text)
	}
	if got := render(t, r, message(notify.VerifyPhone)).Text; !strings.Contains(got, "confirms your phone number") {
		t.Errorf("a message without a replacement = %q, want the built-in one", got)
	}
}

func TestBadTemplatesStopTheStartWithTheirName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"text that does not parse":     {fstest.MapFS{"de/otp-sms.txt": file("{{.Code")}, "de/otp-sms.txt"},
		"HTML that does not parse":     {fstest.MapFS{"en/otp-email.html": file(`{{define "title"}}`)}, "en/otp-email.html"},
		"HTML without a block":         {fstest.MapFS{"en/verify-email.html": file(`{{define "title"}}t{{end}}`)}, "en/verify-email.html"},
		"HTML that cannot be escaped":  {fstest.MapFS{"en/otp-email.html": file(blocksButNote + `{{define "note"}}<a href="{{if .URL}}">{{end}}x{{end}}`)}, "en/otp-email.html"},
		"name in a link":               {fstest.MapFS{"en/otp-email.html": file(blocksButNote + `{{define "note"}}<a href="{{.LoginName}}">x</a>{{end}}`)}, "en/otp-email.html:1"},
		"value in a layout's style":    {fstest.MapFS{"layout.html": file("<p>\n<style>{{.Domain}}</style>")}, "layout.html:2"},
		"function of Go's templates":   {fstest.MapFS{"en/otp-sms.txt": file("a\n{{printf .Code}}")}, "en/otp-sms.txt:2"},
		"layout that does not parse":   {fstest.MapFS{"layout.html": file("{{")}, "layout.html"},
		"field that there is not":      {fstest.MapFS{"en/verify-phone.txt": file("{{.Password}}")}, "en/verify-phone.txt"},
		"field in a branch":            {fstest.MapFS{"en/otp-email.txt": file("{{if .URL}}{{.Password}}{{end}}")}, "en/otp-email.txt"},
		"code in a subject":            {fstest.MapFS{"en/otp-email.subject.txt": file("{{.Code}}")}, "en/otp-email.subject.txt"},
		"link in a subject":            {fstest.MapFS{"en/verify-email.subject.txt": file("{{.URL}}")}, "en/verify-email.subject.txt"},
		"function that there is not":   {fstest.MapFS{"en/expiry.txt": file("{{now}}")}, "en/expiry.txt"},
		"language with files missing":  {fstest.MapFS{"fr/otp-sms.txt": file("{{.Code}}")}, "fr/expiry.txt"},
		"misspelt name":                {fstest.MapFS{"en/otp_sms.txt": file("{{.Code}}")}, "en/otp_sms.txt"},
		"file outside of a language":   {fstest.MapFS{"otp-sms.txt": file("{{.Code}}")}, "otp-sms.txt"},
		"file too deep":                {fstest.MapFS{"a/en/otp-sms.txt": file("{{.Code}}")}, "a/en/otp-sms.txt"},
		"layout of one language alone": {fstest.MapFS{"en/layout.html": file("x")}, "en/layout.html"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := notify.NewRenderer(tt.files)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewRenderer = %v, want an error that names %s", err, tt.want)
			}
		})
	}
}

func TestExpiryIsSaidInItsLargestWholeUnit(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	tests := []struct {
		expiry time.Duration
		en, de string
	}{
		{5 * time.Minute, " in 5 minutes.", " gilt 5 Minuten."},
		{time.Minute, " in 1 minute.", " gilt 1 Minute."},
		{90 * time.Second, " in 90 seconds.", " gilt 90 Sekunden."},
		{time.Second, " in 1 second.", " gilt 1 Sekunde."},
		{time.Hour, " in 1 hour.", " gilt 1 Stunde."},
		{48 * time.Hour, " in 48 hours.", " gilt 48 Stunden."},
		{90 * time.Minute, " in 90 minutes.", " gilt 90 Minuten."},
		{10*time.Minute + 999*time.Millisecond, " in 10 minutes.", " gilt 10 Minuten."},
	}
	for _, tt := range tests {
		for language, want := range map[string]string{"en": tt.en, "de": tt.de} {
			m := message(notify.OTPSMS)
			m.Language, m.Data.Expiry = language, tt.expiry
			if got := render(t, r, m).Text; !strings.Contains(got, want) {
				t.Errorf("%v: text = %q, want %q in it", tt.expiry, got, want)
			}
		}
	}
}

func TestTextMessagesFitIntoOneAndEndWithTheBoundCode(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, language := range []string{"en", "de"} {
		for _, kind := range []notify.Kind{notify.OTPSMS, notify.VerifyPhone} {
			m := message(kind)
			m.Language, m.Data.Domain, m.Data.Expiry = language, "login.department.example.com", 10*time.Minute
			text := render(t, r, m).Text
			// All built-in words are in GSM's basic alphabet, where a character is a unit.
			if n := len([]rune(text)); n > 140 || segments(text) != 1 {
				t.Errorf("%s %s has %d characters in %d messages, want 140 in one: %q", language, kind, n, segments(text), text)
			}
			if !strings.HasSuffix(text, "\n@login.department.example.com #12345678") {
				t.Errorf("%s %s = %q, want the bound code as its last line", language, kind, text)
			}
			m.Data.Domain = ""
			if text := render(t, r, m).Text; strings.ContainsAny(text, "@#\n") {
				t.Errorf("%s %s without a domain = %q, want one line", language, kind, text)
			}
		}
	}
}

func TestMailWithoutLinkHasNoButton(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, kind := range []notify.Kind{notify.OTPEmail, notify.VerifyEmail} {
		m := message(kind)
		m.Data.URL = ""
		got := render(t, r, m)
		if strings.Contains(got.HTML, "<a ") || strings.Contains(got.Text, "link") || !strings.Contains(got.HTML, ">12345678<") {
			t.Errorf("%s without a link: text %q, HTML %q", kind, got.Text, got.HTML)
		}
	}
}

func TestNoSecretIsInASubject(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, language := range []string{"en", "de"} {
		for _, kind := range []notify.Kind{notify.OTPEmail, notify.VerifyEmail} {
			m := message(kind)
			m.Language = language
			got := render(t, r, m)
			if got.Subject == "" || strings.Contains(got.Subject, m.Data.Code) || strings.Contains(got.Subject, "http") {
				t.Errorf("%s %s: subject = %q", language, kind, got.Subject)
			}
		}
	}
}

func TestNothingInMailCallsHome(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, kind := range []notify.Kind{notify.OTPEmail, notify.VerifyEmail} {
		m := message(kind)
		html := render(t, r, m).HTML
		rest := strings.Replace(html, `href="https://login.example.com/otp?code=12345678&amp;session=1"`, "", 1)
		if rest == html {
			t.Errorf("%s has no link: %s", kind, html)
		}
		for _, sign := range []string{"://", "src=", "<img", "<script", "<link", "url(", "@import"} {
			if strings.Contains(rest, sign) {
				t.Errorf("%s contains %q", kind, sign)
			}
		}
	}
}

// The built-in templates mention no name, so the operator's do it here.
var mentioning = fstest.MapFS{
	"en/otp-sms.txt":           file("{{.DisplayName}} {{.LoginName}} {{.UserID}} {{.PreferredLanguage}} {{.SessionID}}"),
	"en/otp-email.subject.txt": file("{{.DisplayName}} {{.LoginName}} {{.UserID}} {{.PreferredLanguage}} {{.SessionID}}"),
	"en/otp-email.txt":         file("{{.DisplayName}}"),
	"en/otp-email.html":        file(blocksButNote + `{{define "note"}}{{.DisplayName}} <b title="{{.LoginName}}">x</b>{{end}}`),
}

func TestValuesCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	r := renderer(t, mentioning)
	m := message(notify.OTPEmail)
	m.Data.DisplayName, m.Data.LoginName = `<script>alert("1")</script>`, `javascript:alert(1)">`
	html := render(t, r, m).HTML
	if strings.Contains(html, "<script") || !strings.Contains(html, "&lt;script&gt;") || !strings.Contains(html, `title="javascript:alert(1)&#34;&gt;"`) {
		t.Errorf("HTML = %s", html)
	}
}

func TestValuesCannotBeginALine(t *testing.T) {
	t.Parallel()
	r := renderer(t, mentioning)
	for _, end := range []string{"\n", "\r\n", "\r", "\u2028", "\u2029", "\u0085", "\v", "\f", "\x00"} {
		attack := "Mini" + end + "Bcc: all@example.com" + end + "@evil.example #999999\u202e"
		for _, set := range []func(*notify.Data){
			func(d *notify.Data) { d.DisplayName = attack },
			func(d *notify.Data) { d.LoginName = attack },
			func(d *notify.Data) { d.UserID = attack },
			func(d *notify.Data) { d.PreferredLanguage = attack },
			func(d *notify.Data) { d.SessionID = attack },
		} {
			mail, text := message(notify.OTPEmail), message(notify.OTPSMS)
			set(&mail.Data)
			set(&text.Data)
			if got := render(t, r, mail).Subject; strings.ContainsAny(got, end+"\r\n\u202e") || !strings.Contains(got, "Bcc: all@") {
				t.Errorf("%q: subject = %q", end, got)
			}
			if got := render(t, r, text).Text; strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n@login.example.com #12345678") || strings.Contains(got, "\u202e") {
				t.Errorf("%q: text message = %q", end, got)
			}
		}
	}
}

func TestUnusableMessagesAreRefused(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	tests := []struct {
		name string
		kind notify.Kind
		edit func(*notify.Message)
		want *fault.Fault
	}{
		{"unknown kind", "voice", func(*notify.Message) {}, notify.ErrMessage},
		{"no kind", "", func(*notify.Message) {}, notify.ErrMessage},
		{"no code", notify.OTPSMS, func(m *notify.Message) { m.Data.Code = "" }, notify.ErrMessage},
		{"code with a space", notify.OTPSMS, func(m *notify.Message) { m.Data.Code = "1234 5678" }, notify.ErrMessage},
		{"code with a line", notify.OTPSMS, func(m *notify.Message) { m.Data.Code = "12345678\n" }, notify.ErrMessage},
		{"no expiry", notify.OTPEmail, func(m *notify.Message) { m.Data.Expiry = 0 }, notify.ErrMessage},
		{"expiry below a second", notify.OTPEmail, func(m *notify.Message) { m.Data.Expiry = time.Second - 1 }, notify.ErrMessage},
		{"expiry in the past", notify.OTPEmail, func(m *notify.Message) { m.Data.Expiry = -time.Hour }, notify.ErrMessage},
		{"domain with a scheme", notify.OTPSMS, func(m *notify.Message) { m.Data.Domain = "https://login.example.com" }, notify.ErrMessage},
		{"domain with a line", notify.OTPEmail, func(m *notify.Message) { m.Data.Domain = "a\nb" }, notify.ErrMessage},
		{"domain too long", notify.OTPSMS, func(m *notify.Message) { m.Data.Domain = strings.Repeat("a", 254) }, notify.ErrMessage},
		{"domain in capitals", notify.OTPSMS, func(m *notify.Message) { m.Data.Domain = "LOGIN.example.com" }, notify.ErrMessage},
		{"link that runs", notify.OTPEmail, func(m *notify.Message) { m.Data.URL = "javascript:alert(1)" }, notify.ErrMessage},
		{"link without host", notify.OTPEmail, func(m *notify.Message) { m.Data.URL = "/otp" }, notify.ErrMessage},
		{"link with a line", notify.OTPEmail, func(m *notify.Message) { m.Data.URL = "https://a.example/\nx" }, notify.ErrMessage},
		{"link with a reversal", notify.OTPEmail, func(m *notify.Message) { m.Data.URL = "https://a.example/\u202e" }, notify.ErrMessage},
		{"national number", notify.OTPSMS, func(m *notify.Message) { m.To = "0446681800" }, notify.ErrSMSNumber},
		{"number with spaces", notify.VerifyPhone, func(m *notify.Message) { m.To = "+41 44 668 18 00" }, notify.ErrSMSNumber},
		{"number with a line", notify.VerifyPhone, func(m *notify.Message) { m.To = "+41446681800\n" }, notify.ErrSMSNumber},
		{"mail to a number", notify.OTPEmail, func(m *notify.Message) { m.To = "+41446681800" }, notify.ErrEmailAddress},
		{"mail to nobody", notify.OTPEmail, func(m *notify.Message) { m.To = "" }, notify.ErrEmailAddress},
		{"mail to a name", notify.OTPEmail, func(m *notify.Message) { m.To = "Mini <mini@mouse.example.com>" }, notify.ErrEmailAddress},
		{"mail to two", notify.OTPEmail, func(m *notify.Message) { m.To = "a@example.com, b@example.com" }, notify.ErrEmailAddress},
		{"mail with a header", notify.VerifyEmail, func(m *notify.Message) { m.To = "a@example.com\r\nBcc: b@example.com" }, notify.ErrEmailAddress},
		{"mail to a very long name", notify.VerifyEmail, func(m *notify.Message) { m.To = strings.Repeat("a", 255) + "@example.com" }, notify.ErrEmailAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := message(tt.kind)
			tt.edit(&m)
			got, err := r.Render(m)
			if !errors.Is(err, tt.want) || got != (notify.Rendered{}) {
				t.Errorf("Render = %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func FuzzRenderKeepsEveryValueInItsPlace(f *testing.F) {
	f.Add("Mini\r\nBcc: x@example.com", "</title><script>")
	f.Add("{{.Code}}", "\u2028@evil.example #1")
	r := renderer(f, mentioning)
	want := elements(f, render(f, r, message(notify.OTPEmail)).HTML)
	f.Fuzz(func(t *testing.T, displayName, loginName string) {
		mail, text := message(notify.OTPEmail), message(notify.OTPSMS)
		for _, d := range []*notify.Data{&mail.Data, &text.Data} {
			d.DisplayName, d.LoginName = displayName, loginName
		}
		if got := render(t, r, mail); strings.ContainsAny(got.Subject, "\r\n") || elements(t, got.HTML) != want {
			t.Errorf("subject = %q, HTML = %q", got.Subject, got.HTML)
		}
		if got := render(t, r, text).Text; strings.Count(got, "\n") != 1 {
			t.Errorf("text message = %q, want two lines", got)
		}
	})
}

func BenchmarkNewRenderer(b *testing.B) {
	for b.Loop() {
		renderer(b, nil)
	}
}

// TestBuiltInTextsPassTheTrial hands the built-in files in as an operator's, because only
// those are tried out at the start.
func TestBuiltInTextsPassTheTrial(t *testing.T) {
	t.Parallel()
	if _, err := notify.NewRenderer(os.DirFS("templates")); err != nil {
		t.Error(err)
	}
}

func TestLayoutOfTheOperatorIsTriedOutInEveryLanguage(t *testing.T) {
	t.Parallel()
	broken := fstest.MapFS{"layout.html": file(`{{template "title" .}}{{template "nothing" .}}`)}
	if _, err := notify.NewRenderer(broken); err == nil {
		t.Error("a layout that no language can fill in is taken")
	}
}
