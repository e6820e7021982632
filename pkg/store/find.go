package store

import (
	"context"
	"iter"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// parallelReads bounds how many requests one list sends at a time.
const parallelReads = 8

// Sessions implements session.Store.
func (s *Store) Sessions(ctx context.Context, ids []string) ([]*session.Session, error) {
	ids = possibleOnce(ids)
	keys := make([]table.Key, len(ids))
	for i, id := range ids {
		keys[i] = sessionKey(id)
	}
	items, err := s.batch(ctx, keys)
	if err != nil {
		return nil, err
	}
	var found []*session.Session
	for i, item := range items {
		decoded, err := decodeSession(ids[i], item)
		if err != nil {
			return nil, err
		}
		if decoded != nil {
			found = append(found, decoded)
		}
	}
	return found, nil
}

// SessionIDs implements session.Store.
func (s *Store) SessionIDs(ctx context.Context, r session.Range) iter.Seq2[string, error] {
	var queries []table.Query
	for _, source := range r.Sources {
		index, partitions := sourcePartitions(source)
		for _, partition := range partitions {
			queries = append(queries, table.Query{
				Index: index, PK: partition, From: bornKey(r.From), To: bornKey(r.To), Descending: r.Descending,
			})
		}
	}
	return s.merged(ctx, queries, sessionID)
}

// User implements user.Store.
func (s *Store) User(ctx context.Context, id string) (*user.User, error) {
	var items userItems
	err := s.rows(ctx, table.Query{PK: userPartition(id)}, func(r table.Row) {
		switch {
		case r.Key.SK == skMain:
			items.main = r.Attrs
		case r.Key.SK == skGuard:
			items.guard = r.Attrs
		case strings.HasPrefix(r.Key.SK, skLink):
			items.links = append(items.links, r)
		default:
			items.keys = append(items.keys, r)
		}
	})
	if err != nil {
		return nil, err
	}
	return decodeUser(id, items)
}

func (s *Store) guard(ctx context.Context, id string) (*user.Guard, error) {
	item, err := s.table.Get(ctx, guardKey(id))
	if err != nil {
		return nil, err
	}
	return decodeGuard(id, item)
}

// UserByLoginName implements user.Store.
func (s *Store) UserByLoginName(ctx context.Context, loginName string) (*user.User, error) {
	id, err := s.claimedBy(ctx, loginKey(loginName))
	if err != nil || id == "" {
		return nil, err
	}
	return s.User(ctx, id)
}

// claimedBy returns the id of the user to whom a unique item leads, empty for none.
func (s *Store) claimedBy(ctx context.Context, k table.Key) (string, error) {
	item, err := s.table.Get(ctx, k)
	if err != nil {
		return "", err
	}
	r := &record{item: item}
	id := get[string](r, attrUserID)
	if r.err != nil {
		return "", corrupt(k, r.err)
	}
	return id, nil
}

// Users implements user.Store and session.Store. It reads names and guards; what a
// user has enrolled in items of their own is left out.
func (s *Store) Users(ctx context.Context, ids []string) ([]*user.User, error) {
	ids = possibleOnce(ids)
	keys := make([]table.Key, 0, 2*len(ids))
	for _, id := range ids {
		keys = append(keys, userKey(id), guardKey(id))
	}
	items, err := s.batch(ctx, keys)
	if err != nil {
		return nil, err
	}
	var found []*user.User
	for i, id := range ids {
		u, err := decodeUser(id, userItems{main: items[2*i], guard: items[2*i+1]})
		if err != nil {
			return nil, err
		}
		if u != nil {
			found = append(found, u)
		}
	}
	return found, nil
}

// possibleOnce returns the ids that are possible, in their order, each once.
func possibleOnce(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again || !possible(id)
	})
}

// UserIDsByEmail implements user.Store.
func (s *Store) UserIDsByEmail(ctx context.Context, address string) ([]string, error) {
	var ids []string
	err := s.rows(ctx, table.Query{PK: emailPartition(address)}, func(r table.Row) {
		ids = append(ids, r.Key.SK)
	})
	return ids, err
}

// UserIDs implements user.Store.
func (s *Store) UserIDs(ctx context.Context, descending bool) iter.Seq2[string, error] {
	var queries []table.Query
	for _, partition := range allShards(allUsers) {
		queries = append(queries, table.Query{Index: indexTime, PK: partition, Descending: descending})
	}
	return s.merged(ctx, queries, userID)
}

// merged reads queries of indexes as one list, and returns what toID makes of the
// keys.
func (s *Store) merged(ctx context.Context, queries []table.Query, toID func(table.Key) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for row, err := range table.Merge(ctx, s.table, attrBorn, queries) {
			if !yield(toID(row.Key), err) {
				return
			}
		}
	}
}

// rows reads all pages of a query.
func (s *Store) rows(ctx context.Context, q table.Query, each func(table.Row)) error {
	for {
		page, err := s.table.Query(ctx, q)
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			each(row)
		}
		if page.Next == "" {
			return nil
		}
		q.Cursor = page.Next
	}
}

// batch reads any number of different keys, in their order.
func (s *Store) batch(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	items := make([]table.Item, len(keys))
	reads, ctx := errgroup.WithContext(ctx)
	reads.SetLimit(parallelReads)
	for start := 0; start < len(keys); start += table.MaxBatch {
		end := min(start+table.MaxBatch, len(keys))
		reads.Go(func() error {
			part, err := s.table.BatchGet(ctx, keys[start:end])
			copy(items[start:end], part)
			return err
		})
	}
	return items, reads.Wait()
}
