// Package store owns the repositories: which item holds what, under which key, and
// which reads and writes the domain's operations need. It is written against the
// item port, so that every store under it behaves alike.
//
// All keys are made in this file. The table, by access pattern:
//
//	session            SES#<id>        A           everything of a session, also open challenges
//	user               USR#<id>        A           profile, addresses, password hash
//	user's guard       USR#<id>        GUARD       version, state, epoch, failed attempts, recovery codes
//	security key       USR#<id>        CRED#<key id>  passkey or U2F key
//	external account   USR#<id>        LINK#<hash>  provider, account and name
//	login name         LOGIN#<name>    A           makes the name unique, leads to the user
//	credential         CRED#<hash>     A           makes a key's credential id unique, leads to the user
//	external account   LINK#<hash>     A           makes an account unique, leads to the user
//	email address      EMAIL#<addr>    <user id>   leads to the users with the address
//	sign-in elsewhere  INTENT#<id>     A           an intent: one sign-in at an identity provider
//	API key            KEYS            <id>        few, so one partition lists them
//	messages sent      SENT#<channel>#<hash>  A    to one address, by its hash
//	budget of a day    BUDGET#<channel>       <day>  messages of the whole deployment, and their price
//	cap of a day       BUDGET#<channel>#<scope>#<hash>  <day>  messages of a user, an organization, …
//	cap of an hour     BUDGET#<channel>#<scope>#<hash>  <day>T<hour>  messages of a user
//	codes not used     UNUSED#<channel>#<calling code>#<organization>  <start>  messages to a region in a window
//
// A user is read with one query of the partition. The guard's version counts every
// change of any of the user's items and is the condition of every write to them.
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// The indexes. Their keys are set when a session is created or bound and never
// change, and they project keys only, so a PATCH pays for none of them.
const (
	indexUser    = "byUser"
	indexCreator = "byCreator"
	indexAgent   = "byAgent"
	indexTime    = "byTime"

	attrBorn = "born" // sort key of all indexes: see bornKey
	attrTTL  = "ttl"
)

// Schema is the definition of the table that this package expects; a test holds it
// next to the deployed template.
func Schema() table.Schema {
	s := table.Schema{TTL: attrTTL}
	for _, name := range []string{indexUser, indexCreator, indexAgent, indexTime} {
		s.Indexes = append(s.Indexes, table.Index{Name: name, PK: name, SK: attrBorn})
	}
	return s
}

// Sort keys of a user's items, and of items that are alone in their partition.
const (
	skMain  = "A"
	skGuard = "GUARD"

	skCredential = "CRED#"
	skLink       = "LINK#"
)

const sessionPrefix = "SES#"

func sessionKey(id string) table.Key { return table.Key{PK: sessionPrefix + id, SK: skMain} }

func sessionID(k table.Key) string { return strings.TrimPrefix(k.PK, sessionPrefix) }

const userPrefix = "USR#"

func userPartition(id string) string { return userPrefix + id }

// possible reports whether anything can be stored under the id. Clients may ask for
// any text; one that is no key at all is as unknown as any other.
func possible(id string) bool {
	return id != "" && len(userPrefix+id) <= table.MaxPartitionKey && utf8.ValidString(id)
}

func userID(k table.Key) string { return strings.TrimPrefix(k.PK, userPrefix) }

func userKey(id string) table.Key { return table.Key{PK: userPartition(id), SK: skMain} }

func guardKey(id string) table.Key { return table.Key{PK: userPartition(id), SK: skGuard} }

func loginKey(loginName string) table.Key {
	return table.Key{PK: "LOGIN#" + user.LoginKey(loginName), SK: skMain}
}

func emailPartition(address string) string { return "EMAIL#" + strings.ToLower(address) }

func emailKey(address, userID string) table.Key {
	return table.Key{PK: emailPartition(address), SK: userID}
}

func securityKeyKey(userID, id string) table.Key {
	return table.Key{PK: userPartition(userID), SK: skCredential + id}
}

const credentialPrefix = "CRED#"

// credentialKey hashes the credential id, which may be longer than a key.
func credentialKey(id []byte) table.Key {
	sum := sha256.Sum256(id)
	return table.Key{PK: credentialPrefix + hex.EncodeToString(sum[:]), SK: skMain}
}

