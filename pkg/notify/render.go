package notify

import (
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/stepup-auth/stepup/pkg/notify/template"
)

// defaultLanguage is what a reader gets whose language has no templates.
const defaultLanguage = "en"

// Renderer writes messages from templates. It is safe for concurrent use.
type Renderer struct {
	languages map[string]compiled // by lower-case tag
}

// compiled returns the templates of a language, which are compiled when they are first
// asked for.
type compiled func() (language, error)

// NewRenderer reads the built-in templates and those of the operator, which may be
// nil. A file of the operator replaces the built-in one of the same name, and a folder
// with a new language must have all files that the folder "en" has. Every template of a
// language that the operator touched is compiled: one that is missing, unknown,
// malformed, or that mentions what there is not, is an error with the file's name. The
// others are as they were tested, and cost nothing until a message needs them.
//
// The folders are named by language tags. In each, <kind>.txt is the text of a
// message; a mail has <kind>.subject.txt too, which cannot mention Code and URL, and
// <kind>.html, which defines the blocks "title", "lead", "button" and "note" of
// layout.html beside the folders. expiry.txt in each folder puts Expiry in words: of
// its fields Hours, Minutes and Seconds one is set. The last line of a text message,
// with which browsers fill in the code, is added to what the template wrote.
func NewRenderer(overrides fs.FS) (*Renderer, error) {
	files, touched, err := readFiles(overrides)
	if err != nil {
		return nil, err
	}
	r := &Renderer{languages: make(map[string]compiled)}
	for _, tag := range files.languages() {
		templates := compiled(sync.OnceValues(func() (language, error) { return files.compile(tag) }))
		if touched[tag] || touched[everyLanguage] {
			if _, err := templates(); err != nil {
				return nil, err
			}
		}
		r.languages[strings.ToLower(tag)] = templates
	}
	return r, nil
}

// Render writes the message in the first of these that there are templates for: its
// language as it stands, the base of that language, English. It returns ErrSMSNumber
// or ErrEmailAddress when it cannot be sent to its To, and ErrMessage when anything
// else in it cannot be used.
func (r *Renderer) Render(m Message) (Rendered, error) {
	if err := m.validate(); err != nil {
		return Rendered{}, err
	}
	l, err := r.language(m.Language)()
	if err != nil {
		return Rendered{}, ErrMessage.Wrap(err)
	}
	return l.render(m), nil
}

func (r *Renderer) language(tag string) compiled {
	tag = strings.ToLower(strings.ReplaceAll(tag, "_", "-"))
	base, _, _ := strings.Cut(tag, "-")
	for _, candidate := range []string{tag, base} {
		if l, ok := r.languages[candidate]; ok {
			return l
		}
	}
	return r.languages[defaultLanguage]
}

// span is a duration in its largest whole unit; the others are zero.
type span struct{ Hours, Minutes, Seconds int }

func spanOf(d time.Duration) span {
	switch d = d.Truncate(time.Second); {
	case d%time.Hour == 0:
		return span{Hours: int(d / time.Hour)}
	case d%time.Minute == 0:
		return span{Minutes: int(d / time.Minute)}
	default:
		return span{Seconds: int(d / time.Second)}
	}
}

// subjectViewOf returns what a subject may mention. Subjects are shown on locked screens and
// kept in logs of mail servers, so there is no secret among it.
func subjectViewOf(d Data, tag string) template.Fields {
	d = d.clean()
	expiry := spanOf(d.Expiry)
	return template.Fields{
		"Language": tag, "Domain": d.Domain,
		fieldUserID: d.UserID, fieldLoginName: d.LoginName, fieldDisplayName: d.DisplayName,
		fieldPreferredLanguage: d.PreferredLanguage, fieldSessionID: d.SessionID,
		"Expiry": template.Fields{"Hours": expiry.Hours, "Minutes": expiry.Minutes, "Seconds": expiry.Seconds},
	}
}

// viewOf returns what the rest of a message may mention.
func viewOf(d Data, tag string) template.Fields {
	view := subjectViewOf(d, tag)
	view["Code"], view["URL"] = d.Code, template.URL(d.URL)
	return view
}

func (l language) render(m Message) Rendered {
	t, view := l.kinds[m.Kind], viewOf(m.Data, l.tag)
	out := Rendered{ID: m.ID, Kind: m.Kind, Channel: m.Kind.Channel(), To: m.To, Code: m.Data.Code, Text: t.text.Execute(view)}
	if out.Channel == SMS {
		out.Text = strings.TrimSpace(out.Text)
		if m.Data.Domain != "" {
			out.Text += boundCode(m.Data.Domain, m.Data.Code)
		}
		return out
	}
	out.Subject = oneLine(t.subject.Execute(subjectViewOf(m.Data, l.tag)))
	out.HTML = t.html.Execute(view)
	return out
}
