package access_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// office is where keys are issued and shown, with the store under it counted.
type office struct {
	*access.Keys

	meter *tabletest.Meter
	clock *apptest.Clock
}

const remember = 30 * time.Second

func newOffice(t testing.TB, tb table.Table) office {
	t.Helper()
	meter := tabletest.NewMeter(tb, 0)
	s := apptest.New(t, apptest.Options{Table: meter})
	return office{s.Keys, meter, s.Clock}
}

// another process of the same deployment.
func (o office) another(t testing.TB, s *apptest.Service) *access.Keys {
	t.Helper()
	return access.NewKeys(access.KeysConfig{
		Store: store.New(o.meter, rand.Reader), Ring: s.Ring, Now: o.clock.Now, Random: rand.Reader, Remember: remember,
	})
}

func (o office) issue(t testing.TB, n access.NewKey) (access.Key, string) {
	t.Helper()
	key, text, err := o.Issue(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

// refused reports whether the credential gets the one fault of every bad key.
func refused(err error) bool {
	return errors.Is(err, fault.New(fault.Unauthenticated, "AUTH-7fs1e", "Errors.Token.Invalid"))
}

func TestAKeyWorksFromIssueToRevocation(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		o := newOffice(t, tb)
		key, text := o.issue(t, access.NewKey{Name: "login", Role: access.OrgOwner, Organization: "acme"})
		caller, err := o.Authenticate(t.Context(), text)
		if want := (access.Caller{ID: key.ID, Role: access.OrgOwner, Organization: "acme"}); err != nil || caller != want {
			t.Errorf("got %+v, %v, want %+v", caller, err, want)
		}
		if err := o.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Authenticate(t.Context(), text); !refused(err) {
			t.Errorf("a revoked key: got %v", err)
		}
		if err := o.Revoke(t.Context(), key.ID); err != nil {
			t.Errorf("a second revocation: got %v", err)
		}
	})
}

func TestKeysAreListedRevokedOnesToo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		o := newOffice(t, tb)
		if keys, err := o.List(t.Context()); err != nil || len(keys) != 0 {
			t.Fatalf("before any: got %v, %v", keys, err)
		}
		first, _ := o.issue(t, access.NewKey{Name: "first", Role: access.IAMOwner})
		second, _ := o.issue(t, access.NewKey{Name: "second", Role: access.OrgOwner, Organization: "acme"})
		o.clock.Advance(time.Minute)
		if err := o.Revoke(t.Context(), second.ID); err != nil {
			t.Fatal(err)
		}
		second.RevokedAt = o.clock.Now()
		got, err := o.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		byName := cmpopts.SortSlices(func(a, b access.Key) bool { return a.Name < b.Name })
		if diff := cmp.Diff([]access.Key{first, second}, got, byName); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if first.Created != apptest.Epoch() {
			t.Errorf("created at %v", first.Created)
		}
	})
}

func TestAnUnknownKeyIsNotRevoked(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		o := newOffice(t, tb)
		if err := o.Revoke(t.Context(), "unknown"); fault.From(err).ID != "STEPUP-key" {
			t.Errorf("got %v", err)
		}
		if keys, err := o.List(t.Context()); err != nil || len(keys) != 0 {
			t.Errorf("the revocation left %v, %v", keys, err)
		}
	})
}

func TestAKeyIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		o := newOffice(t, tb)
		key, text := o.issue(t, access.NewKey{Role: access.IAMOwner})
		ask := func(want int) {
			t.Helper()
			o.meter.Reset()
			if _, err := o.Authenticate(t.Context(), text); err != nil {
				t.Error(err)
			}
			if got := o.meter.Calls(); got.Get != want || got.Total() != want {
				t.Errorf("got %+v, want %d reads", got, want)
			}
		}
		ask(1)
		ask(0)
		o.clock.Advance(remember - time.Nanosecond)
		ask(0)
		o.clock.Advance(time.Nanosecond)
		ask(1)
		if err := o.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
	})
}

// between runs something after the next read of a key, and before its reader goes on.
type between struct {
	access.KeyStore

	then func()
}

