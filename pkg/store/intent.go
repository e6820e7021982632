package store

import (
	"context"
	"errors"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/table"
)

// Attributes of an intent; the rest is shared with users and sessions.
const (
	attrSuccessURL = "ok"
	attrFailureURL = "ko"
	attrSealed     = "said" // what the provider said, sealed
)

// intentGrace is how long an intent outlives its use, so that a late caller is told what
// happened.
const intentGrace = time.Hour

// Intent implements intent.Store.
func (s *Store) Intent(ctx context.Context, id string) (*intent.Intent, error) {
	if id == "" {
		return nil, nil
	}
	item, err := s.table.Get(ctx, intentKey(id))
	if err != nil {
		return nil, err
	}
	return decodeIntent(id, item)
}

// SaveIntent implements intent.Store.
func (s *Store) SaveIntent(ctx context.Context, old, changed *intent.Intent) error {
	marker, err := s.marker()
	if err != nil {
		return err
	}
	err = s.write(ctx, []table.Op{intentOp(old, changed, marker)}, marker)
	if lost, refused := errors.AsType[*table.Conflict](err); refused {
		return fault.Conflict.Wrap(lost)
	}
	return err
}

// LinkedUser implements intent.Store.
func (s *Store) LinkedUser(ctx context.Context, providerID, subject string) (string, error) {
	return s.claimedBy(ctx, linkKey(providerID, subject))
}

func intentOp(old, changed *intent.Intent, marker []byte) table.Op {
	key, item := intentKey(changed.ID), intentItem(changed, marker)
	if old == nil {
		return table.Put(key, item, table.NotExists())
	}
	return evolve(key, intentItem(old, nil), item, atRevision(old.Revision))
}

func intentItem(i *intent.Intent, marker []byte) table.Item {
	r := newRecord()
	put(r, attrProvider, i.ProviderID)
	put(r, attrState, int64(i.State))
	put(r, attrRevision, int64(i.Revision))
	r.putTime(attrCreated, i.Created)
	r.putTime(attrChanged, i.Changed)
	r.putTime(attrExpires, i.ExpiresAt)
	put(r, attrSuccessURL, i.SuccessURL)
	put(r, attrFailureURL, i.FailureURL)
	put(r, attrKeyID, i.KeyID)
	put(r, attrUserID, i.UserID)
	r.putBytes(attrSealed, i.Sealed)
	r.putBytes(attrMarker, marker)
	put(r, attrTTL, i.ExpiresAt.Add(intentGrace).Unix())
	return r.item
}

// decodeIntent returns nil for an absent item.
func decodeIntent(id string, item table.Item) (*intent.Intent, error) {
	if item == nil {
		return nil, nil
	}
	r := &record{item: item}
	i := &intent.Intent{
		ID:         id,
		ProviderID: get[string](r, attrProvider),
		State:      intent.State(get[int64](r, attrState)),
		Revision:   uint64(get[int64](r, attrRevision)),
		Created:    r.getTime(attrCreated),
		Changed:    r.getTime(attrChanged),
		ExpiresAt:  r.getTime(attrExpires),
		SuccessURL: get[string](r, attrSuccessURL),
		FailureURL: get[string](r, attrFailureURL),
		KeyID:      get[string](r, attrKeyID),
		UserID:     get[string](r, attrUserID),
		Sealed:     get[[]byte](r, attrSealed),
	}
	if r.err != nil {
		return nil, corrupt(intentKey(id), r.err)
	}
	return i, nil
}
