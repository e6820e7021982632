package idempotency_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/sending"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func newRing(t *testing.T) *keyring.Ring {
	t.Helper()
	text, err := keyring.Generate(rand.Reader, "k1")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func request(key string) idempotency.Request {
	return idempotency.Request{Caller: "key login", Key: key, Operation: "Set", Body: []byte("password")}
}

func receipt(t *testing.T, ring *keyring.Ring, r idempotency.Request, at time.Time) idempotency.Receipt {
	t.Helper()
	made, err := idempotency.NewReceipt(ring, r, at)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestRepetitionIsKnownByCallerKeyOperationAndBody(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	known := idempotency.Receipts{receipt(t, ring, request("a"), noon)}
	for name, row := range map[string]struct {
		change func(*idempotency.Request)
		found  bool
		err    error
	}{
		"the same":          {func(*idempotency.Request) {}, true, nil},
		"without a name":    {func(r *idempotency.Request) { r.Key = "" }, false, nil},
		"another key":       {func(r *idempotency.Request) { r.Key = "b" }, false, nil},
		"another caller":    {func(r *idempotency.Request) { r.Caller = "user login" }, false, nil},
		"parts moved":       {func(r *idempotency.Request) { r.Caller, r.Key = "key logina", "" }, false, nil},
		"another operation": {func(r *idempotency.Request) { r.Operation = "Create" }, false, idempotency.ErrReused},
		"another body":      {func(r *idempotency.Request) { r.Body = []byte("passwort") }, false, idempotency.ErrReused},
		"no body":           {func(r *idempotency.Request) { r.Body = nil }, false, idempotency.ErrReused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("a")
			row.change(&r)
			found, err := known.Find(ring, r)
			if (found != nil) != row.found || !errors.Is(err, row.err) {
				t.Errorf("found %v, err %v", found, err)
			}
		})
	}
}

// TestBodyIsNotKept: a digest without a key would let whoever reads the store guess the
// password in the body.
func TestBodyIsNotKept(t *testing.T) {
	t.Parallel()
	one, other := receipt(t, newRing(t), request("a"), noon), receipt(t, newRing(t), request("a"), noon)
	if one.Body == other.Body {
		t.Error("the digest of a body does not depend on the keyring")
	}
	if one.Name != other.Name {
		t.Error("the name of a request depends on the keyring, and changes when that is rotated")
	}
}

func TestReceiptsAreForgottenByAgeAndByNumber(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	var all idempotency.Receipts
	for i := range idempotency.Kept + 1 {
		all = all.With(receipt(t, ring, request(fmt.Sprint(i)), noon), noon)
	}
	if first, err := all.Find(ring, request("0")); first != nil || err != nil || len(all) != idempotency.Kept {
		t.Errorf("%d receipts are kept, the first among them: %v, %v", len(all), first, err)
	}
	for _, row := range []struct {
		later time.Duration
		want  int
	}{{idempotency.Life, idempotency.Kept}, {idempotency.Life + 1, 1}} {
		now := noon.Add(row.later)
		if got := len(all.With(receipt(t, ring, request("new"), now), now)); got != row.want {
			t.Errorf("after %v there are %d receipts, want %d", row.later, got, row.want)
		}
	}
}

func TestReceiptsAreForgottenBeforeTheirAnswersFillTheItem(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	var all idempotency.Receipts
	for i, size := range []int{20 << 10, 20 << 10, 20 << 10, 100, 20 << 10, 90 << 10} {
		r := receipt(t, ring, request(fmt.Sprint(i)), noon)
		if err := r.Seal(ring, rand.Reader, "options", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		all = all.With(r, noon)
		if want := []int{1, 2, 3, 4, 4, 1}[i]; len(all) != want || all[len(all)-1].Name != r.Name {
			t.Errorf("after %d there are %d receipts, want %d", i+1, len(all), want)
		}
	}
}

func TestNewerReceiptTakesThePlaceOfTheOlder(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	first := receipt(t, ring, request("a"), noon)
	all := idempotency.Receipts{}.With(first, noon)
	first.Sequence = 7
	replaced := all.With(first, noon)
	if len(replaced) != 1 || replaced[0].Sequence != 7 || all[0].Sequence != 0 {
		t.Errorf("got %v from %v", replaced, all)
	}
}

func TestSecretsOfAnAnswerOpenOnlyInTheirPlace(t *testing.T) {
	t.Parallel()
	ring := newRing(t)
	kept, other := receipt(t, ring, request("a"), noon), receipt(t, ring, request("b"), noon)
	if err := kept.Seal(ring, rand.Reader, "sms", []byte("12345678")); err != nil {
		t.Fatal(err)
	}
	if got, err := kept.Open(ring, "sms"); string(got) != "12345678" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := kept.Open(ring, "email"); got != nil || err != nil {
		t.Errorf("of a secret that is not there: %q, %v", got, err)
	}
	other.Sealed = map[string][]byte{"sms": kept.Sealed["sms"]}
	kept.Sealed["email"] = kept.Sealed["sms"]
	for _, moved := range []struct {
		receipt idempotency.Receipt
		name    string
	}{{other, "sms"}, {kept, "email"}} {
		if got, err := moved.receipt.Open(ring, moved.name); err == nil {
			t.Errorf("a secret that was moved opens: %q", got)
		}
	}
}

func TestMessagesAreOneSendersAtATime(t *testing.T) {
	t.Parallel()
	r := receipt(t, newRing(t), request("a"), noon)
	if err := r.Running(noon); err != nil {
		t.Errorf("nothing is due: %v", err)
	}
	r.Owe([]sending.Due{{Purpose: sending.OTPSMS}}, noon)
	if err := r.Running(noon.Add(idempotency.Lease - time.Second)); !errors.Is(err, idempotency.ErrRunning) {
		t.Errorf("within the lease: %v", err)
	}
	if err := r.Running(noon.Add(idempotency.Lease)); err != nil {
		t.Errorf("after the lease: %v", err)
	}
	r.Owe(nil, noon)
	if err := r.Running(noon); err != nil {
		t.Errorf("when all is sent: %v", err)
	}
}
