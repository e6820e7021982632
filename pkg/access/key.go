package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

// Key is an API key as it is kept: its secret only as a hash. The secret has 256
// random bits, so a fast hash is enough.
type Key struct {
	ID           string
	Name         string
	Role         Role
	Organization string
	SecretHash   [sha256.Size]byte
	Created      time.Time
	// RevokedAt is zero while the key is good.
	RevokedAt time.Time
}

func (k Key) caller() Caller {
	return Caller{ID: k.ID, Role: k.Role, Organization: k.Organization}
}

// KeyStore keeps API keys. Its methods return faults when the store fails.
type KeyStore interface {
	// Key returns the key, revoked or not, or nil when there is none.
	Key(ctx context.Context, id string) (*Key, error)
	// AddKey stores a new key.
	AddKey(ctx context.Context, k Key) error
	// RevokeKey marks the key as revoked and reports whether there is one.
	RevokeKey(ctx context.Context, id string, at time.Time) (bool, error)
	// Keys returns all keys.
	Keys(ctx context.Context) ([]Key, error)
}

// KeysConfig holds what Keys needs; Store, Ring, Now and Random are required.
type KeysConfig struct {
	Store  KeyStore
	Ring   *keyring.Ring
	Now    func() time.Time
	Random io.Reader
	// Remember is how long a process trusts a key that it has looked up, which is
	// also how long a revoked one may still work; 0 looks every time.
	Remember time.Duration
}

// Keys issues and checks API keys. It is safe for concurrent use.
type Keys struct {
	c KeysConfig

	mu          sync.Mutex            // guards the rest
	seen        map[string]remembered // by key id
	revocations int                   // of this process
}

type remembered struct {
	key   Key
	until time.Time
}

// maxRemembered bounds the memory; a deployment has a handful of keys.
const maxRemembered = 1024

// NewKeys returns Keys.
func NewKeys(c KeysConfig) *Keys {
	return &Keys{c: c, seen: make(map[string]remembered)}
}

// The text of a key is a prefix that secret scanners can look for and the base64url
// form of a stamp over id and secret, so that a forged key costs no look-up.
const (
	keyPrefix  = "stepup_"
	keyPurpose = "api-key"
	secretSize = 32
)

// Faults of a presented key (wire contract, section 4.3).
var (
	errKeyInvalid = fault.New(fault.Unauthenticated, "AUTH-7fs1e", "Errors.Token.Invalid")
	errKeyUnknown = fault.New(fault.NotFound, "STEPUP-key", "There is no such API key")
	errKeyRole    = fault.New(fault.InvalidArgument, "STEPUP-key-role", "Role is unknown")
	errKeyOrg     = fault.New(fault.InvalidArgument, "STEPUP-key-organization", "A role per organization needs an organization, any other role must have none")
)

// IsKey reports whether a bearer credential has the form of an API key.
func IsKey(text string) bool { return strings.HasPrefix(text, keyPrefix) }

// NewKey describes a key to be issued.
type NewKey struct {
	Name string
	Role Role
	// Organization is required for roles that count in one organization.
	Organization string
}

// Issue makes a key and returns its text, which is not kept and cannot be shown
// again. It returns a fault of kind InvalidArgument for an unknown role, or an
// organization that does not go with it.
func (k *Keys) Issue(ctx context.Context, n NewKey) (Key, string, error) {
	if !n.Role.Valid() {
		return Key{}, "", errKeyRole
	}
	if n.Role.PerOrganization() != (n.Organization != "") {
		return Key{}, "", errKeyOrg
	}
	var raw [id.Size + secretSize]byte
	if _, err := io.ReadFull(k.c.Random, raw[:]); err != nil {
		return Key{}, "", fmt.Errorf("draw an API key: %w", err)
	}
	stamped, err := k.c.Ring.Stamp(keyPurpose, raw[:])
	if err != nil {
		return Key{}, "", fmt.Errorf("stamp an API key: %w", err)
	}
	key := Key{
		ID:           id.Encode([id.Size]byte(raw[:id.Size])),
		Name:         n.Name,
		Role:         n.Role,
		Organization: n.Organization,
		SecretHash:   sha256.Sum256(raw[id.Size:]),
		Created:      k.c.Now().UTC().Truncate(time.Microsecond),
	}
	if err := k.c.Store.AddKey(ctx, key); err != nil {
		return Key{}, "", err
	}
	return key, keyPrefix + base64.RawURLEncoding.EncodeToString(stamped), nil
}

// Authenticate returns the caller who presents the key. A key that this service did
// not make is refused without a look-up; one that is unknown or revoked gets the
// same fault.
func (k *Keys) Authenticate(ctx context.Context, text string) (Caller, error) {
	keyID, secret, genuine := k.parse(text)
	if !genuine {
		return Caller{}, errKeyInvalid
	}
	key, err := k.lookUp(ctx, keyID)
	if err != nil {
		return Caller{}, err
	}
	hash := sha256.Sum256(secret)
	if key == nil || !key.RevokedAt.IsZero() || subtle.ConstantTimeCompare(hash[:], key.SecretHash[:]) != 1 {
		return Caller{}, errKeyInvalid
	}
	return key.caller(), nil
}

// parse reads a key in its one spelling; the decoder alone would skip line breaks.
func (k *Keys) parse(text string) (keyID string, secret []byte, genuine bool) {
	stamped, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(text, keyPrefix))
	if err != nil || !IsKey(text) || strings.ContainsAny(text, "\r\n") {
		return "", nil, false
	}
	payload, genuine := k.c.Ring.Unstamp(keyPurpose, stamped)
	if !genuine || len(payload) != id.Size+secretSize {
		return "", nil, false
	}
	return id.Encode([id.Size]byte(payload[:id.Size])), payload[id.Size:], true
}

func (k *Keys) lookUp(ctx context.Context, keyID string) (*Key, error) {
	now := k.c.Now()
	k.mu.Lock()
	known, fresh := k.seen[keyID]
	before := k.revocations
	k.mu.Unlock()
	if fresh && now.Before(known.until) {
		return &known.key, nil
	}
	key, err := k.c.Store.Key(ctx, keyID)
	if err != nil || key == nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.revocations != before { // it may be this key that was revoked since it was read
		return key, nil
	}
	if len(k.seen) >= maxRemembered {
		clear(k.seen)
	}
	k.seen[keyID] = remembered{key: *key, until: now.Add(k.c.Remember)}
	return key, nil
}

// Revoke ends a key. This process refuses it at once, others when they look again.
// It returns a fault of kind NotFound for an unknown id.
func (k *Keys) Revoke(ctx context.Context, keyID string) error {
	found, err := k.c.Store.RevokeKey(ctx, keyID, k.c.Now().UTC().Truncate(time.Microsecond))
	if err != nil {
		return err
	}
	if !found {
		return errKeyUnknown
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.seen, keyID)
	k.revocations++
	return nil
}

// List returns all keys, revoked ones included.
func (k *Keys) List(ctx context.Context) ([]Key, error) { return k.c.Store.Keys(ctx) }
