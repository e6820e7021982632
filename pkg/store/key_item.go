package store

import (
	"strings"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Attributes of security keys, and of the challenges that they answer.
const (
	attrKind         = "kind"
	attrCredential   = "cid"
	attrPublicKey    = "pk"
	attrSignCount    = "cnt"
	attrAAGUID       = "aag"
	attrTransports   = "tr"
	attrEligible     = "be"
	attrBackedUp     = "bs"
	attrUserVerified = "uv"
	attrDeviceBound  = "db"
	attrAttestation  = "fmt"
	attrPending      = "pend"
	attrValue        = "val"
	attrRPID         = "rp"
	attrVerification = "ver"
	attrDiscoverable = "disc"
)

// keyEntries returns the items of a user's security keys: each its own, so that the
// use of one rewrites no other, and for a ready one the claim on its credential id.
func keyEntries(u *user.User) []entry {
	var entries []entry
	for _, k := range u.Keys {
		entries = append(entries, entry{key: securityKeyKey(u.ID, k.ID), item: keyItem(k)})
		if k.Ready() {
			entries = append(entries, entry{
				key: credentialKey(k.Credential.ID), item: table.Item{attrUserID: u.ID}, unique: true,
			})
		}
	}
	return entries
}

func keyItem(k user.SecurityKey) table.Item {
	r, c := newRecord(), k.Credential
	put(r, attrName, k.Name)
	put(r, attrKind, string(k.Kind))
	if !k.Ready() {
		r.putMap(attrPending, challengeMap(k.Pending))
		return r.item
	}
	r.putBytes(attrCredential, c.ID)
	r.putBytes(attrPublicKey, c.PublicKey)
	put(r, attrRPID, c.RPID)
	put(r, attrSignCount, int64(c.SignCount))
	r.putBytes(attrAAGUID, c.AAGUID[:])
	if len(c.Transports) > 0 {
		r.item[attrTransports] = stringList(c.Transports)
	}
	put(r, attrEligible, c.BackupEligible)
	put(r, attrBackedUp, c.BackupState)
	put(r, attrUserVerified, c.UserVerified)
	put(r, attrAttestation, c.AttestationFormat)
	return r.item
}

func decodeKeyItem(k table.Key, item table.Item) (user.SecurityKey, error) {
	r := &record{item: item}
	pending := r.nested(attrPending)
	key := user.SecurityKey{
		ID:      strings.TrimPrefix(k.SK, skCredential),
		Name:    get[string](r, attrName),
		Kind:    passkey.Kind(get[string](r, attrKind)),
		Pending: decodeChallenge(pending),
	}
	r.adopt(pending)
	if id := get[[]byte](r, attrCredential); len(id) > 0 {
		key.Credential = passkey.Credential{
			ID:                id,
			PublicKey:         get[[]byte](r, attrPublicKey),
			RPID:              get[string](r, attrRPID),
			Kind:              key.Kind,
			SignCount:         uint32(get[int64](r, attrSignCount)),
			Transports:        decodeStrings(r, attrTransports),
			BackupEligible:    get[bool](r, attrEligible),
			BackupState:       get[bool](r, attrBackedUp),
			UserVerified:      get[bool](r, attrUserVerified),
			AttestationFormat: get[string](r, attrAttestation),
		}
		copy(key.Credential.AAGUID[:], get[[]byte](r, attrAAGUID))
	}
	if r.err != nil {
		return user.SecurityKey{}, corrupt(k, r.err)
	}
	return key, nil
}

func challengeMap(c passkey.Challenge) map[string]any {
	r := newRecord()
	r.putBytes(attrValue, c.Value)
	put(r, attrRPID, c.RPID)
	put(r, attrKind, string(c.Kind))
	put(r, attrVerification, string(c.Verification))
	put(r, attrDiscoverable, c.Discoverable)
	r.putTime(attrExpires, c.Expires)
	return r.item
}

func decodeChallenge(r *record) passkey.Challenge {
	return passkey.Challenge{
		Value:        get[[]byte](r, attrValue),
		RPID:         get[string](r, attrRPID),
		Kind:         passkey.Kind(get[string](r, attrKind)),
		Verification: passkey.Verification(get[string](r, attrVerification)),
		Discoverable: get[bool](r, attrDiscoverable),
		Expires:      r.getTime(attrExpires),
	}
}

// putChallenges stores the open challenges of a session, the oldest first.
func putChallenges(r *record, open []passkey.Challenge) {
	list := make([]any, len(open))
	for i, c := range open {
		list[i] = challengeMap(c)
	}
	if len(list) > 0 {
		r.item[attrKeyChallenges] = list
	}
}

func decodeChallenges(r *record) []passkey.Challenge {
	return decodeList(r, attrKeyChallenges, decodeChallenge)
}

func keyFactorMap(f session.KeyFactor) map[string]any {
	r := newRecord()
	r.putTime(attrAt, f.VerifiedAt)
	put(r, attrUserVerified, f.UserVerified)
	put(r, attrKind, string(f.Kind))
	put(r, attrDeviceBound, f.DeviceBound)
	return r.item
}

func decodeKeyFactor(r *record) session.KeyFactor {
	n := r.nested(attrKeyFactor)
	defer r.adopt(n)
	return session.KeyFactor{
		VerifiedAt:   n.getTime(attrAt),
		UserVerified: get[bool](n, attrUserVerified),
		Kind:         passkey.Kind(get[string](n, attrKind)),
		DeviceBound:  get[bool](n, attrDeviceBound),
	}
}
