package dynamo_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

func TestWriteChoosesTheCheapestRequest(t *testing.T) {
	t.Parallel()
	for want, ops := range map[string][]table.Op{
		"PutItem":            {table.Put(key, nil, nil)},
		"UpdateItem":         {table.Update(key, nil, table.Set(table.At("a"), "x"))},
		"DeleteItem":         {table.Delete(key, nil)},
		"TransactWriteItems": {table.Check(key, table.Exists())},
	} {
		s, played := scripted(dynamo.Options{}, ok(`{}`))
		if err := s.Write(t.Context(), table.Write{Ops: ops}); err != nil {
			t.Fatal(err)
		}
		if got := played.requests[0].operation; got != want || len(played.requests) != 1 {
			t.Errorf("got %v, want one %s", played.requests, want)
		}
	}
}

func TestTransactionCarriesItsToken(t *testing.T) {
	t.Parallel()
	s, played := scripted(dynamo.Options{}, ok(`{}`))
	if err := s.Write(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if got := played.requests[0].body["ClientRequestToken"]; got != two.Token {
		t.Errorf("token %v", got)
	}
}

func TestReadsAreConsistentExceptOnAnIndex(t *testing.T) {
	t.Parallel()
	s, played := scripted(dynamo.Options{}, ok(`{}`))
	_, getErr := s.Get(t.Context(), key)
	_, batchErr := s.BatchGet(t.Context(), []table.Key{key})
	_, queryErr := s.Query(t.Context(), table.Query{PK: "P"})
	_, indexErr := s.Query(t.Context(), table.Query{Index: "byUser", PK: "P"})
	if err := errors.Join(getErr, batchErr, queryErr, indexErr); err != nil {
		t.Fatal(err)
	}
	batch := played.requests[1].body["RequestItems"].(map[string]any)["table"].(map[string]any)
	got := []any{
		played.requests[0].body["ConsistentRead"], batch["ConsistentRead"],
		played.requests[2].body["ConsistentRead"], played.requests[3].body["ConsistentRead"],
	}
	if diff := cmp.Diff([]any{true, true, true, false}, got); diff != "" {
		t.Errorf("consistent (-want +got):\n%s", diff)
	}
}

func TestTurnedBoundsAskNothing(t *testing.T) {
	t.Parallel()
	s, played := scripted(dynamo.Options{}, ok(`{}`))
	page, err := s.Query(t.Context(), table.Query{PK: "P", From: "b", To: "a"})
	if err != nil || len(page.Rows) > 0 || len(played.requests) > 0 {
		t.Errorf("got %v, %v after %d requests", page, err, len(played.requests))
	}
}

func TestAnEmptyPageMayHaveANext(t *testing.T) {
	t.Parallel()
	last := `"LastEvaluatedKey":{"PK":{"S":"P"},"SK":{"S":"b"},"byUser":{"S":"u"},"born":{"S":"1"}}`
	s, played := scripted(dynamo.Options{}, ok(`{"Items":[],`+last+`}`), ok(`{"Items":[]}`))
	q := table.Query{Index: "byUser", PK: "u"}
	page, err := s.Query(t.Context(), q)
	if err != nil || len(page.Rows) > 0 || page.Next == "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	q.Cursor = page.Next
	if page, err = s.Query(t.Context(), q); err != nil || page.Next != "" {
		t.Fatalf("got %+v, %v", page, err)
	}
	want := map[string]any{"PK": text("P"), "SK": text("b"), "byUser": text("u"), "born": text("1")}
	if diff := cmp.Diff(want, played.requests[1].body["ExclusiveStartKey"]); diff != "" {
		t.Errorf("start key (-want +got):\n%s", diff)
	}
}

func item(sk string) string { return fmt.Sprintf(`{"PK":{"S":"P"},"SK":{"S":%q}}`, sk) }

// batchAnswer has the items that were found and the keys that were not processed.
func batchAnswer(found, unprocessed []string) answer {
	rest := ""
	if len(unprocessed) > 0 {
		rest = `"table":{"Keys":[` + strings.Join(unprocessed, ",") + `]}`
	}
	return ok(`{"Responses":{"table":[` + strings.Join(found, ",") + `]},"UnprocessedKeys":{` + rest + `}}`)
}

func TestUnprocessedKeysAreAskedForAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, played := scripted(dynamo.Options{},
			batchAnswer([]string{item("c")}, []string{item("a"), item("b"), item("none")}),
			batchAnswer(nil, []string{item("a"), item("b"), item("none")}),
			batchAnswer([]string{item("b"), item("a")}, nil),
		)
		start := time.Now()
		var keys []table.Key
		for _, sk := range []string{"a", "none", "b", "c"} {
			keys = append(keys, table.Key{PK: "P", SK: sk})
		}
		got, err := s.BatchGet(t.Context(), keys)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]table.Item{{}, nil, {}, {}}, got); diff != "" {
			t.Errorf("items (-want +got):\n%s", diff)
		}
		if got := time.Since(start); got != 75*time.Millisecond {
			t.Errorf("paused for %v, want 25 ms and 50 ms", got)
		}
		again := played.requests[1].body["RequestItems"].(map[string]any)["table"].(map[string]any)
		if n := len(again["Keys"].([]any)); n != 3 || again["ConsistentRead"] != true {
			t.Errorf("asked again: %v", again)
		}
	})
}

func TestPausesAreJittered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := scripted(dynamo.Options{Jitter: func() float64 { return 0.2 }},
			batchAnswer(nil, []string{item("S")}), batchAnswer([]string{item("S")}, nil))
		start := time.Now()
		if _, err := s.BatchGet(t.Context(), []table.Key{key}); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 5*time.Millisecond {
			t.Errorf("paused for %v, want a fifth of 25 ms", got)
		}
	})
}

func TestUnprocessedKeysAreNotAskedForForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, played := scripted(dynamo.Options{}, batchAnswer(nil, []string{item("S")}))
		_, err := s.BatchGet(t.Context(), []table.Key{key})
		if !errors.Is(err, table.ErrUnavailable) || fault.From(err).RetryAfter != time.Second {
			t.Errorf("got %v", err)
		}
		if len(played.requests) != 8 {
			t.Errorf("%d requests", len(played.requests))
		}

		s, played = scripted(dynamo.Options{CallTimeout: 60 * time.Millisecond}, batchAnswer(nil, []string{item("S")}))
		_, err = s.BatchGet(t.Context(), []table.Key{key})
		if fault.From(err).Kind != fault.DeadlineExceeded || len(played.requests) != 2 {
			t.Errorf("after %d requests: %v", len(played.requests), err)
		}
	})
}
