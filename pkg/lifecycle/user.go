package lifecycle

import (
	"maps"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/user"
)

// UserChange is a user before and after as far as the main item goes, which has
// neither the guard nor the security keys; nil where there was or is none.
type UserChange struct{ Old, New *user.User }

// Events implements Change.
func (c UserChange) Events(r Record) []Event {
	switch {
	case c.Old == nil && c.New == nil:
		return nil
	case c.Old == nil:
		created := Event{Name: UserCreated, Time: c.New.Created, UserID: c.New.ID, Organization: c.New.Organization}
		return stamp(r, append([]Event{created}, factorEvents(nil, c.New)...))
	case c.New == nil:
		deleted := Event{Name: UserDeleted, UserID: c.Old.ID, Organization: c.Old.Organization}
		return stamp(r, append(factorEvents(c.Old, nil), deleted))
	default:
		return stamp(r, factorEvents(c.Old, c.New))
	}
}

// factorEvents tells which factors came and went.
func factorEvents(before, after *user.User) []Event {
	var events []Event
	had, has := methods(before), methods(after)
	for _, factor := range had {
		if !slices.Contains(has, factor) {
			events = append(events, Event{Name: FactorRemoved, UserID: before.ID, Factor: factor})
		}
	}
	for _, factor := range has {
		if !slices.Contains(had, factor) {
			events = append(events, Event{Name: FactorAdded, UserID: after.ID, Factor: factor})
		}
	}
	return events
}

func methods(u *user.User) []user.Authenticator {
	if u == nil {
		return nil
	}
	return u.Methods()
}

// KeyChange is a security key before and after; nil where there was or is none.
type KeyChange struct {
	UserID   string
	Old, New *user.SecurityKey
}

// Events implements Change. A key counts once its registration is verified.
func (c KeyChange) Events(r Record) []Event {
	events := factorEvents(c.owner(c.Old), c.owner(c.New))
	for i := range events {
		events[i].KeyID = c.id()
	}
	return stamp(r, events)
}

// owner is the user as if they had this one key and nothing else.
func (c KeyChange) owner(k *user.SecurityKey) *user.User {
	if k == nil {
		return nil
	}
	return &user.User{ID: c.UserID, Keys: []user.SecurityKey{*k}}
}

func (c KeyChange) id() string {
	if c.New != nil {
		return c.New.ID
	}
	return c.Old.ID
}

// LinkChange is a link to an account elsewhere before and after; nil where there was or is
// none.
type LinkChange struct {
	UserID   string
	Old, New *user.Link
}

// Events implements Change.
func (c LinkChange) Events(r Record) []Event {
	return stamp(r, factorEvents(c.owner(c.Old), c.owner(c.New)))
}

// owner is the user as if they had this one link and nothing else.
func (c LinkChange) owner(l *user.Link) *user.User {
	if l == nil {
		return nil
	}
	return &user.User{ID: c.UserID, Links: []user.Link{*l}}
}

// GuardChange is a user's guard before and after; nil where there was or is none.
type GuardChange struct{ Old, New *user.Guard }

// Events implements Change. The guard of a new user says nothing that user.created
// does not, and that of a deleted one goes unnoticed.
func (c GuardChange) Events(r Record) []Event {
	if c.Old == nil || c.Old.State == user.StateDeleted {
		return nil
	}
	after := c.New
	if after == nil {
		after = &user.Guard{UserID: c.Old.UserID, State: user.StateDeleted}
	}
	var events []Event
	for _, kind := range slices.Sorted(maps.Keys(after.Attempts)) {
		events = append(events, attempted(kind, c.Old.Attempts[kind], after.Attempts[kind])...)
	}
	if name := transition(c.Old.State, after.State); name != "" {
		events = append(events, Event{Name: name})
	}
	switch {
	case after.Epoch != c.Old.Epoch:
		events = append(events, Event{Name: SessionsEnded})
	case !maps.Equal(after.Agents, c.Old.Agents):
		events = append(events, Event{Name: AgentSessionsEnded})
	default:
		events = append(events, displaced(c.Old.Sessions, after.Sessions)...)
	}
	if was := c.Old.PasswordChanged; !was.IsZero() && after.PasswordChanged.After(was) { // else it is user.factor_added
		events = append(events, Event{Name: PasswordChanged})
	}
	events = append(events, factorEvents(&user.User{Guard: *c.Old}, &user.User{Guard: *after})...)
	for i := range events {
		events[i].UserID, events[i].Revision, events[i].Time = after.UserID, after.Version, after.Changed
	}
	return stamp(r, events)
}

// displaced tells which sessions count no longer for the limit per user.
func displaced(before, after []string) []Event {
	var events []Event
	for _, id := range before {
		if !slices.Contains(after, id) {
			events = append(events, Event{Name: SessionDisplaced, SessionID: id})
		}
	}
	return events
}

// attempted tells of a check that failed, and of the lock that it led to.
func attempted(kind user.Authenticator, before, after user.Attempts) []Event {
	if after.Failures <= before.Failures {
		return nil
	}
	events := []Event{{Name: CheckFailed, Factor: kind, Failures: after.Failures}}
	if !after.LockedUntil.After(before.LockedUntil) {
		return events
	}
	locked := Event{Name: AuthenticatorLocked, Factor: kind, Failures: after.Failures, LockedUntil: after.LockedUntil}
	if after.Failures >= user.HardStop {
		locked.LockedUntil, locked.Disabled = time.Time{}, true
	}
	return append(events, locked)
}

// transition names a change of state; the empty name is none that is told of. That of
// a deletion is told by the main item, which knows more.
func transition(before, after user.State) Name {
	switch {
	case before == after:
		return ""
	case after == user.StateLocked:
		return UserLocked
	case after == user.StateInactive:
		return UserDeactivated
	case after == user.StateActive && before == user.StateLocked:
		return UserUnlocked
	case after == user.StateActive && before == user.StateInactive:
		return UserReactivated
	default:
		return ""
	}
}
