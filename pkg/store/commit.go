package store

import (
	"bytes"
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
	case c.NewUser != nil && c.NewUser.Guard.Version != c.OldUser.Guard.Version:
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
					return c.Scope.Full().Wrap(conflict)
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
				return user.ErrExists
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

func sessionOp(old, changed *session.Session) table.Op {
	cond := table.NotExists()
	if old != nil {
		cond = atRevision(old.Revision)
	}
	return table.Put(sessionKey(changed.ID), sessionItem(changed), cond)
}

func atRevision(r uint64) table.Condition { return table.Eq(table.At(attrRevision), int64(r)) }

func atVersion(v uint64) table.Condition { return table.Eq(table.At(attrVersion), int64(v)) }

// userOps turns one user into another: the guard under its version, and whatever
// else differs. A new user may take the place of a deleted one.
func userOps(old, changed *user.User, marker []byte) []table.Op {
	cond := table.Or(table.NotExists(), table.Eq(table.At(attrState), int64(user.StateDeleted)))
	if old != nil {
		cond = atVersion(old.Guard.Version)
	}
	ops := []table.Op{table.Put(guardKey(changed.ID), guardItem(&changed.Guard, marker), cond)}
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
			ops = append(ops, table.Put(e.key, e.item, nil))
		}
	}
	for key := range before {
		ops = append(ops, table.Delete(key, nil))
	}
	return ops
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
	if op.Kind == table.OpDelete && stored == nil {
		return true
	}
	for _, name := range []string{attrMarker, attrToken} {
		wanted, ok := op.Item[name].([]byte)
		if found, _ := stored[name].([]byte); ok && bytes.Equal(wanted, found) {
			return reflect.DeepEqual(op.Item, stored)
		}
	}
	return false
}
