package dynamo

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"

	"github.com/stepup-auth/stepup/pkg/table"
)

// rendered is an operation's condition and changes as DynamoDB reads them. Fields
// that the operation does not need are nil.
type rendered struct {
	condition, update *string
	names             map[string]string
	values            attributes
}

// renderer builds the expressions of one operation. The expression package reads
// brackets in a name as a list index, so it gets stand-ins, and the literal names
// are put in their place at the end.
type renderer struct {
	standIns map[string]string // by literal name
	literals map[string]string // by stand-in
}

// render renders a valid operation.
func render(op table.Op) (rendered, error) {
	if op.If == nil && op.Kind != table.OpUpdate {
		return rendered{}, nil
	}
	r := renderer{standIns: map[string]string{}, literals: map[string]string{}}
	b := expression.NewBuilder()
	if op.If != nil {
		b = b.WithCondition(r.condition(op.If))
	}
	if op.Kind == table.OpUpdate {
		b = b.WithUpdate(r.update(op.Changes))
	}
	e, err := b.Build()
	if err != nil {
		return rendered{}, table.ErrRefused.Wrap(fmt.Errorf("render: %w", err))
	}
	names := e.Names()
	for alias, standIn := range names {
		names[alias] = r.literals[standIn]
	}
	return rendered{condition: e.Condition(), update: e.Update(), names: names, values: e.Values()}, nil
}

func (r renderer) path(p table.Path) expression.NameBuilder {
	b := r.name(p[0])
	for _, name := range p[1:] {
		b = b.AppendName(r.name(name))
	}
	return b
}

func (r renderer) name(literal string) expression.NameBuilder {
	standIn, ok := r.standIns[literal]
	if !ok {
		standIn = "n" + strconv.Itoa(len(r.standIns))
		r.standIns[literal] = standIn
		r.literals[standIn] = literal
	}
	return expression.Name(standIn)
}

func value(v any) expression.ValueBuilder { return expression.Value(encodeValue(v)) }

func (r renderer) update(changes []table.Change) expression.UpdateBuilder {
	var b expression.UpdateBuilder
	for _, c := range changes {
		path := r.path(c.Path)
		switch c.Kind {
		case table.ChangeSet:
			b = b.Set(path, value(c.Value))
		case table.ChangeSetIfAbsent:
			b = b.Set(path, expression.IfNotExists(path, value(c.Value)))
		case table.ChangeRemove:
			b = b.Remove(path)
		case table.ChangeAdd:
			// Not ADD, which DynamoDB documents for top-level attributes only.
			stored := expression.IfNotExists(path, value(int64(0)))
			b = b.Set(path, expression.Plus(stored, value(c.Value)))
		}
	}
	return b
}

func (r renderer) condition(c table.Condition) expression.ConditionBuilder {
	switch c := c.(type) {
	case table.ItemExists:
		return r.name(table.PartitionKey).AttributeExists()
	case table.ItemAbsent:
		return r.name(table.PartitionKey).AttributeNotExists()
	case table.Present:
		return r.path(c.Path).AttributeExists()
	case table.Compare:
		return r.compare(c)
	case table.SizeBelow:
		return r.path(c.Path).Size().LessThan(value(c.Limit))
	case table.All:
		return r.combine(c, expression.And)
	case table.Any:
		return r.combine(c, expression.Or)
	case table.Negated:
		return expression.Not(r.condition(c.Part))
	default:
		return expression.ConditionBuilder{} // Build reports it
	}
}

func (r renderer) combine(
	parts []table.Condition,
	with func(a, b expression.ConditionBuilder, rest ...expression.ConditionBuilder) expression.ConditionBuilder,
) expression.ConditionBuilder {
	built := make([]expression.ConditionBuilder, len(parts))
	for i, part := range parts {
		built[i] = r.condition(part)
	}
	if len(built) == 1 {
		return built[0]
	}
	return with(built[0], built[1], built[2:]...)
}

func (r renderer) compare(c table.Compare) expression.ConditionBuilder {
	path, v := r.path(c.Path), value(c.Value)
	switch c.Rel {
	case table.Equal:
		return path.Equal(v)
	case table.Less:
		return path.LessThan(v)
	case table.LessOrEqual:
		return path.LessThanEqual(v)
	case table.Greater:
		return path.GreaterThan(v)
	case table.GreaterOrEqual:
		return path.GreaterThanEqual(v)
	default:
		return expression.ConditionBuilder{} // Build reports it
	}
}
