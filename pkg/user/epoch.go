package user

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// FormerLife is why a new user cannot be stored with the epoch that it has: somebody had
// the id before, and was deleted in this one or a later. It is the cause of a
// fault.Conflict.
type FormerLife struct{ Epoch int64 }

// Error implements error.
func (f *FormerLife) Error() string {
	return fmt.Sprintf("a deleted user of that id ended in epoch %d", f.Epoch)
}

// maxAgents is how many user agents can have an epoch of their own. It bounds what the
// guard grows by to about half a kilobyte.
const maxAgents = 16

// EpochOf returns the epoch that a session of the user agent must be bound in to be
// alive.
func (g *Guard) EpochOf(fingerprint string) int64 {
	if len(g.Agents) == 0 {
		return g.Epoch
	}
	if own, has := g.Agents[agentKey(fingerprint)]; has {
		return own
	}
	return g.Epoch
}

// EndSessions ends all sessions of the user, in the one write of the guard.
func (u *User) EndSessions(now time.Time) {
	u.endSessions(now)
	u.touch(now)
}

// EndSessionsOf ends those of one user agent, and reports whether all had to end: an
// epoch of a user agent cannot be forgotten while older sessions of it may be left, so
// that the one user agent too many ends every session, which is safe, and starts anew.
func (u *User) EndSessionsOf(fingerprint string, now time.Time) (all bool) {
	key := agentKey(fingerprint)
	if _, has := u.Guard.Agents[key]; !has && len(u.Guard.Agents) >= maxAgents {
		u.EndSessions(now)
		return true
	}
	if u.Guard.Agents == nil {
		u.Guard.Agents = make(map[string]int64)
	}
	u.Guard.Agents[key] = u.Guard.nextEpoch(now)
	u.touch(now)
	return false
}

// endSessions draws a new epoch. It is later than any before, also for an id that
// was deleted and is used again, so a session of a former life never revives.
func (u *User) endSessions(now time.Time) {
	u.Guard.Epoch = u.Guard.nextEpoch(now)
	u.Guard.Agents, u.Guard.Sessions = nil, nil
}

// Admit lets a session count for the limit per user. The others are those before it that
// are alive, in their order; the oldest beyond the limit are over with this write.
func (u *User) Admit(sessionID string, others []string, limit int, now time.Time) {
	all := append(slices.Clone(others), sessionID)
	u.Guard.Sessions = all[max(0, len(all)-limit):]
	u.touch(now)
}

// Admits reports whether a session that counts for the limit is within it.
func (g *Guard) Admits(sessionID string) bool { return slices.Contains(g.Sessions, sessionID) }

// nextEpoch returns one that was never drawn for the user.
func (g *Guard) nextEpoch(now time.Time) int64 {
	last := g.Epoch
	for _, own := range g.Agents {
		last = max(last, own)
	}
	return max(last+1, now.UnixMicro())
}

// agentKey names a user agent in the guard: fingerprints are long, and describe a
// device. Two that share a key, one in 2^96, end together.
func agentKey(fingerprint string) string {
	sum := sha256.Sum256([]byte(fingerprint))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
