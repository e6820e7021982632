package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/stepup-auth/stepup/pkg/table"
)

// keptTokens is how many recent writes the store recognizes. It counts writes where
// DynamoDB counts minutes, and so needs no clock.
const keptTokens = 4096

var errTokenReused = errors.New("the token belongs to another write")

// tokened reports whether the token counts: as on DynamoDB, only a write of several
// operations has one.
func tokened(w table.Write) bool { return w.Token != "" && len(w.Ops) > 1 }

// repeated reports whether the same write with this token was applied before.
func (s *Store) repeated(tx *bbolt.Tx, w table.Write) (bool, error) {
	if !tokened(w) {
		return false, nil
	}
	stored := tx.Bucket([]byte(tokenBucket)).Get([]byte(w.Token))
	if stored == nil {
		return false, nil
	}
	if string(stored) != string(digest(w)) {
		return false, table.ErrRefused.Wrap(errTokenReused)
	}
	return true, nil
}

// remember keeps the token of an applied write and forgets the oldest.
func (s *Store) remember(tx *bbolt.Tx, w table.Write) error {
	if !tokened(w) {
		return nil
	}
	tokens, order := tx.Bucket([]byte(tokenBucket)), tx.Bucket([]byte(tokenOrder))
	n, err := order.NextSequence()
	if err != nil {
		return err
	}
	if err := tokens.Put([]byte(w.Token), digest(w)); err != nil {
		return err
	}
	if err := order.Put(sequence(n), []byte(w.Token)); err != nil {
		return err
	}
	if n <= keptTokens {
		return nil
	}
	oldest := sequence(n - keptTokens)
	if err := tokens.Delete(order.Get(oldest)); err != nil {
		return err
	}
	return order.Delete(oldest)
}

func sequence(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// digest identifies the operations. The Go syntax of a valid operation names every
// type, quotes every string and sorts every map, so equal digests mean equal
// operations.
func digest(w table.Write) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", w.Ops))
	return sum[:]
}