func (b *between) Key(ctx context.Context, id string) (*access.Key, error) {
	key, err := b.KeyStore.Key(ctx, id)
	if then := b.then; then != nil {
		b.then = nil
		then()
	}
	return key, err
}

func TestAKeyThatIsRevokedWhileItIsReadIsNotRemembered(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	slow := &between{KeyStore: store.New(s.Table, rand.Reader)}
	keys := access.NewKeys(access.KeysConfig{Store: slow, Ring: s.Ring, Now: s.Clock.Now, Random: rand.Reader, Remember: remember})
	key, text, err := keys.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	slow.then = func() {
		if err := keys.Revoke(t.Context(), key.ID); err != nil {
			t.Error(err)
		}
	}
	if _, err := keys.Authenticate(t.Context(), text); err != nil {
		t.Errorf("read before the revocation: %v", err)
	}
	if _, err := keys.Authenticate(t.Context(), text); !refused(err) {
		t.Errorf("after the revocation: %v", err)
	}
}

func TestARevocationReachesOtherProcessesWhenTheyForget(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		meter := tabletest.NewMeter(tb, 0)
		s := apptest.New(t, apptest.Options{Table: meter})
		here := office{s.Keys, meter, s.Clock}
		there := here.another(t, s)
		key, text := here.issue(t, access.NewKey{Role: access.IAMOwner})
		if _, err := there.Authenticate(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		if err := here.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := here.Authenticate(t.Context(), text); !refused(err) {
			t.Errorf("here: got %v", err)
		}
		s.Clock.Advance(remember - time.Nanosecond)
		if _, err := there.Authenticate(t.Context(), text); err != nil {
			t.Errorf("there, just before it forgets: got %v", err)
		}
		s.Clock.Advance(time.Nanosecond)
		if _, err := there.Authenticate(t.Context(), text); !refused(err) {
			t.Errorf("there, when it forgets: got %v", err)
		}
	})
}

func TestAForgedKeyCostsNoCallOfTheStore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, apptest.Bolt(t))
	_, text := o.issue(t, access.NewKey{Role: access.IAMOwner})
	_, foreign := newOffice(t, apptest.Bolt(t)).issue(t, access.NewKey{Role: access.IAMOwner})
	forgeries := map[string]string{
		"nothing": "", "the prefix": "stepup_", "garbage": "stepup_garbage", "no base64": "stepup_%%%",
		"another keyring": foreign, "no prefix": strings.TrimPrefix(text, "stepup_"), "two prefixes": "stepup_" + text,
		"cut": text[:len(text)-4], "longer": text + "AAAA", "padding": text + "=", "a line break": text + "\n",
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "stepup_"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		flipped := slices.Clone(raw)
		flipped[i] ^= 1
		forgeries["bit flipped in byte "+string(rune('A'+i))] = "stepup_" + base64.RawURLEncoding.EncodeToString(flipped)
	}
	o.meter.Reset()
	for name, forged := range forgeries {
		if _, err := o.Authenticate(t.Context(), forged); !refused(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if n := o.meter.Calls().Total(); n != 0 {
		t.Errorf("%d calls of the store", n)
	}
}

func TestAGenuineKeyThatIsNotStoredIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	elsewhere := access.NewKeys(access.KeysConfig{
		Store: store.New(apptest.Bolt(t), rand.Reader), Ring: s.Ring, Now: s.Clock.Now, Random: rand.Reader,
	})
	_, text, err := elsewhere.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Keys.Authenticate(t.Context(), text); !refused(err) {
		t.Errorf("got %v", err)
	}
}

// sameID draws the id of every key alike, and the secret differently.
type sameID struct{ n byte }

func (s *sameID) Read(b []byte) (int, error) {
	s.n++
	copy(b, bytes.Repeat([]byte{s.n}, len(b)))
	copy(b, bytes.Repeat([]byte{7}, 16))
	return len(b), nil
}

