package store_test

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// fullChallenge has every field set.
func fullChallenge(fill byte) passkey.Challenge {
	return passkey.Challenge{
		Value: []byte{fill, 2, 3}, RPID: "example.com", Kind: passkey.Passkey, Verification: passkey.Required,
		Discoverable: true, Expires: apptest.Epoch().Add(time.Minute),
	}
}

// fullKeys are a ready key with every field set and one in the making, in the order of
// their ids.
func fullKeys() []user.SecurityKey {
	return []user.SecurityKey{
		{ID: "k1", Name: "laptop", Kind: passkey.Passkey, Credential: passkey.Credential{
			ID: []byte{0, 1, 255}, PublicKey: []byte{4, 5}, RPID: "example.com", Kind: passkey.Passkey,
			SignCount: 1<<32 - 1, AAGUID: [16]byte{1, 15: 2}, Transports: []string{"usb", "nfc"},
			BackupEligible: true, BackupState: true, UserVerified: true, AttestationFormat: "packed",
		}},
		{ID: "k2", Kind: passkey.U2F, Pending: fullChallenge(1)},
	}
}

func withKeys(keys ...user.SecurityKey) *user.User {
	u := fullUser()
	u.Keys = keys
	return u
}

func TestKeysAndChallengesComeBack(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		save(t, s, nil, withKeys(fullKeys()...))
		sess := fullSession()
		sess.Factors.Key = session.KeyFactor{VerifiedAt: apptest.Epoch(), UserVerified: true, Kind: passkey.U2F, DeviceBound: true}
		sess.Challenges.Keys = []passkey.Challenge{fullChallenge(1), fullChallenge(2)}
		commit(t, s, session.Change{New: sess})
		got := load(t, s, session.Ref{SessionID: sessionID, Depth: session.WholeUser})
		if diff := cmp.Diff(withKeys(fullKeys()...), got.User, compare); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(sess, got.Session, compare); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
	})
}

func TestACredentialLeadsToItsUserUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		ada := withKeys(fullKeys()...)
		save(t, s, nil, ada)
		bob := withKeys(fullKeys()...)
		bob.ID, bob.Username, bob.Guard.UserID = "bob", "bob", "bob"
		if err := s.SaveUser(t.Context(), user.Change{New: bob}); !errors.Is(err, user.ErrCredentialTaken) {
			t.Errorf("second owner: %v, want %v", err, user.ErrCredentialTaken)
		}
		ref := session.Ref{CredentialID: ada.Keys[0].Credential.ID, Depth: session.WholeUser}
		if got := load(t, s, ref).User; got == nil || got.ID != "ada" {
			t.Errorf("the credential leads to %+v", got)
		}
		less := ada.Clone()
		less.Keys = less.Keys[1:]
		less.Guard.Version++
		save(t, s, ada, less)
		if got := load(t, s, ref).User; got != nil {
			t.Errorf("a removed credential leads to %+v", got)
		}
		save(t, s, nil, bob)
		gone := bob.Clone()
		gone.Guard.State, gone.Guard.Version = user.StateDeleted, gone.Guard.Version+1
		save(t, s, bob, gone)
		if got := load(t, s, ref).User; got != nil {
			t.Errorf("a deleted user's credential leads to %+v", got)
		}
	})
}

func TestTheSessionsUserComesBeforeTheCredentials(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := store.New(tb, rand.Reader)
		ada, bob := fullUser(), withKeys(fullKeys()...)
		bob.ID, bob.Username, bob.Guard.UserID = "bob", "bob", "bob"
		save(t, s, nil, ada)
		save(t, s, nil, bob)
		commit(t, s, session.Change{New: fullSession()}) // bound to Ada
		ref := session.Ref{SessionID: sessionID, CredentialID: bob.Keys[0].Credential.ID, Depth: session.WholeUser}
		for _, reader := range map[string]*store.Store{"warm": s, "cold": store.New(tb, rand.Reader)} {
			if l := load(t, reader, ref); l.User == nil || l.User.ID != "ada" || l.Guard.UserID != "ada" {
				t.Errorf("loaded %+v", l)
			}
		}
	})
}

func TestABindingThatWasTakenBackIsForgotten(t *testing.T) {
	t.Parallel()
	s := store.New(apptest.Bolt(t), rand.Reader)
	ada, bob := fullUser(), withKeys(fullKeys()...)
	bob.ID, bob.Username, bob.Guard.UserID = "bob", "bob", "bob"
	save(t, s, nil, ada)
	save(t, s, nil, bob)
	bound := fullSession() // to Ada, which the store remembers
	bound.Revision = 1
	commit(t, s, session.Change{New: bound})
	free := bound.Clone()
	free.Revision++
	free.Factors = session.Factors{}
	commit(t, s, session.Change{Old: bound, New: free})
	ref := session.Ref{SessionID: sessionID, Depth: session.WholeUser}
	if l := load(t, s, ref); l.User != nil || l.Guard != nil {
		t.Errorf("nobody is named, and loaded is %+v", l.User)
	}
	ref.CredentialID = bob.Keys[0].Credential.ID
	if l := load(t, s, ref); l.User == nil || l.User.ID != "bob" || l.Guard != nil {
		t.Errorf("Bob's credential led to %+v", l.User)
	}
}

func TestUseOfAKeyRewritesNoOther(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := store.New(tb, rand.Reader)
	old := withKeys(fullKeys()...)
	save(t, s, nil, old)
	before := apptest.Dump(t, tb)
	used := old.Clone()
	used.Keys[0].Credential.SignCount = 9
	used.Guard.Version++
	save(t, s, old, used)
	var changed []string
	for key, item := range apptest.Dump(t, tb) {
		if !cmp.Equal(before[key], item) {
			changed = append(changed, key.SK)
		}
	}
	if len(changed) != 2 || changed[0]+changed[1] != "GUARDCRED#k1" && changed[0]+changed[1] != "CRED#k1GUARD" {
		t.Errorf("changed %v, want the guard and the key", changed)
	}
}
