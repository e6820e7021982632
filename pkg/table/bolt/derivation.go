package bolt

import (
	"encoding/binary"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/table"
)

// derivation describes a bucket whose entries follow from the items: an index or the
// expiry times. The entries are keys without values.
type derivation struct {
	bucket []byte
	// entry returns the item's entry, nil when it has none.
	entry func(table.Key, table.Item) []byte
}

func derivations(s table.Schema) []derivation {
	var all []derivation
	for _, index := range s.Indexes {
		all = append(all, derivation{indexBucket(index), func(k table.Key, item table.Item) []byte {
			return indexEntry(index, k, item)
		}})
	}
	if s.TTL != "" {
		all = append(all, derivation{expiryBucket(s), func(k table.Key, item table.Item) []byte {
			return expiryEntry(s.TTL, k, item)
		}})
	}
	return all
}

func indexBucket(index table.Index) []byte {
	return fmt.Appendf(nil, "%s/%q/%q/%q", indexPrefix, index.Name, index.PK, index.SK)
}

func expiryBucket(s table.Schema) []byte {
	return fmt.Appendf(nil, "%s/%q", expiryPrefix, s.TTL)
}

// indexEntry is the index's own key followed by the item's, which makes it unique
// and lets a query answer from the entry alone.
func indexEntry(index table.Index, k table.Key, item table.Item) []byte {
	pk, hasPK := item[index.PK].(string)
	sk, hasSK := item[index.SK].(string)
	if !hasPK || !hasSK {
		return nil
	}
	return tuple(pk, sk, k.PK, k.SK)
}

// expiryEntry is the time followed by the item's key, so that the oldest comes
// first.
func expiryEntry(attribute string, k table.Key, item table.Item) []byte {
	at, ok := item[attribute].(int64)
	if !ok {
		return nil
	}
	return append(timePrefix(at), tuple(k.PK, k.SK)...)
}

const timeSize = 8

// timePrefix orders signed seconds bytewise by flipping the sign bit.
func timePrefix(seconds int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seconds)^1<<63)
}
