package eventbridge_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// everything is changes that give every event, with each optional field and without.
func everything() []lifecycle.Change {
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	bare := &session.Session{ID: "s", Creator: "c", Created: now, Sequence: 1, Revision: 1}
	full := bare.Clone()
	full.Sequence, full.Revision, full.ExpiresAt = 2, 2, now.Add(time.Hour)
	full.Factors = session.Factors{User: session.UserFactor{ID: "u", Organization: "o"}, Password: now}
	next := full.Clone()
	next.Sequence, next.Revision = 3, 3
	expiring, bareNext := bare.Clone(), bare.Clone()
	expiring.ExpiresAt, bareNext.Sequence = now, 2
	ended := func(s *session.Session) *session.Session {
		s = s.Clone()
		s.TerminatedAt = now
		return s
	}
	ada := &user.User{ID: "u", Organization: "o", Created: now, Password: user.Password{Hash: "x"}}
	key := &user.SecurityKey{ID: "k", Kind: passkey.Passkey, Credential: passkey.Credential{ID: []byte("c")}}
	guard := func(version uint64, state user.State, edit func(*user.Guard)) *user.Guard {
		g := &user.Guard{UserID: "u", Version: version, Changed: now, State: state, PasswordChanged: now}
		edit(g)
		return g
	}
	plain := func(*user.Guard) {}
	failed := func(n int) func(*user.Guard) {
		return func(g *user.Guard) {
			g.Attempts = map[user.Authenticator]user.Attempts{user.AuthTOTP: {Failures: n, LockedUntil: now}}
		}
	}
	active := guard(1, user.StateActive, plain)
	changed := func(state user.State, edit func(*user.Guard)) lifecycle.Change {
		return lifecycle.GuardChange{Old: active, New: guard(2, state, edit)}
	}
	back := func(state user.State) lifecycle.Change {
		return lifecycle.GuardChange{Old: guard(1, state, plain), New: guard(2, user.StateActive, plain)}
	}
	coded := func(g *user.Guard) { g.RecoveryCodes = make([]otp.RecoveryMAC, 1) }
	return []lifecycle.Change{
		lifecycle.SessionChange{New: bare}, lifecycle.SessionChange{New: full},
		lifecycle.SessionChange{Old: bare, New: bareNext}, lifecycle.SessionChange{Old: full, New: next},
		lifecycle.SessionChange{Old: bare, New: ended(bare)}, lifecycle.SessionChange{Old: full, New: ended(full)},
		lifecycle.SessionChange{Old: expiring}, lifecycle.SessionChange{Old: full},
		lifecycle.UserChange{New: ada}, lifecycle.UserChange{Old: ada},
		lifecycle.KeyChange{UserID: "u", New: key}, lifecycle.KeyChange{UserID: "u", Old: key},
		changed(user.StateLocked, func(g *user.Guard) { g.Epoch = 2 }), changed(user.StateInactive, plain),
		changed(user.StateActive, func(g *user.Guard) { g.Agents = map[string]int64{"k": 2} }),
		back(user.StateLocked), back(user.StateInactive), lifecycle.GuardChange{Old: guard(1, user.StateActive, func(g *user.Guard) { g.Epoch = 2 })},
		changed(user.StateActive, func(g *user.Guard) { g.PasswordChanged = now.Add(time.Second) }),
		changed(user.StateActive, failed(10)), changed(user.StateActive, failed(user.HardStop)), changed(user.StateActive, coded),
		lifecycle.GuardChange{Old: guard(1, user.StateActive, coded), New: active},
		lifecycle.RegionChange{
			Region: sending.Region{Channel: sending.SMS, Organization: "o", CallingCode: "+41"}, New: &sending.Standing{Messages: 1, Limit: 1, End: now},
		},
	}
}

// seen returns, for each detail type, how many events there were and how many of them
// had each field.
func seen(t *testing.T) (counts map[string]int, fields map[string]map[string]int) {
	t.Helper()
	s := eventbridgetest.Start(t)
	b := newBus(t, s, 0)
	for _, change := range everything() {
		r := lifecycle.Record{ID: "r", At: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)}
		if c, ok := change.(lifecycle.SessionChange); ok && c.New == nil {
			r.Swept = true
		}
		if _, err := b.Publish(t.Context(), change.Events(r)); err != nil {
			t.Fatal(err)
		}
	}
	counts, fields = map[string]int{}, map[string]map[string]int{}
	for _, e := range s.Events() {
		var detail map[string]any
		if err := json.Unmarshal([]byte(e.Detail), &detail); err != nil {
			t.Fatal(err)
		}
		counts[e.DetailType]++
		if fields[e.DetailType] == nil {
			fields[e.DetailType] = map[string]int{}
		}
		for name := range detail {
			fields[e.DetailType][name]++
		}
	}
	return counts, fields
}

var (
	eventRow = regexp.MustCompile("(?m)^\\| `([a-z_]+\\.[a-z_]+)` \\| [^|]+ \\| ([^|]+) \\|$")
	fieldRow = regexp.MustCompile("(?m)^\\| `([a-zA-Z]+)` \\| ")
)

// TestDocumentHasEveryEventWithItsFields compares docs/events.md with what is
// published: the names in order, which fields each event has, and which of those always.
func TestDocumentHasEveryEventWithItsFields(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	counts, fields := seen(t)
	var names []lifecycle.Name
	all := map[string]bool{}
	for _, row := range eventRow.FindAllStringSubmatch(string(text), -1) {
		names = append(names, lifecycle.Name(row[1]))
		want := map[string]bool{"version": true, "id": true, "time": true} // and whether always
		for field := range strings.SplitSeq(row[2], ", ") {
			optional := strings.HasSuffix(field, "?")
			want[strings.Trim(field, "`?")] = !optional
		}
		got := map[string]bool{}
		for field, n := range fields[row[1]] {
			got[field], all[field] = n == counts[row[1]], true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: documented (-), published (+):\n%s", row[1], diff)
		}
	}
	if diff := cmp.Diff(lifecycle.Names(), names); diff != "" {
		t.Errorf("the code has (-), the document lists (+):\n%s", diff)
	}
	var explained []string
	for _, row := range fieldRow.FindAllStringSubmatch(string(text), -1) {
		explained = append(explained, row[1])
	}
	slices.Sort(explained)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(all)), explained); diff != "" {
		t.Errorf("published (-), explained (+):\n%s", diff)
	}
}
