package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Commit implements session.Store: the session, its user and the intent that it consumes
// in one write.
func (s *Store) Commit(ctx context.Context, c session.Change) error {
	marker, err := s.marker()
	if err != nil {
		return err
	}
	var ops []table.Op
	switch {
	case c.New != nil:
		ops = append(ops, sessionOp(c.Old, c.New))
	case c.Gone:
		ops = append(ops, table.Delete(sessionKey(c.Old.ID), atRevision(c.Old.Revision)))
	}
	switch {
	case c.UserChanged():
		ops = append(ops, userOps(c.OldUser, c.NewUser, marker)...)
	case c.Rely:
		ops = append(ops, table.Check(guardKey(c.OldUser.ID), atVersion(c.OldUser.Guard.Version)))
	}
	if c.NewIntent != nil {
		ops = append(ops, intentOp(c.OldIntent, c.NewIntent, marker))
	}
	for _, sent := range c.Sends {
		ops = append(ops, sendOps(sent)...)
	}
	if err := s.write(ctx, ops, marker); err != nil {
		return lost(err, ops, c.Sends)
	}
	if c.New != nil {
		s.remember(c.New)
	}
	return nil
}

// lost names what a refused write lost: room in a count, for good, or a race.
func lost(err error, ops []table.Op, sends []sending.Send) error {
	var conflict *table.Conflict
	if !errors.As(err, &conflict) {
		return err
	}
	for _, failure := range conflict.Failures {
		for _, sent := range sends {
			for _, c := range sent.Counts {
				if ops[failure.Op].Key == countKey(c) {
					return c.Full(conflict)
				}
			}
			if u := sent.Unused; !u.None() && ops[failure.Op].Key == unusedKey(u) {
				return u.Stopped()
			}
		}
	}
	return fault.Conflict.Wrap(conflict)
}

// SaveUser implements user.Store.
func (s *Store) SaveUser(ctx context.Context, c user.Change) error {
	marker, err := s.marker()
	if err != nil {
		return err
	}
	ops := userOps(c.Old, c.New, marker)
	for _, sent := range c.Sends {
		ops = append(ops, sendOps(sent)...)
	}
	err = s.write(ctx, ops, marker)
	var conflict *table.Conflict
	if !errors.As(err, &conflict) {
		return err
	}
	for _, failure := range conflict.Failures {
		switch key := ops[failure.Op].Key; key {
		case guardKey(c.New.ID): // comes first: the one who took the name may be this very user
			if c.Old == nil {
				return s.taken(c.New.ID, failure.Old)
			}
			return fault.Conflict.Wrap(conflict)
		case loginKey(c.New.LoginName()):
			return user.ErrLoginNameTaken
		default:
			switch {
			case isCredential(key):
				return user.ErrCredentialTaken
			case isLink(key):
				return user.ErrLinkTaken
			}
		}
	}
	return lost(err, ops, c.Sends)
}

// taken says why a new user cannot have the id: there is one, or the new one would have
// an epoch in which sessions of a deleted one may have been bound.
func (s *Store) taken(id string, guard table.Item) error {
	g, err := decodeGuard(id, guard)
	switch {
	case err != nil:
		return err
	case g == nil || g.State != user.StateDeleted:
		return user.ErrExists
	default:
		return fault.Conflict.Wrap(&user.FormerLife{Epoch: g.Epoch})
	}
}

func sessionOp(old, changed *session.Session) table.Op {
	if old == nil {
		return table.Put(sessionKey(changed.ID), sessionItem(changed), table.NotExists())
	}
	return evolve(sessionKey(changed.ID), sessionItem(old), sessionItem(changed), atRevision(old.Revision))
}

func atRevision(r uint64) table.Condition { return table.Eq(table.At(attrRevision), int64(r)) }

func atVersion(v uint64) table.Condition { return table.Eq(table.At(attrVersion), int64(v)) }

// userOps turns one user into another: the guard under its version, and whatever
// else differs. A new user may take the place of a deleted one, in a later epoch.
func userOps(old, changed *user.User, marker []byte) []table.Op {
	ops := []table.Op{guardOp(old, changed, marker)}
	if sameButGuard(old, changed) {
		return ops
	}
	before := make(map[table.Key]table.Item)
	for _, e := range userEntries(old) {
		before[e.key] = e.item
	}
	for _, e := range userEntries(changed) {
		was, existed := before[e.key]
		delete(before, e.key)
		switch {
		case existed && reflect.DeepEqual(was, e.item):
			continue
		case e.unique && !existed:
			ops = append(ops, table.Put(e.key, e.item, table.NotExists()))
		default:
			ops = append(ops, evolve(e.key, was, e.item, nil))
		}
	}
	for key := range before {
		ops = append(ops, table.Delete(key, nil))
	}
	return ops
}

// sameButGuard reports whether two states of a user consist of the same items beside the
// guard, which is the case after most checks.
func sameButGuard(old, changed *user.User) bool {
	if old == nil {
		return false
	}
	a, b := *old, *changed
	a.Guard, b.Guard = user.Guard{State: old.Guard.State}, user.Guard{State: changed.Guard.State}
	return reflect.DeepEqual(a, b) //nolint:govet // receipts hold errors, and are left out with the guards
}

func guardOp(old, changed *user.User, marker []byte) table.Op {
	key, item := guardKey(changed.ID), guardItem(&changed.Guard, marker)
	if old == nil {
		free := table.Or(table.NotExists(), table.And(
			table.Eq(table.At(attrState), int64(user.StateDeleted)), table.Lt(table.At(attrEpoch), changed.Guard.Epoch),
		))
		return table.Put(key, item, free)
	}
	return evolve(key, guardItem(&old.Guard, nil), item, atVersion(old.Guard.Version))
}

// marker draws what tells one write from all others. It is the idempotency token of
// a write of several items, and stands in every guard, so that a single write whose
// answer was lost, and that was repeated on the way, is known by what it left.
func (s *Store) marker() ([]byte, error) {
	m := make([]byte, 12)
	if _, err := io.ReadFull(s.random, m); err != nil {
		return nil, fmt.Errorf("draw a write marker: %w", err)
	}
	return m, nil
}

func (s *Store) write(ctx context.Context, ops []table.Op, marker []byte) error {
	err := s.table.Write(ctx, table.Write{Token: hex.EncodeToString(marker), Ops: ops})
	var lost *table.Conflict
	if len(ops) == 1 && errors.As(err, &lost) && len(lost.Failures) == 1 && isOurs(ops[0], lost.Failures[0].Old) {
		return nil
	}
	return err
}

// isOurs reports whether the item that refused a write is the one it meant to make, or is
// gone as it should. Every kind of item that is written alone carries fresh randomness: a
// guard and an intent their marker, a session its token id.
func isOurs(op table.Op, stored table.Item) bool {
	fresh := op.Kind == table.OpDelete || written(op, attrMarker) != nil || written(op, attrToken) != nil
	return fresh && left(op, stored)
}
