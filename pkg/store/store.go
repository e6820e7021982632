package store

import (
	"context"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Store implements the stores of the domain packages. It is safe for concurrent use.
type Store struct {
	table  table.Table
	random io.Reader
	bound  bindings
}

// The stores of the domain, all kept in one table.
var (
	_ session.Store = (*Store)(nil)
	_ user.Store    = (*Store)(nil)
	_ intent.Store  = (*Store)(nil)
)

// New returns a store on the table, which must have Schema. Random marks writes.
func New(t table.Table, random io.Reader) *Store {
	return &Store{table: t, random: random}
}

// atOnce reads what can be named. A session and the guard of its user, which is what most
// calls need, are one request; more go side by side, the last of them without a goroutine
// of its own, which would grow a stack for the SDK with each call.
func (s *Store) atOnce(ctx context.Context, r session.Ref, who whom) (l session.Loaded, early loadedUser, err error) {
	reads, ctx := errgroup.WithContext(ctx)
	if len(r.Subjects) > 0 {
		reads.Go(func() (err error) { l.Usage, err = s.Usage(ctx, r.Subjects); return err })
	}
	if len(r.Counts) > 0 {
		reads.Go(func() (err error) { l.Counted, err = s.counted(ctx, r.Counts); return err })
	}
	if len(r.Unused) > 0 {
		reads.Go(func() (err error) { l.Unused, err = s.standings(ctx, r.Unused); return err })
	}
	if r.IntentID != "" {
		reads.Go(func() (err error) { l.Intent, err = s.Intent(ctx, r.IntentID); return err })
	}
	if r.SessionID != "" && who.id != "" && r.Depth == session.GuardOnly {
		l.Session, early, err = s.sessionAndGuard(ctx, r.SessionID, who.id)
	} else {
		reads.Go(func() (err error) { l.Session, err = s.session(ctx, r.SessionID); return err })
		early, err = s.userAt(ctx, who, r.Depth)
	}
	if err != nil {
		reads.Go(func() error { return err }) // which ends the others, unless one of them was first
	}
	err = reads.Wait()
	return l, early, err
}

func (s *Store) sessionAndGuard(ctx context.Context, sessionID, userID string) (*session.Session, loadedUser, error) {
	items, err := s.table.BatchGet(ctx, []table.Key{sessionKey(sessionID), guardKey(userID)})
	if err != nil {
		return nil, loadedUser{}, err
	}
	found, err := decodeSession(sessionID, items[0])
	if err != nil {
		return nil, loadedUser{}, err
	}
	guard, err := decodeGuard(userID, items[1])
	return found, loadedUser{id: userID, guard: guard}, err
}

// Load implements session.Store. What can be named is read side by side; a bound
// user that is not known beforehand costs a second round trip, and a session that seems
// to be over with others of its user a second look.
func (s *Store) Load(ctx context.Context, r session.Ref) (session.Loaded, error) {
	l, err := s.sideBySide(ctx, r)
	for range looks {
		if err != nil || !seemsOver(l) {
			break
		}
		var same bool
		if l, same, err = s.again(ctx, r, l); same {
			break
		}
	}
	return l, err
}

// looks bounds how often a session is read again that is written meanwhile.
const looks = 3

// seemsOver reports whether the session is over by its user's guard alone. Session and
// guard may have been read before and after one write of both: one that kept the session
// while others of its user ended.
func seemsOver(l session.Loaded) bool {
	return l.Session != nil && l.Session.TerminatedAt.IsZero() && l.Guard != nil && l.Session.Ended(l.Guard)
}

// again reads the user and then the session, and reports whether that is the same as
// before. Then the two belong together.
func (s *Store) again(ctx context.Context, r session.Ref, l session.Loaded) (session.Loaded, bool, error) {
	owner := l.Session.Factors.User.ID
	found, err := s.userAt(ctx, whom{id: owner}, r.Depth)
	if err != nil {
		return session.Loaded{}, false, err
	}
	now, err := s.session(ctx, r.SessionID)
	if err != nil {
		return session.Loaded{}, false, err
	}
	if l.User != nil && l.User.ID == owner {
		l.User = found.user
	}
	if l.Guard = found.guard; now == nil {
		l.Guard = nil
	}
	same := now != nil && now.Revision == l.Session.Revision
	l.Session = now
	return l, same, nil
}

func (s *Store) sideBySide(ctx context.Context, r session.Ref) (session.Loaded, error) {
	named := r.UserID != "" || r.LoginName != ""
	asked, known := whom{r.UserID, r.LoginName, r.CredentialID}, s.bound.userOf(r.SessionID)
	first, guessed := asked, known != "" && !named
	if guessed {
		first = whom{id: known}
	}
	l, early, err := s.atOnce(ctx, r, first)
	if err != nil {
		return session.Loaded{}, err
	}
	l.User, l.Guard = early.user, early.guard
	if l.Session == nil || !l.Session.Bound() {
		l.Guard = nil
		if guessed { // the step that bound it was taken back
			again, err := s.userAt(ctx, asked, r.Depth)
			l.User = again.user
			return l, err
		}
		return l, nil
	}
	s.remember(l.Session)
	if owner := l.Session.Factors.User.ID; early.id != owner {
		late, err := s.userAt(ctx, whom{id: owner}, r.Depth)
		if err != nil {
			return session.Loaded{}, err
		}
		l.Guard = late.guard
		if !named {
			l.User = late.user
		}
	}
	return l, nil
}

// whom names a user by the first of the fields that is set.
type whom struct {
	id, loginName string
	credential    []byte
}

func (s *Store) idOf(ctx context.Context, w whom) (string, error) {
	switch {
	case w.id != "":
		return w.id, nil
	case w.loginName != "":
		return s.claimedBy(ctx, loginKey(w.loginName))
	case len(w.credential) > 0:
		return s.claimedBy(ctx, credentialKey(w.credential))
	default:
		return "", nil
	}
}

// loadedUser is what userAt found; user and guard are nil when there is none.
type loadedUser struct {
	id    string
	user  *user.User
	guard *user.Guard
}

// userAt reads a user at the depth; without a name it reads nothing.
func (s *Store) userAt(ctx context.Context, w whom, depth session.Depth) (loadedUser, error) {
	id, err := s.idOf(ctx, w)
	found := loadedUser{id: id}
	if err != nil || id == "" {
		return found, err
	}
	if depth == session.GuardOnly {
		found.guard, err = s.guard(ctx, id)
		return found, err
	}
	if found.user, err = s.User(ctx, id); found.user != nil {
		found.guard = &found.user.Guard
	}
	return found, err
}

func (s *Store) session(ctx context.Context, id string) (*session.Session, error) {
	if id == "" {
		return nil, nil
	}
	item, err := s.table.Get(ctx, sessionKey(id))
	if err != nil {
		return nil, err
	}
	return decodeSession(id, item)
}

func (s *Store) remember(found *session.Session) {
	if found.Bound() {
		s.bound.put(found.ID, found.Factors.User.ID)
	}
}

// bindings remembers which user a session is bound to. That changes only when the step
// that bound it is taken back, which Load sees; the memory saves a round trip. It keeps
// two generations and drops the older one when the younger is full.
type bindings struct {
	mu           sync.Mutex
	young, older map[string]string
}

const generation = 4096

func (b *bindings) userOf(sessionID string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u, known := b.young[sessionID]; known {
		return u
	}
	return b.older[sessionID]
}

func (b *bindings) put(sessionID, userID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.young == nil || len(b.young) >= generation {
		b.young, b.older = make(map[string]string), b.young
	}
	b.young[sessionID] = userID
}
