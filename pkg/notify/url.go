package notify

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/stepup-auth/stepup/pkg/weblink"
)

// maxURLTemplate bounds a template in bytes. The wire contract allows 200 characters;
// operators may write longer ones in the configuration.
const maxURLTemplate = 1024

// URLData is what a link template may mention, in every kind of mail or in those that
// are named.
type URLData struct {
	Code              string
	UserID            string
	LoginName         string
	DisplayName       string
	PreferredLanguage string
	// SessionID is for OTPEmail.
	SessionID string
	// OrgID is for VerifyEmail and RegisterPasskey.
	OrgID string
	// CodeID is for RegisterPasskey.
	CodeID string
}

// Fields that links and texts share.
const (
	fieldUserID            = "UserID"
	fieldSessionID         = "SessionID"
	fieldLoginName         = "LoginName"
	fieldDisplayName       = "DisplayName"
	fieldPreferredLanguage = "PreferredLanguage"
)

// field returns the value that a template names.
func (d URLData) field(name string) string {
	return map[string]string{
		"Code": d.Code, fieldUserID: d.UserID, fieldLoginName: d.LoginName, fieldDisplayName: d.DisplayName,
		fieldPreferredLanguage: d.PreferredLanguage, fieldSessionID: d.SessionID, "OrgID": d.OrgID, "CodeID": d.CodeID,
	}[name]
}

// linkFields lists the fields of URLData that links in mails of the kind may mention.
func linkFields(k Kind) []string {
	fields := []string{"Code", fieldUserID, fieldLoginName, fieldDisplayName, fieldPreferredLanguage}
	switch k {
	case OTPEmail:
		return append(fields, fieldSessionID)
	case RegisterPasskey:
		return append(fields, "OrgID", "CodeID")
	default:
		return append(fields, "OrgID")
	}
}

// URLTemplate is a checked template of the link in a mail.
type URLTemplate struct {
	pieces []piece
	fields []string // that it may mention
	hosts  weblink.Hosts
}

// piece is literal text, or a field where field is not empty.
type piece struct{ text, field string }

// ParseURLTemplate reads a link template for a kind of mail: the text of an absolute URL
// with fields of URLData in double braces, as in
//
//	https://login.example.com/otp?code={{.Code}}&session={{.SessionID}}
//
// It is the language of text/template without everything that is not a field: no
// functions, conditions, loops, variables or nested templates. Scheme, host and port
// must be literal, so that no value of a user decides where a link goes.
//
// The host must be one of hosts, each a name or a name with a port; an empty list
// allows every host by https, and the machine itself (localhost, 127.0.0.1, [::1]) by
// http too. A template that does not parse, or uses more than fields, is
// InvalidArgument DOMAIN-oGh5e; one that names an unknown field, or does not make an
// allowed URL, is InvalidArgument DOMAIN-ieYa7 (wire contract, section
// 4.4).
func ParseURLTemplate(kind Kind, text string, hosts []string) (*URLTemplate, error) {
	if len(text) > maxURLTemplate {
		return nil, errURLParse.Wrap(errors.New("the template is too long"))
	}
	trees, err := parse.Parse("url", text, "", "")
	if err != nil {
		return nil, errURLParse.Wrap(err)
	}
	if len(trees) != 1 || trees["url"] == nil {
		return nil, errURLParse.Wrap(errors.New("the template defines other templates"))
	}
	t := &URLTemplate{fields: linkFields(kind), hosts: hosts}
	for _, node := range trees["url"].Root.Nodes {
		if err := t.add(node); err != nil {
			return nil, err
		}
	}
	return t, t.tryOut()
}

// add takes in a node of the tree: text, or an action that is one field.
func (t *URLTemplate) add(node parse.Node) error {
	switch n := node.(type) {
	case *parse.TextNode:
		t.pieces = append(t.pieces, piece{text: string(n.Text)})
		return nil
	case *parse.ActionNode:
		field, ok := onlyField(n)
		if !ok {
			break
		}
		if !slices.Contains(t.fields, field) {
			return errURLExecute.Wrap(fmt.Errorf("there is no field %q", field))
		}
		t.pieces = append(t.pieces, piece{field: field})
		return nil
	}
	return errURLParse.Wrap(errors.New("the template holds more than text and fields"))
}

// onlyField returns the field that an action consists of, with its dots if it goes
// deeper than fields do.
func onlyField(action *parse.ActionNode) (string, bool) {
	pipe := action.Pipe
	if len(pipe.Decl) != 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return "", false
	}
	field, ok := pipe.Cmds[0].Args[0].(*parse.FieldNode)
	if !ok {
		return "", false
	}
	return strings.Join(field.Ident, "."), true
}

// tryOut executes the template with values that cannot stand in a host: a slash stays
// escaped there, and an escape is not allowed in a host.
func (t *URLTemplate) tryOut() error {
	_, err := t.Execute(URLData{"/", "/", "/", "/", "/", "/", "/", "/"})
	return err
}

// Execute returns the link. Values are percent-encoded up to the unreserved characters
// (RFC 3986, 2.3), in a path as in a query, so that a value is a value and never a
// second parameter. The fault is InvalidArgument DOMAIN-ieYa7 when the values make the
// link longer than 4096 bytes.
func (t *URLTemplate) Execute(d URLData) (string, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		b.WriteString(p.text)
		b.WriteString(escape(d.field(p.field)))
	}
	if _, err := t.hosts.Parse(b.String()); err != nil {
		return "", errURLExecute.Wrap(err)
	}
	return b.String(), nil
}

// escape leaves no character with a meaning in a URL. Unlike a form it does not write
// a space as a plus sign, which would stay one in a path.
func escape(value string) string {
	return strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}
