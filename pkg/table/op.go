package table

// Path leads to an attribute: its name, and for a value inside a map the names of
// the keys below it. Names are taken literally; a dot has no meaning.
type Path []string

// At builds a path.
func At(names ...string) Path { return names }

// OpKind says what an operation does.
type OpKind uint8

// The kinds of operation.
const (
	OpPut OpKind = iota + 1
	OpUpdate
	OpDelete
	OpCheck
)

// Op is one operation of a Write. Build it with Put, Update, Delete or Check.
type Op struct {
	Kind    OpKind
	Key     Key
	Item    Item     // OpPut
	Changes []Change // OpUpdate
	If      Condition
}

// Put stores item under key, replacing what is there. A nil condition always holds.
func Put(key Key, item Item, cond Condition) Op {
	return Op{Kind: OpPut, Key: key, Item: item, If: cond}
}

// Update changes some attributes and leaves the rest. An item that is not there is
// created, unless the condition forbids it.
func Update(key Key, cond Condition, changes ...Change) Op {
	return Op{Kind: OpUpdate, Key: key, Changes: changes, If: cond}
}

// Delete removes the item. Removing what is not there succeeds.
func Delete(key Key, cond Condition) Op {
	return Op{Kind: OpDelete, Key: key, If: cond}
}

// Check changes nothing and fails the whole Write when the condition is false.
func Check(key Key, cond Condition) Op {
	return Op{Kind: OpCheck, Key: key, If: cond}
}

// ChangeKind says what a change does to its path.
type ChangeKind uint8

// The kinds of change.
const (
	ChangeSet ChangeKind = iota + 1
	ChangeSetIfAbsent
	ChangeRemove
	ChangeAdd
)

// Change is one change of an Update. A nested path needs its parent map to exist;
// without it the Write fails with ErrRefused.
type Change struct {
	Kind  ChangeKind
	Path  Path
	Value any
}

// Set stores the value at the path.
func Set(path Path, value any) Change { return Change{ChangeSet, path, value} }

// SetIfAbsent stores the value unless the path has one.
func SetIfAbsent(path Path, value any) Change { return Change{ChangeSetIfAbsent, path, value} }

// Remove takes the path away; removing what is not there does nothing.
func Remove(path Path) Change { return Change{ChangeRemove, path, nil} }

// Add adds delta to the number at the path, which counts as 0 when it is absent. The
// sum must be an int64; when it is not, a store fails no later than at the next read.
func Add(path Path, delta int64) Change { return Change{ChangeAdd, path, delta} }

// Condition is a test of the stored item. The adapters switch over the concrete
// types below; there are no others.
type Condition interface{ isCondition() }

// The concrete conditions. A comparison with an absent attribute, or with one of
// another type, is false.
type (
	// ItemExists holds when there is an item.
	ItemExists struct{}
	// ItemAbsent holds when there is none.
	ItemAbsent struct{}
	// Present holds when the path has a value.
	Present struct{ Path Path }
	// Compare holds when the value at the path stands in the relation to Value,
	// which is a string, int64, []byte or bool (bool: Equal only).
	Compare struct {
		Path  Path
		Rel   Relation
		Value any
	}
	// SizeBelow holds when the path has a string, bytes, list or map with fewer
	// than Limit characters, bytes or elements. Stores do not agree on what counts
	// as a character outside of ASCII.
	SizeBelow struct {
		Path  Path
		Limit int64
	}
	// All holds when each part holds. An empty All is refused.
	All []Condition
	// Any holds when at least one part holds. An empty Any is refused.
	Any []Condition
	// Negated holds when the part does not.
	Negated struct{ Part Condition }
)

func (ItemExists) isCondition() {}
func (ItemAbsent) isCondition() {}
func (Present) isCondition()    {}
func (Compare) isCondition()    {}
func (SizeBelow) isCondition()  {}
func (All) isCondition()        {}
func (Any) isCondition()        {}
func (Negated) isCondition()    {}

// Relation is how a stored value is compared.
type Relation uint8

// The relations. Strings and bytes are ordered bytewise.
const (
	Equal Relation = iota + 1
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
)

// Exists holds when there is an item under the key.
func Exists() Condition { return ItemExists{} }

// NotExists holds when there is no item under the key.
func NotExists() Condition { return ItemAbsent{} }

// Has holds when the path has a value.
func Has(path Path) Condition { return Present{path} }

// Eq holds when the value at the path equals v.
func Eq(path Path, v any) Condition { return Compare{path, Equal, v} }

// Lt holds when the value at the path is less than v.
func Lt(path Path, v any) Condition { return Compare{path, Less, v} }

// Le holds when the value at the path is at most v.
func Le(path Path, v any) Condition { return Compare{path, LessOrEqual, v} }

// Gt holds when the value at the path is greater than v.
func Gt(path Path, v any) Condition { return Compare{path, Greater, v} }

// Ge holds when the value at the path is at least v.
func Ge(path Path, v any) Condition { return Compare{path, GreaterOrEqual, v} }

// SizeLt holds when the value at the path is smaller than limit.
func SizeLt(path Path, limit int64) Condition { return SizeBelow{path, limit} }

// And holds when all parts hold.
func And(parts ...Condition) Condition { return All(parts) }

// Or holds when at least one part holds.
func Or(parts ...Condition) Condition { return Any(parts) }

// Not holds when the part does not.
func Not(part Condition) Condition { return Negated{part} }
