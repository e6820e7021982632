package store

import (
	"context"
	"errors"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/table"
)

var _ access.KeyStore = (*Store)(nil)

// Attributes of an API key; the rest is shared with sessions.
const (
	attrName    = "name"
	attrRole    = "role"
	attrSecret  = "sec"
	attrRevoked = "rev"
)

// Key implements access.KeyStore.
func (s *Store) Key(ctx context.Context, id string) (*access.Key, error) {
	item, err := s.table.Get(ctx, apiKeyKey(id))
	if err != nil || item == nil {
		return nil, err
	}
	return decodeKey(id, item)
}

// AddKey implements access.KeyStore.
func (s *Store) AddKey(ctx context.Context, k access.Key) error {
	r := newRecord()
	put(r, attrName, k.Name)
	put(r, attrRole, string(k.Role))
	put(r, attrOrg, k.Organization)
	r.putBytes(attrSecret, k.SecretHash[:])
	r.putTime(attrCreated, k.Created)
	marker, err := s.marker()
	if err != nil {
		return err
	}
	r.putBytes(attrMarker, marker)
	return s.write(ctx, []table.Op{table.Put(apiKeyKey(k.ID), r.item, table.NotExists())}, marker)
}

// RevokeKey implements access.KeyStore.
func (s *Store) RevokeKey(ctx context.Context, id string, at time.Time) (bool, error) {
	revoke := table.Update(apiKeyKey(id), table.Exists(), table.SetIfAbsent(table.At(attrRevoked), at.UnixMicro()))
	err := s.table.Write(ctx, table.Write{Ops: []table.Op{revoke}})
	var lost *table.Conflict
	if errors.As(err, &lost) && len(lost.Failures) > 0 {
		return false, nil
	}
	return err == nil, err
}

// Keys implements access.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]access.Key, error) {
	var keys []access.Key
	var broken error
	err := s.rows(ctx, table.Query{PK: keysPartition}, func(row table.Row) {
		k, err := decodeKey(row.Key.SK, row.Attrs)
		if err != nil {
			broken = err
			return
		}
		keys = append(keys, *k)
	})
	return keys, errors.Join(err, broken)
}

func decodeKey(id string, item table.Item) (*access.Key, error) {
	r := &record{item: item}
	k := &access.Key{
		ID:           id,
		Name:         get[string](r, attrName),
		Role:         access.Role(get[string](r, attrRole)),
		Organization: get[string](r, attrOrg),
		Created:      r.getTime(attrCreated),
		RevokedAt:    r.getTime(attrRevoked),
	}
	copy(k.SecretHash[:], get[[]byte](r, attrSecret))
	if r.err != nil {
		return nil, corrupt(apiKeyKey(id), r.err)
	}
	return k, nil
}
