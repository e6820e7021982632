package main

import (
	"context"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// bulk is a table that gathers the writes of different items and sends them together,
// to fill a store in a fraction of the requests. It is for one goroutine.
type bulk struct {
	table.Table

	pending []table.Op
}

// Write implements table.Table. What was gathered before is sent when the new operations
// would not fit.
func (b *bulk) Write(ctx context.Context, w table.Write) error {
	if len(b.pending)+len(w.Ops) > table.MaxTransact {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.pending = append(b.pending, w.Ops...)
	return nil
}

// flush sends what was gathered.
func (b *bulk) flush(ctx context.Context) error {
	ops := b.pending
	b.pending = nil
	if len(ops) == 0 {
		return nil
	}
	return b.Table.Write(ctx, table.Write{Ops: ops})
}

// fill makes n users and for each a session that is bound to them, and returns the ids of
// the sessions.
func fill(ctx context.Context, t table.Table, n int) ([]string, error) {
	b := &bulk{Table: t}
	s, err := newService(ctx, b)
	if err != nil {
		return nil, err
	}
	for i := range n {
		if i%1000 == 0 {
			progressf("user %d of %d", i, n)
		}
		id := fmt.Sprintf("u%d", i)
		if _, err := s.Users.Create(ctx, operator(), user.Registration{
			ID: id, Username: id, Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		}); err != nil {
			return nil, err
		}
	}
	if err := b.flush(ctx); err != nil {
		return nil, err
	}
	ids := make([]string, n)
	for i := range ids {
		if i%1000 == 0 {
			progressf("session %d of %d", i, n)
		}
		r, err := s.Sessions.Create(ctx, operator(), session.Create{
			Step: session.Step{Checks: session.Checks{User: &session.CheckUser{ID: fmt.Sprintf("u%d", i)}}},
		})
		if err != nil {
			return nil, err
		}
		ids[i] = r.SessionID
	}
	return ids, b.flush(ctx)
}
