package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// place is where a template is while it writes: somewhere in an HTML document, or in plain
// text. The HTML that it moves over is less than what browsers read: what two parsers
// could read differently is refused, so that this one need not be the cleverer.
type place struct {
	state     state
	element   string // whose tag it is in
	attribute string // whose value it is in
	link      progress
}

type state int

const (
	inText  state = iota // text that is not HTML
	content              // text of HTML, between tags
	title                // text of a title element, which has no tags
	tag                  // a tag, between attributes
	value                // a value in double quotes
)

// progress is how much of the value of an attribute that links has been written.
type progress int

const (
	nothing progress = iota
	some             // literal text
	whole            // a URL
)

// String is for errors.
func (p place) String() string {
	switch p.state {
	case title:
		return "<title>"
	case tag:
		return fmt.Sprintf("the tag <%s>", p.element)
	case value:
		return fmt.Sprintf("the attribute %s of <%s>", p.attribute, p.element)
	default:
		return "the text"
	}
}

// Attributes whose values are shown or describe what is shown, and those that lead
// somewhere when a reader opens them. Others load, run or style something, or mean
// something to programs.
var (
	shown = []string{"alt", "aria-label", "lang", "title"}
	links = []string{"action", "href"}
)

// unknown are the elements inside of which, or after which, HTML is read by other rules
// (HTML Standard, 13.2.5 and 13.2.6). None of them is of use in a mail.
var unknown = []string{
	"base", "embed", "frameset", "iframe", "listing", "math", "noembed", "noframes", "noscript", "object", "plaintext",
	"script", "select", "svg", "template", "textarea", "xmp",
}

var errValueHere = errors.New("values may be in text and in double-quoted attributes (" + strings.Join(shown, ", ") +
	"), and .URL be the whole of a double-quoted " + strings.Join(links, " or "))

// take takes in a value and returns how it is written.
func (p *place) take(sample any) (escape func(string) string, err error) {
	switch _, isURL := sample.(URL); {
	case p.state == inText:
		return func(text string) string { return text }, nil
	case p.state == content, p.state == title, p.state == value && slices.Contains(shown, p.attribute):
		return escapeText.Replace, nil
	case p.state == value && slices.Contains(links, p.attribute) && isURL && p.link == nothing:
		p.link = whole
		return escapeURL, nil
	default:
		return nil, fmt.Errorf("%w; this one is in %s", errValueHere, p)
	}
}

// read moves over literal text. With an error it returns the offset of what it refuses.
func (p *place) read(text string) (offset int, err error) {
	for offset < len(text) {
		n, err := p.step(text[offset:])
		if err != nil {
			return offset, err
		}
		offset += n
	}
	return offset, nil
}

// step moves over the beginning of the text, and returns its length.
func (p *place) step(text string) (int, error) {
	switch p.state {
	case content:
		return p.inContent(text)
	case title:
		return p.inTitle(text)
	case tag:
		return p.inTag(text)
	case value:
		return p.inValue(text)
	default:
		return len(text), nil
	}
}

// Spaces of HTML, and what names of elements and attributes consist of here.
const (
	spaces    = " \t\n\f\r"
	nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:."
)

// nameAt returns the name with which the text begins, or an error when there is none, or
// when it may go on after the text.
func nameAt(text string) (string, error) {
	rest := strings.TrimLeft(text, nameBytes)
	name := text[:len(text)-len(rest)]
	if name == "" || rest == "" || !strings.ContainsAny(rest[:1], spaces+"/>=") {
		return "", errors.New("a name is expected here, and a space, an equals sign or the end of the tag after it")
	}
	return name, nil
}

func (p *place) inContent(text string) (int, error) {
	at := strings.IndexByte(text, '<')
	switch {
	case at < 0:
		return len(text), nil
	case at > 0:
		return at, nil
	case strings.HasPrefix(text, "<!--"):
		return comment(text)
	case strings.HasPrefix(text, "</"):
		return endTag(text)
	case hasPrefixFold(text, "<!doctype"):
		return after(text, ">", "a doctype")
	default:
		return p.startTag(text)
	}
}

