// Package inbox owns the sender that sends nothing: it keeps messages in memory, for a
// person at a laptop to read and for tests to look into.
//
// What it keeps are the very codes that protect an account. It must never be wired
// where somebody else can ask for them.
package inbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stepup-auth/stepup/pkg/notify"
)

// provider is the name in receipts.
const provider = "inbox"

// DefaultCapacity is how many messages a laptop's inbox keeps.
const DefaultCapacity = 100

// Message is one that was sent.
type Message struct {
	notify.Rendered

	// ID is the message id of the receipt.
	ID     string
	SentAt time.Time
}

// Inbox keeps the newest messages. It is safe for concurrent use.
type Inbox struct {
	capacity int
	now      func() time.Time

	mu       sync.Mutex // guards the rest
	messages []Message  // oldest first
	sent     int
	failures []error
}

// New returns an inbox for that many messages, at least one; the clock tells when they
// were sent.
func New(capacity int, now func() time.Time) *Inbox {
	return &Inbox{capacity: max(capacity, 1), now: now}
}

// Send implements notify.Sender for every channel. It fails only when FailNext said so.
// A message that it has, by the message's own id, it takes only once.
func (b *Inbox) Send(_ context.Context, m notify.Rendered) (notify.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.failures) > 0 {
		err := b.failures[0]
		b.failures = b.failures[1:]
		return notify.Receipt{}, err
	}
	if i := slices.IndexFunc(b.messages, func(known Message) bool { return m.ID != "" && known.Rendered.ID == m.ID }); i >= 0 {
		return notify.Receipt{Provider: provider, MessageID: b.messages[i].ID}, nil
	}
	b.sent++
	id := fmt.Sprintf("%s-%d", provider, b.sent)
	if len(b.messages) == b.capacity {
		b.messages = slices.Delete(b.messages, 0, 1)
	}
	b.messages = append(b.messages, Message{Rendered: m, ID: id, SentAt: b.now()})
	return notify.Receipt{Provider: provider, MessageID: id}, nil
}

// Router sends over every channel into the inbox.
func (b *Inbox) Router() notify.Router { return notify.Router{SMS: b, Email: b} }

// Messages returns what was sent, newest first.
func (b *Inbox) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest := slices.Clone(b.messages)
	slices.Reverse(newest)
	return newest
}

// FailNext makes one more of the sends to come fail with the error, after those that
// earlier calls asked for. Nothing is kept of a send that fails.
func (b *Inbox) FailNext(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, err)
}
