package template

import (
	"reflect"
	"slices"
	"strconv"
	"text/template/parse"
)

// expression is what stands between braces.
type expression struct {
	of func(dot any) any
	// sample is a value of the kind that of returns: a string, a URL, an int or Fields
	// as they are, a bool for what is only true or not, nil for nothing.
	sample any
}

func constant(value any) expression {
	return expression{func(any) any { return value }, value}
}

// functionNames has a value for each name, which the parser asks for.
var functionNames = map[string]any{"eq": true, "ne": true, "not": true, "and": true, "or": true}

func pipeline(n *parse.PipeNode, dot any) (expression, error) {
	if len(n.Decl) != 0 || len(n.Cmds) != 1 {
		return expression{}, refuse(n, "there are no variables and pipes here: %s", n)
	}
	args := n.Cmds[0].Args
	if function, ok := args[0].(*parse.IdentifierNode); ok {
		return call(function, args[1:], dot)
	}
	if len(args) > 1 {
		return expression{}, refuse(n, "%s is not a function", args[0])
	}
	return operand(args[0], dot)
}

func operand(n parse.Node, dot any) (expression, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return expression{func(dot any) any { return dot }, dot}, nil
	case *parse.FieldNode:
		return field(n, dot)
	case *parse.StringNode:
		return constant(n.Text), nil
	case *parse.NumberNode:
		if number, err := strconv.Atoi(n.Text); err == nil && strconv.Itoa(number) == n.Text { // 010 is 8 to Go
			return constant(number), nil
		}
	case *parse.PipeNode:
		return pipeline(n, dot)
	}
	return expression{}, refuse(n, "%s is neither a field nor a text nor a whole number", n)
}

func field(n *parse.FieldNode, dot any) (expression, error) {
	sample := dot
	for _, name := range n.Ident {
		fields, ok := sample.(Fields)
		if !ok {
			return expression{}, refuse(n, "%s: there is nothing with fields here", n)
		}
		if sample, ok = fields[name]; !ok {
			return expression{}, refuse(n, "there is no field %s here", n)
		}
	}
	return expression{func(dot any) any {
		for _, name := range n.Ident {
			dot = dot.(Fields)[name]
		}
		return dot
	}, sample}, nil
}

func call(function *parse.IdentifierNode, nodes []parse.Node, dot any) (expression, error) {
	args := make([]expression, 0, len(nodes))
	for _, n := range nodes {
		arg, err := operand(n, dot)
		if err != nil {
			return expression{}, err
		}
		args = append(args, arg)
	}
	switch name := function.Ident; {
	case (name == "and" || name == "or") && len(args) > 0:
		return choice(args, name == "or"), nil
	case name == "not" && len(args) == 1:
		return expression{func(dot any) any { return !truth(args[0].of(dot)) }, false}, nil
	case name == "eq" && len(args) >= 2 && alike(args):
		return equal(args, true), nil
	case name == "ne" && len(args) == 2 && alike(args):
		return equal(args, false), nil
	default:
		return expression{}, refuse(function, "%s cannot be used with these values", name)
	}
}

// choice is the first of the values that is true, or that is not, else the last. It is of
// use as a value if all are of one kind, and as a condition otherwise.
func choice(args []expression, wanted bool) expression {
	sample := args[0].sample
	for _, arg := range args {
		if _, fields := arg.sample.(Fields); fields || reflect.TypeOf(arg.sample) != reflect.TypeOf(sample) {
			sample = false
		}
	}
	return expression{func(dot any) (value any) {
		for _, arg := range args {
			if value = arg.of(dot); truth(value) == wanted {
				break
			}
		}
		return value
	}, sample}
}

// equal says whether the first value is one of the others.
func equal(args []expression, wanted bool) expression {
	return expression{func(dot any) any {
		first, _ := spell(args[0].of(dot))
		return wanted == slices.ContainsFunc(args[1:], func(arg expression) bool {
			other, _ := spell(arg.of(dot))
			return first == other
		})
	}, false}
}

// alike reports whether all are texts, or all are numbers.
func alike(args []expression) bool {
	_, number := args[0].sample.(int)
	return !slices.ContainsFunc(args, func(arg expression) bool {
		_, ok := spell(arg.sample)
		_, same := arg.sample.(int)
		return !ok || same != number
	})
}

// spell returns a value as it is written, if it can be.
func spell(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case URL:
		return string(v), true
	case int:
		return strconv.Itoa(v), true
	default:
		return "", false
	}
}

// truth is false for nothing, an empty text, zero, and what is not so.
func truth(value any) bool {
	switch v := value.(type) {
	case bool:
		return v
	case Fields:
		return true
	default:
		text, ok := spell(v)
		return ok && text != "" && v != 0
	}
}
