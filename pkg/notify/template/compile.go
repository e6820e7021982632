package template

import (
	"fmt"
	"slices"
	"strings"
	"text/template/parse"
)

// step writes one part of a template; dot is what "." is there.
type step func(w *strings.Builder, dot any)

// compiler makes steps of trees. It goes through all branches, in the order in which
// they stand, with a sample of what "." is in each: a value of the same kind.
type compiler struct {
	trees map[string]*parse.Tree
	open  []string // the templates that it is in, from the outside
	place place
}

// template compiles a template where it is included.
func (c *compiler) template(tree *parse.Tree, name string, dot any) (step, error) {
	c.open = append(c.open, name)
	defer func() { c.open = c.open[:len(c.open)-1] }()
	return c.list(tree.Root, dot)
}

func (c *compiler) list(list *parse.ListNode, dot any) (step, error) {
	if list == nil { // no else
		return func(*strings.Builder, any) {}, nil
	}
	steps := make([]step, 0, len(list.Nodes))
	for _, n := range list.Nodes {
		s, err := c.node(n, dot)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return func(w *strings.Builder, dot any) {
		for _, s := range steps {
			s(w, dot)
		}
	}, nil
}

func (c *compiler) node(n parse.Node, dot any) (step, error) {
	switch n := n.(type) {
	case *parse.TextNode:
		return c.text(n)
	case *parse.ActionNode:
		return c.action(n, dot)
	case *parse.IfNode:
		return c.branch(&n.BranchNode, dot)
	case *parse.WithNode:
		return c.branch(&n.BranchNode, dot)
	case *parse.TemplateNode:
		return c.include(n, dot)
	default:
		return nil, refuse(n, "only text, values, if, with, template, block and define are known here")
	}
}

func (c *compiler) text(n *parse.TextNode) (step, error) {
	text := string(n.Text)
	if at, err := c.place.read(text); err != nil {
		spot := *n
		spot.Pos += parse.Pos(at)
		return nil, refuse(&spot, "%w", err)
	}
	return func(w *strings.Builder, _ any) { w.WriteString(text) }, nil
}

func (c *compiler) action(n *parse.ActionNode, dot any) (step, error) {
	value, err := pipeline(n.Pipe, dot)
	if err != nil {
		return nil, err
	}
	if _, ok := spell(value.sample); !ok {
		return nil, refuse(n, "%s is no text and no number", n.Pipe)
	}
	escape, err := c.place.take(value.sample)
	if err != nil {
		return nil, refuse(n, "%w", err)
	}
	return func(w *strings.Builder, dot any) {
		text, _ := spell(value.of(dot))
		w.WriteString(escape(text))
	}, nil
}

// branch compiles if and with. Both ways must lead to the same place in the document,
// or it would not be known where what follows is.
func (c *compiler) branch(n *parse.BranchNode, dot any) (step, error) {
	condition, err := pipeline(n.Pipe, dot)
	if err != nil {
		return nil, err
	}
	with := n.NodeType == parse.NodeWith
	inner := dot
	if with {
		inner = condition.sample
	}
	before := c.place
	then, err := c.list(n.List, inner)
	if err != nil {
		return nil, err
	}
	after := c.place
	c.place = before
	otherwise, err := c.list(n.ElseList, dot)
	if err != nil {
		return nil, err
	}
	if after != c.place {
		return nil, refuse(n, "one way ends inside of %s, the other inside of %s", after, c.place)
	}
	return func(w *strings.Builder, dot any) {
		switch value := condition.of(dot); {
		case !truth(value):
			otherwise(w, dot)
		case with:
			then(w, value)
		default:
			then(w, dot)
		}
	}, nil
}

func (c *compiler) include(n *parse.TemplateNode, dot any) (step, error) {
	tree := c.trees[n.Name]
	if tree == nil {
		return nil, refuse(n, "there is no template %q", n.Name)
	}
	if slices.Contains(c.open, n.Name) {
		return nil, refuse(n, "the template %q would be inside of itself", n.Name)
	}
	argument := constant(nil)
	if n.Pipe != nil {
		var err error
		if argument, err = pipeline(n.Pipe, dot); err != nil {
			return nil, err
		}
	}
	body, err := c.template(tree, n.Name, argument.sample)
	if err != nil {
		return nil, err
	}
	return func(w *strings.Builder, dot any) { body(w, argument.of(dot)) }, nil
}

// refuse returns an error that begins with the file, line and column of the node.
func refuse(n parse.Node, format string, args ...any) error {
	var tree *parse.Tree // nodes know their own
	location, _ := tree.ErrorContext(n)
	return fmt.Errorf("%s: %w", location, fmt.Errorf(format, args...))
}
