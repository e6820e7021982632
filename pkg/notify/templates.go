package notify

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/pkg/notify/template"
)

//go:embed templates
var builtIn embed.FS

// Names of files that do not belong to one kind.
const (
	layoutFile = "layout.html"
	expiryFile = "expiry.txt"
)

// language is the templates of one language.
type language struct {
	tag   string
	kinds map[Kind]kindTemplates
}

// kindTemplates are the parts of one kind; a text message has only a text.
type kindTemplates struct {
	subject, text, html *template.Template
}

// fileNames returns the files that a language has.
func fileNames() []string {
	names := []string{expiryFile}
	for _, kind := range Kinds() {
		names = append(names, string(kind)+".txt")
		if kind.Channel() == Email {
			names = append(names, string(kind)+".subject.txt", string(kind)+".html")
		}
	}
	return names
}

// files are the texts of templates by path.
type files map[string]string

// everyLanguage stands for all languages: the folder of the layout.
const everyLanguage = "."

// readFiles returns the built-in files, replaced by the operator's, and the languages
// that the operator has files of.
func readFiles(overrides fs.FS) (all files, touched map[string]bool, err error) {
	own, err := fs.Sub(builtIn, "templates")
	if err != nil {
		return nil, nil, err
	}
	all, theirs := files{}, files{}
	if err := fs.WalkDir(own, ".", all.read(own)); err != nil {
		return nil, nil, fmt.Errorf("notify: templates: %w", err)
	}
	if overrides != nil {
		if err := fs.WalkDir(overrides, ".", theirs.read(overrides)); err != nil {
			return nil, nil, fmt.Errorf("notify: templates: %w", err)
		}
	}
	maps.Copy(all, theirs)
	touched = map[string]bool{}
	for name := range theirs {
		touched[path.Dir(name)] = true
	}
	return all, touched, nil
}

// read returns a visitor that takes in every file. A name that means nothing is a
// slip of the pen, and the message would silently say something else.
func (f files) read(source fs.FS) fs.WalkDirFunc {
	known := fileNames()
	return func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		_, base, _ := strings.Cut(name, "/")
		if name != layoutFile && !slices.Contains(known, base) {
			return fmt.Errorf("%s: no template has this name", name)
		}
		text, err := fs.ReadFile(source, name)
		f[name] = string(text)
		return err
	}
}

// languages returns the names of the folders.
func (f files) languages() []string {
	tags := map[string]bool{}
	for name := range f {
		if name != layoutFile {
			tags[path.Dir(name)] = true
		}
	}
	return slices.Sorted(maps.Keys(tags))
}

func (f files) compile(tag string) (language, error) {
	l := language{tag: tag, kinds: make(map[Kind]kindTemplates)}
	var problems []error
	for _, kind := range Kinds() {
		t, err := f.compileKind(tag, kind)
		problems = append(problems, err)
		l.kinds[kind] = t
	}
	if err := errors.Join(problems...); err != nil {
		return language{}, fmt.Errorf("notify: templates: %w", err)
	}
	return l, nil
}

func (f files) compileKind(tag string, kind Kind) (t kindTemplates, err error) {
	stem := tag + "/" + string(kind)
	all, subject := viewOf(Data{}, tag), subjectViewOf(Data{}, tag)
	if t.text, err = f.compileText(tag, stem+".txt", all); err != nil || kind.Channel() == SMS {
		return t, err
	}
	if t.subject, err = f.compileText(tag, stem+".subject.txt", subject); err != nil {
		return t, err
	}
	t.html, err = f.compileHTML(tag, stem+".html", all)
	return t, err
}

// compileText makes a template of a file; {{template "expiry" .}} in it says how long
// the code is good for.
func (f files) compileText(tag, name string, view template.Fields) (*template.Template, error) {
	sources, err := f.open(template.File{Name: "expiry", Path: tag + "/" + expiryFile}, template.File{Name: name, Path: name})
	if err != nil {
		return nil, err
	}
	return template.Text(name, view, sources...)
}

// compileHTML makes a template of the layout and the blocks that the file defines. An
// error in the layout may be about a block that is missing, so it names the file too.
func (f files) compileHTML(tag, name string, view template.Fields) (*template.Template, error) {
	sources, err := f.open(
		template.File{Name: "expiry", Path: tag + "/" + expiryFile},
		template.File{Name: layoutFile, Path: layoutFile},
		template.File{Name: name, Path: name},
	)
	if err != nil {
		return nil, err
	}
	t, err := template.HTML(layoutFile, view, sources...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// open adds their texts to the files.
func (f files) open(sources ...template.File) ([]template.File, error) {
	for i, source := range sources {
		text, ok := f[source.Path]
		if !ok {
			return nil, fmt.Errorf("%s: %w", source.Path, fs.ErrNotExist)
		}
		sources[i].Text = text
	}
	return sources, nil
}