func TestASecretOpensOnlyItsOwnKey(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	random := &sameID{}
	keysOn := func(tb table.Table) *access.Keys {
		return access.NewKeys(access.KeysConfig{Store: store.New(tb, rand.Reader), Ring: s.Ring, Now: s.Clock.Now, Random: random})
	}
	here, there := keysOn(s.Table), keysOn(apptest.Bolt(t))
	stored, good, err := here.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	twin, bad, err := there.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if err != nil || twin.ID != stored.ID || good == bad {
		t.Fatalf("no twins: %s and %s, %v", stored.ID, twin.ID, err)
	}
	if _, err := here.Authenticate(t.Context(), good); err != nil {
		t.Error(err)
	}
	if _, err := here.Authenticate(t.Context(), bad); !refused(err) {
		t.Errorf("another secret under the id: got %v", err)
	}
}

func TestARoleAndItsOrganizationMustFit(t *testing.T) {
	t.Parallel()
	o := newOffice(t, apptest.Bolt(t))
	for _, tc := range []struct {
		name string
		key  access.NewKey
		id   string
	}{
		{"no role", access.NewKey{}, "STEPUP-key-role"},
		{"an unknown role", access.NewKey{Role: "ROOT"}, "STEPUP-key-role"},
		{"a role per organization without one", access.NewKey{Role: access.OrgOwner}, "STEPUP-key-organization"},
		{"an instance's role with an organization", access.NewKey{Role: access.IAMOwner, Organization: "acme"}, "STEPUP-key-organization"},
	} {
		_, text, err := o.Issue(t.Context(), tc.key)
		if f := fault.From(err); text != "" || f == nil || f.ID != tc.id || f.Kind != fault.InvalidArgument {
			t.Errorf("%s: got %q, %v", tc.name, text, err)
		}
	}
	if keys, err := o.List(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("refused keys were stored: %v, %v", keys, err)
	}
	for _, role := range access.Roles() {
		organization := ""
		if role.PerOrganization() {
			organization = "acme"
		}
		o.issue(t, access.NewKey{Role: role, Organization: organization})
	}
}

func TestTheStoreHoldsNoSecretOfAKey(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	o := newOffice(t, tb)
	_, text := o.issue(t, access.NewKey{Role: access.IAMOwner})
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, "stepup_"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = tb.Dump(t.Context(), func(r table.Row) error {
		for _, value := range r.Attrs {
			stored, ok := value.([]byte)
			if !ok {
				continue
			}
			found++
			for i := range len(raw) - 8 {
				if bytes.Contains(stored, raw[i:i+8]) {
					t.Errorf("%s holds bytes %d to %d of the key", r.Key, i, i+8)
				}
			}
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d binary values in the store, %v", found, err)
	}
}

func TestAFailureOfTheStoreIsNotARefusal(t *testing.T) {
	t.Parallel()
	broken := false
	tb := tabletest.NewFaulty(apptest.Bolt(t), func(int, string) tabletest.Action {
		if broken {
			return tabletest.Fail
		}
		return tabletest.Pass
	})
	o := newOffice(t, tb)
	key, text := o.issue(t, access.NewKey{Role: access.IAMOwner})
	broken = true
	_, authenticated := o.Authenticate(t.Context(), text)
	_, _, issued := o.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	_, listed := o.List(t.Context())
	for name, err := range map[string]error{
		"authenticate": authenticated, "issue": issued, "list": listed, "revoke": o.Revoke(t.Context(), key.ID),
	} {
		if !errors.Is(err, table.ErrUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestWithoutRandomnessThereIsNoKey(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	keys := access.NewKeys(access.KeysConfig{Store: store.New(s.Table, rand.Reader), Ring: s.Ring, Now: s.Clock.Now, Random: strings.NewReader("short")})
	if _, text, err := keys.Issue(t.Context(), access.NewKey{Role: access.IAMOwner}); err == nil || text != "" {
		t.Errorf("got %q, %v", text, err)
	}
}

func FuzzAuthenticate(f *testing.F) {
	o := newOffice(f, apptest.Bolt(f))
	_, text, err := o.Issue(context.Background(), access.NewKey{Role: access.IAMOwner})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{text, text[:40], "stepup_", "stepup_AAAA", "Bearer", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, presented string) {
		if _, err := o.Authenticate(t.Context(), presented); presented != text && !refused(err) {
			t.Errorf("%q: got %v", presented, err)
		}
	})
}
