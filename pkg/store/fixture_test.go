package store_test

import (
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/user"
)

// fixtures holds what versions of this package stored, one file for each set of
// attributes. A file is never changed: there may be such items in somebody's table.
const fixtures = "testdata/items"

var keep = flag.String("keep-items", "", "name of a new file in "+fixtures+" with the items of today, such as 2026-11")

// aggregates are one of everything that is read, decided on and written back.
type aggregates struct {
	session *session.Session
	user    *user.User
	intent  *intent.Intent
	usage   sending.Usage
}

func number() sending.Subject { return sending.Subject{Channel: sending.SMS, Address: "+41791234567"} }

// complete has every field set that one item can have beside the others.
func complete() aggregates {
	now := apptest.Epoch()
	receipts := idempotency.Receipts{{
		Name: idempotency.Name{1}, Body: [16]byte{2}, KeyID: "k1", At: now, Sequence: 3, Token: [16]byte{4}, Held: true,
		Sealed: map[string][]byte{"sms": {5}}, Due: []sending.Due{{Purpose: sending.VerifyEmail, URLTemplate: "https://a.example/"}}, LeaseUntil: now,
		Prices: map[sending.Channel]price.Micros{sending.SMS: 7},
		Denied: &fault.Fault{Kind: fault.NotFound, ID: "ID", Text: "text", Bare: true, Counted: true, FailedAttempts: 6, RetryAfter: time.Second},
	}}
	all := aggregates{session: fullSession(), user: withKeys(fullKeys()...), intent: fullIntent()}
	all.session.Factors.Intent = now
	all.session.Factors.Key = session.KeyFactor{VerifiedAt: now, UserVerified: true, Kind: passkey.U2F, DeviceBound: true}
	all.session.Challenges.Keys = []passkey.Challenge{fullChallenge(1)}
	all.session.Challenges.Email.Tries, all.session.Challenges.Email.Region = 1, "+1"
	all.session.Receipts, all.user.Guard.Receipts = receipts, receipts
	all.user.Links = []user.Link{{ProviderID: "p", ExternalID: "x", Name: "Ada"}}
	all.usage = sending.Usage{
		Revision: 1, NextAt: now, Hour: sending.Window{Start: now, Count: 2}, Day: sending.Window{Start: now, Count: 3},
	}
	return all
}

func (a aggregates) write(t *testing.T, tb table.Table) {
	t.Helper()
	s := store.New(tb, rand.Reader)
	save(t, s, nil, a.user)
	saved(t, s, nil, a.intent)
	commit(t, s, session.Change{New: a.session, Sends: []sending.Send{{Subject: number(), New: a.usage}}})
}

func readAggregates(t *testing.T, tb table.Table) aggregates {
	t.Helper()
	s := store.New(tb, rand.Reader)
	ref := session.Ref{SessionID: sessionID, IntentID: fullIntent().ID, Subjects: []sending.Subject{number()}, Depth: session.WholeUser}
	l := load(t, s, ref)
	return aggregates{l.Session, l.User, l.Intent, l.Usage[number()]}
}

// TestItemsOfEarlierVersionsAreReadAndWrittenBackAsTheyWere: an attribute that is read and
// written by another name, or in another form, would be lost with the first step.
func TestItemsOfEarlierVersionsAreReadAndWrittenBackAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, name := range files(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := parse(t, name)
			tb, again := apptest.Bolt(t), apptest.Bolt(t)
			for key, item := range old {
				if err := tb.Write(t.Context(), table.Write{Ops: []table.Op{table.Put(key, item, nil)}}); err != nil {
					t.Fatal(err)
				}
			}
			readAggregates(t, tb).write(t, again)
			wantWithin(t, old, apptest.Dump(t, again))
		})
	}
}

// TestNewestFixtureHasAllThatIsStored asks for a new file when there is something new.
func TestNewestFixtureHasAllThatIsStored(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	complete().write(t, tb)
	if *keep != "" {
		write(t, *keep, tb)
	}
	all := files(t)
	wantWithin(t, apptest.Dump(t, tb), parse(t, all[len(all)-1]))
	if t.Failed() {
		t.Log("items have changed: keep those of today with: go test ./pkg/store -keep-items=2026-12")
	}
}