func isCredential(k table.Key) bool { return strings.HasPrefix(k.PK, credentialPrefix) }

func userLinkKey(userID string, l user.Link) table.Key {
	return table.Key{PK: userPartition(userID), SK: skLink + linkHash(l.ProviderID, l.ExternalID)}
}

const linkPrefix = "LINK#"

func linkKey(providerID, externalID string) table.Key {
	return table.Key{PK: linkPrefix + linkHash(providerID, externalID), SK: skMain}
}

func isLink(k table.Key) bool { return strings.HasPrefix(k.PK, linkPrefix) }

// linkHash is the account in a form that names nobody and fits a key. The length keeps
// the parts apart.
func linkHash(providerID, externalID string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d#%s%s", len(providerID), providerID, externalID))
	return hex.EncodeToString(sum[:])
}

const unusedPrefix = "UNUSED#"

// unusedKey keeps the region readable: a calling code names nobody, and the organization
// is in every event about its users.
func unusedKey(u sending.Unused) table.Key {
	return table.Key{
		PK: unusedPrefix + string(u.Channel) + "#" + u.CallingCode + "#" + u.Organization,
		SK: u.Start.UTC().Format(time.RFC3339),
	}
}

var errRegion = errors.New("the key names no region")

func regionOf(k table.Key) (sending.Region, error) {
	parts := strings.SplitN(strings.TrimPrefix(k.PK, unusedPrefix), "#", 3)
	if len(parts) < 3 || parts[0] == "" || parts[1] == "" {
		return sending.Region{}, corrupt(k, errRegion)
	}
	return sending.Region{Channel: sending.Channel(parts[0]), CallingCode: parts[1], Organization: parts[2]}, nil
}

func intentKey(id string) table.Key { return table.Key{PK: "INTENT#" + id, SK: skMain} }

// usageKey hashes the address, so that keys, which appear in logs and cursors, name
// nobody.
func usageKey(s sending.Subject) table.Key {
	sum := sha256.Sum256([]byte(strings.ToLower(s.Address)))
	return table.Key{PK: "SENT#" + string(s.Channel) + "#" + hex.EncodeToString(sum[:16]), SK: skMain}
}

// countKey hashes whose count it is, for the same reason.
func countKey(c sending.Count) table.Key {
	pk := "BUDGET#" + string(c.Channel)
	if c.Scope != sending.Deployment {
		sum := sha256.Sum256([]byte(c.Of))
		pk += "#" + string(c.Scope) + "#" + hex.EncodeToString(sum[:16])
	}
	start := c.Start.UTC()
	if c.Length < 24*time.Hour {
		return table.Key{PK: pk, SK: start.Format("2006-01-02T15")}
	}
	return table.Key{PK: pk, SK: start.Format(time.DateOnly)}
}

const keysPartition = "KEYS"

func apiKeyKey(id string) table.Key { return table.Key{PK: keysPartition, SK: id} }

// shards is how many partitions hold an index key that most sessions may share: one
// partition takes 1000 writes a second, and a login service creates every session
// under one creator.
const shards = 8

func shardOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash's Write never fails
	return int(h.Sum32() % shards)
}

func sharded(prefix string, shard int) string { return fmt.Sprintf("%s#%d", prefix, shard) }

const (
	allSessions = "SES"
	allUsers    = "USR"
)

// sourcePartitions returns the index and its partitions that hold a source; none for a
// value that nothing can be stored under.
func sourcePartitions(s session.Source) (index string, partitions []string) {
	switch {
	case s.Kind == session.EverySession:
		return indexTime, allShards(allSessions)
	case !possible(s.Value):
		return "", nil
	case s.Kind == session.OfUser:
		return indexUser, []string{s.Value}
	case s.Kind == session.OfAgent:
		return indexAgent, []string{s.Value}
	default:
		return indexCreator, allShards(s.Value)
	}
}

func allShards(prefix string) []string {
	all := make([]string, shards)
	for i := range all {
		all[i] = sharded(prefix, i)
	}
	return all
}

// bornKey is a time as an index's sort key: microseconds since 1970 in 16 digits,
// which sort as text. Earlier times count as 1970, and those after November 2286 as
// the last that fits, because clients may search for any. The zero time is the empty,
// open end of a range.
func bornKey(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%016d", min(max(t.UnixMicro(), 0), 1e16-1))
}
