// Package template reads and writes the texts of messages. They are in a part of the
// language of text/template that has what a message needs: text, fields, if, with,
// define, block, template, constants, and the functions eq, ne, not, and, or. Whatever
// else there is to find fault with is refused when a text is read, with its file and
// line, so that a template that was read cannot fail.
//
// The standard library's packages call methods by name, which keeps all methods of all
// types in a program that imports them (docs/decisions/0017-texts-of-messages.md). This
// one takes their parser alone.
package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template/parse"
)

// Fields are what a template may mention by name: each a string, a URL, an int, or
// Fields again.
type Fields map[string]any

// URL is an absolute http or https URL, or empty. It is the only value that may be where
// a link leads, and is written as "#" there should it be anything else.
type URL string

// File is one file with the name of the template that it is. It may define others.
type File struct{ Name, Path, Text string }

// Template is a text that was read. It is safe for concurrent use.
type Template struct{ write step }

// Text reads the template of that name, for plain text. Of templates with one name the last
// that is not empty counts. The fields are those that there will be, with any values.
func Text(name string, fields Fields, files ...File) (*Template, error) {
	return read(name, fields, place{state: inText}, files)
}

// HTML is Text for an HTML document. Values are escaped. They may be in text, in the
// double-quoted value of an attribute that is shown, and, if it is a URL, be the whole
// value of one that links. All else is refused, as is HTML that parsers could read in
// two ways.
func HTML(name string, fields Fields, files ...File) (*Template, error) {
	return read(name, fields, place{state: content}, files)
}

// Execute writes the template with the fields that it was read for.
func (t *Template) Execute(fields Fields) string {
	var w strings.Builder
	t.write(&w, fields)
	return w.String()
}

func read(name string, fields Fields, start place, files []File) (*Template, error) {
	trees, err := parseAll(files)
	if err != nil {
		return nil, err
	}
	root := trees[name]
	if root == nil {
		return nil, fmt.Errorf("there is no template %q", name)
	}
	c := compiler{trees: trees, place: start}
	write, err := c.template(root, name, fields)
	if err != nil {
		return nil, err
	}
	if c.place != start {
		return nil, refuse(root.Root, "the document ends inside of %s", c.place)
	}
	return &Template{write}, nil
}

// parseAll returns the templates by name.
func parseAll(files []File) (map[string]*parse.Tree, error) {
	all := map[string]*parse.Tree{}
	for _, file := range files {
		trees, err := parse.Parse(file.Path, file.Text, "", "", functionNames)
		if err != nil {
			return nil, err
		}
		trees[file.Name] = trees[file.Path]
		for _, name := range slices.Sorted(maps.Keys(trees)) {
			if tree := trees[name]; all[name] == nil || !parse.IsEmptyTree(tree.Root) {
				all[name] = tree
			}
		}
	}
	return all, nil
}