// wantWithin fails unless each attribute of the items is among the others, with its value. A
// marker is drawn anew for each write.
func wantWithin(t *testing.T, items, others map[table.Key]table.Item) {
	t.Helper()
	for key, item := range items {
		for name, value := range item {
			if other, has := others[key][name]; name != "w" && (!has || !reflect.DeepEqual(other, value)) {
				t.Errorf("%s: attribute %q is %v, want %v", key, name, other, value)
			}
		}
	}
}

func files(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(fixtures, "*.json"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	slices.Sort(all)
	return all
}

// parse reads a file: items by key, "PK/SK", with values as plain spells them.
func parse(t *testing.T, path string) map[table.Key]table.Item {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var raw map[string]map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	if err := d.Decode(&raw); err != nil {
		t.Fatal(err)
	}
	items := make(map[table.Key]table.Item, len(raw))
	for name, item := range raw {
		at := strings.LastIndexByte(name, '/')
		values, ok := spelt(t, item).(map[string]any)
		if at < 0 || !ok {
			t.Fatalf("%s: %q is no item", path, name)
		}
		items[table.Key{PK: name[:at], SK: name[at+1:]}] = values
	}
	return items
}

func write(t *testing.T, name string, tb *bolt.Store) {
	t.Helper()
	raw := make(map[string]any)
	for key, item := range apptest.Dump(t, tb) {
		raw[key.String()] = plain(map[string]any(item))
	}
	text, err := json.MarshalIndent(raw, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(fixtures, name+".json")
	if _, err := os.Stat(path); err == nil {
		t.Fatalf("%s is there already, and stays as it is", path)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plain spells a value as JSON that tells its type: text and bytes by a letter before
// them, whole numbers as text with an i.
func plain(v any) any {
	switch v := v.(type) {
	case string:
		return "s:" + v
	case int64:
		return "i:" + strconv.FormatInt(v, 10)
	case []byte:
		return fmt.Sprintf("x:%x", v)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = plain(e)
		}
		return m
	default:
		return v
	}
}

// spelt is the reverse of plain.
func spelt(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case string:
		return scalar(t, v)
	case []any:
		for i, e := range v {
			v[i] = spelt(t, e)
		}
	case map[string]any:
		for k, e := range v {
			v[k] = spelt(t, e)
		}
	}
	return v
}

func scalar(t *testing.T, text string) any {
	t.Helper()
	letter, rest, _ := strings.Cut(text, ":")
	switch letter {
	case "s":
		return rest
	case "i":
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	case "x":
		b := []byte{}
		if _, err := fmt.Sscanf(rest, "%x", &b); err != nil && rest != "" {
			t.Fatal(err)
		}
		return b
	default:
		t.Fatalf("%q is no value", text)
		return nil
	}
}

// TestFixtureHasEveryField: a field that is added to the domain is added to complete, and
// so to the items of today.
func TestFixtureHasEveryField(t *testing.T) {
	t.Parallel()
	all := complete()
	empty := []string{
		"session.TerminatedAt",                         // with it a session is a tombstone
		"user.Keys[0].Pending",                         // this key is registered
		"user.Keys[1].Name", "user.Keys[1].Credential", // and this one is not yet
	}
	for name, v := range map[string]any{"session": all.session, "user": all.user, "intent": all.intent, "usage": all.usage} {
		for _, path := range unset(reflect.ValueOf(v), name) {
			if !slices.ContainsFunc(empty, func(known string) bool { return strings.HasPrefix(path, known) }) {
				t.Errorf("%s is not set", path)
			}
		}
	}
}

// unset returns the paths of the exported fields that have their zero value.
func unset(v reflect.Value, path string) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unset(v.Elem(), path)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			break
		}
		var all []string
		for i := range v.Len() {
			all = append(all, unset(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
		if v.Len() > 0 {
			return all
		}
	case reflect.Struct:
		if v.IsZero() {
			return []string{path}
		}
		var all []string
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				all = append(all, unset(v.Field(i), path+"."+f.Name)...)
			}
		}
		return all
	default:
	}
	if v.IsZero() {
		return []string{path}
	}
	return nil
}