// comment moves over a comment that no parser ends earlier or later.
func comment(text string) (int, error) {
	const begin, end = "<!--", "-->"
	body, _, ended := strings.Cut(text[len(begin):], end)
	if !ended || strings.HasPrefix(body, ">") || strings.HasPrefix(body, "->") || strings.Contains(body, "--!>") {
		return 0, errors.New("a comment must end with -->, without templates in it")
	}
	return len(begin) + len(body) + len(end), nil
}

func endTag(text string) (int, error) {
	name, err := nameAt(text[len("</"):])
	if err != nil || !letter(name[0]) {
		return 0, errors.New("this is not the end tag of an element")
	}
	rest := strings.TrimLeft(text[len("</")+len(name):], spaces)
	if !strings.HasPrefix(rest, ">") {
		return 0, fmt.Errorf("</%s has more in it than a name", name)
	}
	return len(text) - len(rest) + 1, nil
}

func (p *place) startTag(text string) (int, error) {
	name, err := nameAt(text[1:])
	if err != nil || !letter(name[0]) {
		return 0, errors.New("this is not the beginning of a tag; write &lt; for the sign itself")
	}
	element := strings.ToLower(name)
	if slices.Contains(unknown, element) {
		return 0, fmt.Errorf("<%s> is not for messages", element)
	}
	p.state, p.element = tag, element
	return 1 + len(name), nil
}

func (p *place) inTag(text string) (int, error) {
	rest := strings.TrimLeft(text, spaces+"/")
	switch {
	case len(rest) < len(text):
		return len(text) - len(rest), nil
	case text[0] != '>':
		return p.inAttribute(text)
	}
	element := p.element
	p.element = ""
	switch element {
	case "style":
		p.state = content
		return style(text)
	case "title":
		p.state = title
	default:
		p.state = content
	}
	return 1, nil
}

// style moves over the content of the element and its end.
func style(text string) (int, error) {
	const end = "</style"
	at := 0
	for at < len(text) && !hasPrefixFold(text[at:], end) {
		at++
	}
	if hasPrefixFold(text[at:], end+">") {
		return at + len(end+">"), nil
	}
	return 0, errors.New("<style> must end with </style>, without templates in it")
}

func (p *place) inAttribute(text string) (int, error) {
	name, err := nameAt(text)
	if err != nil {
		return 0, err
	}
	rest := strings.TrimLeft(text[len(name):], spaces)
	if !strings.HasPrefix(rest, "=") {
		return len(name), nil
	}
	rest = strings.TrimLeft(rest[1:], spaces)
	read := len(text) - len(rest)
	if strings.HasPrefix(rest, `"`) {
		p.state, p.attribute = value, strings.ToLower(name)
		return read + 1, nil
	}
	n, err := literalValue(rest)
	return read + n, err
}

// literalValue moves over a value that is not in double quotes.
func literalValue(text string) (int, error) {
	if inner, quoted := strings.CutPrefix(text, "'"); quoted {
		n, err := after(inner, "'", "a value in single quotes")
		return 1 + n, err
	}
	end := strings.IndexAny(text, spaces+">")
	if end <= 0 || strings.ContainsAny(text[:end], "\"'<=`") {
		return 0, errors.New("an attribute with a template in it must be in double quotes")
	}
	return end, nil
}

func (p *place) inValue(text string) (int, error) {
	end := strings.IndexByte(text, '"')
	switch {
	case end == 0:
		p.state, p.attribute, p.link = tag, "", nothing
		return 1, nil
	case p.link == whole:
		return 0, errors.New("a link is the whole value of its attribute")
	case slices.Contains(links, p.attribute):
		p.link = some
	}
	if end < 0 {
		return len(text), nil
	}
	return end, nil
}

func (p *place) inTitle(text string) (int, error) {
	const end = "</title>"
	at := strings.IndexByte(text, '<')
	switch {
	case at < 0:
		return len(text), nil
	case at > 0:
		return at, nil
	case !hasPrefixFold(text, end):
		return 0, errors.New("there are no tags in <title>; write &lt; for the sign itself")
	}
	p.state = content
	return len(end), nil
}

// after returns the length of the text up to and with the end of what it is.
func after(text, end, what string) (int, error) {
	at := strings.Index(text, end)
	if at < 0 {
		return 0, fmt.Errorf("%s must end with %s, without templates in it", what, end)
	}
	return at + len(end), nil
}

func letter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
