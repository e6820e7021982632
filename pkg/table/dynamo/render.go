package dynamo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/table"
)

// rendered is an operation's condition and changes as DynamoDB reads them. Fields
// that the operation does not need are nil.
type rendered struct {
	condition, update *string
	names             map[string]string
	values            attributes
}

// render renders a valid operation.
func render(op table.Op) rendered {
	var r renderer
	var out rendered
	if op.If != nil {
		out.condition = new(r.condition(op.If))
	}
	if op.Kind == table.OpUpdate {
		out.update = new(r.update(op.Changes))
	}
	out.names, out.values = numbered("#", r.names), numbered(":", r.values)
	return out
}

// renderer writes the expressions of one operation ("Using expressions in DynamoDB" in the
// developer guide). Names and values are placeholders in their text, a number each: a name
// may be a reserved word, or have characters that mean something there.
type renderer struct {
	names  []string
	values []types.AttributeValue
}

// numbered returns what the placeholders stand for. DynamoDB refuses a map without any.
func numbered[V any](mark string, all []V) map[string]V {
	if len(all) == 0 {
		return nil
	}
	m := make(map[string]V, len(all))
	for i, v := range all {
		m[mark+strconv.Itoa(i)] = v
	}
	return m
}

func (r *renderer) name(literal string) string {
	i := slices.Index(r.names, literal)
	if i < 0 {
		i = len(r.names)
		r.names = append(r.names, literal)
	}
	return "#" + strconv.Itoa(i)
}

func (r *renderer) path(p table.Path) string {
	names := make([]string, len(p))
	for i, name := range p {
		names[i] = r.name(name)
	}
	return strings.Join(names, ".")
}

func (r *renderer) value(v any) string {
	r.values = append(r.values, encodeValue(v))
	return ":" + strconv.Itoa(len(r.values)-1)
}

func (r *renderer) update(changes []table.Change) string {
	var sets, removes []string
	for _, c := range changes {
		path := r.path(c.Path)
		switch c.Kind {
		case table.ChangeSet:
			sets = append(sets, path+" = "+r.value(c.Value))
		case table.ChangeSetIfAbsent:
			sets = append(sets, path+" = "+r.stored(path, c.Value))
		case table.ChangeRemove:
			removes = append(removes, path)
		case table.ChangeAdd:
			// Not ADD, which DynamoDB documents for top-level attributes only.
			sets = append(sets, path+" = "+r.stored(path, int64(0))+" + "+r.value(c.Value))
		}
	}
	var clauses []string
	if len(sets) > 0 {
		clauses = append(clauses, "SET "+strings.Join(sets, ", "))
	}
	if len(removes) > 0 {
		clauses = append(clauses, "REMOVE "+strings.Join(removes, ", "))
	}
	return strings.Join(clauses, " ")
}

// stored is the value at the path, or another where there is none.
func (r *renderer) stored(path string, otherwise any) string {
	return "if_not_exists(" + path + ", " + r.value(otherwise) + ")"
}

func (r *renderer) condition(c table.Condition) string {
	switch c := c.(type) {
	case table.ItemExists:
		return "attribute_exists(" + r.name(table.PartitionKey) + ")"
	case table.ItemAbsent:
		return "attribute_not_exists(" + r.name(table.PartitionKey) + ")"
	case table.Present:
		return "attribute_exists(" + r.path(c.Path) + ")"
	case table.Compare:
		return r.path(c.Path) + relations[c.Rel] + r.value(c.Value)
	case table.SizeBelow:
		return "size(" + r.path(c.Path) + ") < " + r.value(c.Limit)
	case table.All:
		return r.combine(c, " AND ")
	case table.Any:
		return r.combine(c, " OR ")
	case table.Negated:
		return "NOT (" + r.condition(c.Part) + ")"
	default:
		panic(fmt.Sprintf("dynamo: condition of type %T passed validation", c))
	}
}

// combine puts each part in brackets, and one that is alone in none: DynamoDB refuses
// brackets that change nothing.
func (r *renderer) combine(parts []table.Condition, operator string) string {
	if len(parts) == 1 {
		return r.condition(parts[0])
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = "(" + r.condition(part) + ")"
	}
	return strings.Join(texts, operator)
}

var relations = [...]string{
	table.Equal: " = ", table.Less: " < ", table.LessOrEqual: " <= ", table.Greater: " > ", table.GreaterOrEqual: " >= ",
}

func (r *renderer) keyCondition(q table.Query, index table.Index) string {
	partition := r.name(index.PK) + " = " + r.value(q.PK)
	if q.Prefix == "" && q.From == "" && q.To == "" { // DynamoDB refuses a name that is not used
		return partition
	}
	sort := r.name(index.SK)
	switch {
	case q.Prefix != "":
		return partition + " AND begins_with(" + sort + ", " + r.value(q.Prefix) + ")"
	case q.To == "":
		return partition + " AND " + sort + " >= " + r.value(q.From)
	case q.From == "":
		return partition + " AND " + sort + " <= " + r.value(q.To)
	default:
		return partition + " AND " + sort + " BETWEEN " + r.value(q.From) + " AND " + r.value(q.To)
	}
}
