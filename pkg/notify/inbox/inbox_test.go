package inbox_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
)

// clock is one second later whenever it is read.
func clock() func() time.Time {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("CET", 3600))
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func text(code string) notify.Rendered {
	return notify.Rendered{Kind: notify.OTPSMS, Channel: notify.SMS, To: "+41446681800", Code: code, Text: code + " is your code."}
}

func send(t *testing.T, b *inbox.Inbox, m notify.Rendered) notify.Receipt {
	t.Helper()
	receipt, err := b.Send(t.Context(), m)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	return receipt
}

func codes(b *inbox.Inbox) []string {
	var all []string
	for _, m := range b.Messages() {
		all = append(all, m.Code)
	}
	return all
}

func TestNewestMessagesAreKeptNewestFirst(t *testing.T) {
	t.Parallel()
	b := inbox.New(3, clock())
	for i := range 5 {
		if got, want := send(t, b, text(fmt.Sprint(i))), (notify.Receipt{Provider: "inbox", MessageID: fmt.Sprintf("inbox-%d", i+1)}); got != want {
			t.Errorf("receipt = %v, want %v", got, want)
		}
	}
	if diff := cmp.Diff([]string{"4", "3", "2"}, codes(b)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if newest := b.Messages()[0]; newest.ID != "inbox-5" || newest.SentAt.Unix() != clock()().Unix()+4 {
		t.Errorf("newest = %s at %v", newest.ID, newest.SentAt)
	}
}

func TestInboxKeepsAtLeastOne(t *testing.T) {
	t.Parallel()
	b := inbox.New(0, clock())
	send(t, b, text("1"))
	send(t, b, text("2"))
	if diff := cmp.Diff([]string{"2"}, codes(b)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestFailuresComeInTheirOrderAndKeepNothing(t *testing.T) {
	t.Parallel()
	b := inbox.New(3, clock())
	b.FailNext(notify.ErrSMSOptedOut)
	b.FailNext(notify.ErrSMSUnconfirmed)
	for _, want := range []error{notify.ErrSMSOptedOut, notify.ErrSMSUnconfirmed, nil} {
		if _, err := b.Send(t.Context(), text("1")); !errors.Is(err, want) {
			t.Errorf("Send = %v, want %v", err, want)
		}
	}
	if got := len(b.Messages()); got != 1 {
		t.Errorf("%d messages, want the one that was sent", got)
	}
}

func TestReaderCannotChangeTheInbox(t *testing.T) {
	t.Parallel()
	b := inbox.New(3, clock())
	send(t, b, text("1"))
	b.Messages()[0].Code = "2"
	if diff := cmp.Diff([]string{"1"}, codes(b)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func get(b *inbox.Inbox, method string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(method, inbox.Path, nil))
	return w
}

func TestPageShowsTheInboxAsJSON(t *testing.T) {
	t.Parallel()
	b := inbox.New(3, clock())
	send(t, b, text("12345678"))
	send(t, b, notify.Rendered{
		Kind: notify.VerifyEmail, Channel: notify.Email, To: "mini@mouse.example.com", Code: "ABCDEF",
		Subject: "Confirm", Text: "ABCDEF", HTML: "<p>ABCDEF</p>",
	})
	w := get(b, http.MethodGet)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("answer = %d %v", w.Code, w.Header())
	}
	var got any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("body %s: %v", w.Body, err)
	}
	want := map[string]any{"messages": []any{
		map[string]any{
			"id": "inbox-2", "kind": "verify-email", "channel": "email", "to": "mini@mouse.example.com", "code": "ABCDEF",
			"subject": "Confirm", "text": "ABCDEF", "html": "<p>ABCDEF</p>", "sentAt": "2026-01-02T02:04:07Z",
		},
		map[string]any{
			"id": "inbox-1", "kind": "otp-sms", "channel": "sms", "to": "+41446681800", "code": "12345678",
			"text": "12345678 is your code.", "sentAt": "2026-01-02T02:04:06Z",
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("inbox (-want +got):\n%s", diff)
	}
}

func TestEmptyInboxIsAnEmptyList(t *testing.T) {
	t.Parallel()
	if got := get(inbox.New(1, clock()), http.MethodGet).Body.String(); got != `{"messages":[]}` {
		t.Errorf("inbox = %s", got)
	}
}

func TestInboxIsOnlyRead(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		if w := get(inbox.New(1, clock()), method); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s = %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestManySendAndReadAtOnce(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 50
	b := inbox.New(10, clock())
	ids := make(chan string, writers*each)
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				receipt, err := b.Send(t.Context(), text("1"))
				if err != nil || len(b.Messages()) == 0 {
					t.Errorf("Send: %v", err)
				}
				ids <- receipt.MessageID
			}
		})
	}
	group.Wait()
	close(ids)
	distinct := map[string]bool{}
	for id := range ids {
		distinct[id] = true
	}
	if len(distinct) != writers*each || len(b.Messages()) != 10 {
		t.Errorf("%d ids and %d messages, want %d and 10", len(distinct), len(b.Messages()), writers*each)
	}
}
