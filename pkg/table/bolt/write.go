package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
)

// job is one write on its way through the queue. Its err is the answer to the caller
// and says that the write was aborted until the transaction has ended.
type job struct {
	w table.Write
	// interrupted returns the fault of the caller's context when that is over.
	interrupted func() error
	done        bool
	err         error
}

// errAborted is the cause when the goroutine that ran the job did not live to the end
// of the transaction.
var errAborted = errors.New("the transaction was aborted")

// Write implements table.Table. When it returns nil the write is on disk, unless the
// store was opened with NoSync. It remembers the tokens of the last 4096 writes that
// had one.
func (s *Store) Write(ctx context.Context, w table.Write) error {
	if err := w.Validate(s.schema); err != nil {
		return err
	}
	j := &job{
		w:           w,
		interrupted: func() error { return table.Interrupted(ctx) },
		err:         table.ErrUnavailable.Wrap(errAborted),
	}
	s.queue.mu.Lock()
	s.queue.pending = append(s.queue.pending, j)
	s.queue.mu.Unlock()

	s.queue.running.Lock()
	defer s.queue.running.Unlock()
	if !j.done {
		s.commitPending()
	}
	return j.err
}

// commitPending runs every waiting job in one transaction of the database and so
// with one flush. A job that is refused has changed nothing, and the others go on;
// when the transaction itself fails, all of them have failed.
func (s *Store) commitPending() {
	s.queue.mu.Lock()
	jobs := s.queue.pending
	s.queue.pending = nil
	s.queue.mu.Unlock()

	refusals := make([]error, len(jobs))
	err := s.db.Update(func(tx *bbolt.Tx) (err error) {
		for i, j := range jobs {
			if refusals[i], err = s.run(tx, j); err != nil {
				return err
			}
		}
		return nil
	})
	for i, j := range jobs {
		j.done, j.err = true, refusals[i]
		if err != nil {
			j.err = storeFault(err)
		}
	}
}

// run decides and applies one write. The refusal is for the job alone: nothing was
// written. The error is the database's and ends the transaction.
func (s *Store) run(tx *bbolt.Tx, j *job) (refusal, err error) {
	if err := j.interrupted(); err != nil {
		return err, nil
	}
	repeated, err := s.repeated(tx, j.w)
	if repeated || err != nil {
		return ours(err)
	}
	steps, err := plan(tx, j.w.Ops)
	if err != nil {
		return ours(err)
	}
	for _, st := range steps {
		if err := s.replace(tx, st); err != nil {
			return nil, err
		}
	}
	return nil, s.remember(tx, j.w)
}

// ours sorts an error that came up before anything was written: a fault or a
// conflict is the job's answer, anything else is the database's.
func ours(err error) (refusal, other error) {
	if isOurs(err) {
		return err, nil
	}
	return nil, err
}

func isOurs(err error) bool {
	_, isFault := errors.AsType[*fault.Fault](err)
	_, isConflict := errors.AsType[*table.Conflict](err)
	return isFault || isConflict
}

// step is one item before and after a write; nil stands for no item.
type step struct {
	key       table.Key
	old, next table.Item
}

// plan evaluates all conditions, and only when they all hold works out the items to
// store.
func plan(tx *bbolt.Tx, ops []table.Op) ([]step, error) {
	items := tx.Bucket([]byte(itemBucket))
	olds := make([]table.Item, len(ops))
	conflict := &table.Conflict{}
	for i, op := range ops {
		old, err := load(items, op.Key)
		if err != nil {
			return nil, err
		}
		if !holds(op.If, old) {
			conflict.Failures = append(conflict.Failures, table.Failure{Op: i, Old: old})
		}
		olds[i] = old
	}
	if len(conflict.Failures) > 0 {
		return nil, conflict
	}
	var steps []step
	for i, op := range ops {
		if op.Kind == table.OpCheck {
			continue
		}
		next, err := after(op, olds[i])
		if err != nil {
			return nil, table.ErrRefused.Wrap(fmt.Errorf("operation %d: %w", i, err))
		}
		steps = append(steps, step{key: op.Key, old: olds[i], next: next})
	}
	return steps, nil
}

// after returns the item as the operation leaves it. It may share memory with the old one.
func after(op table.Op, old table.Item) (table.Item, error) {
	switch op.Kind {
	case table.OpPut:
		if op.Item == nil {
			return table.Item{}, nil
		}
		return op.Item, nil
	case table.OpUpdate:
		item, err := apply(old, op.Changes)
		if err != nil {
			return nil, err
		}
		return item, table.CheckSize(op.Key, item)
	default:
		return nil, nil
	}
}

// load returns the item under the key, nil when there is none.
func load(items *bbolt.Bucket, key table.Key) (table.Item, error) {
	v := items.Get(itemKey(key))
	if v == nil {
		return nil, nil
	}
	return decodeItem(v)
}

// replace stores the step's outcome and moves its entries in the derived buckets.
func (s *Store) replace(tx *bbolt.Tx, st step) error {
	items := tx.Bucket([]byte(itemBucket))
	for _, d := range s.derived {
		from, to := d.entry(st.key, st.old), d.entry(st.key, st.next)
		if bytes.Equal(from, to) {
			continue
		}
		if err := move(tx.Bucket(d.bucket), from, to); err != nil {
			return err
		}
	}
	if st.next == nil {
		return items.Delete(itemKey(st.key))
	}
	return items.Put(itemKey(st.key), encodeItem(st.next))
}

func move(bucket *bbolt.Bucket, from, to []byte) error {
	if from != nil {
		if err := bucket.Delete(from); err != nil {
			return err
		}
	}
	if to == nil {
		return nil
	}
	return bucket.Put(to, nil)
}
