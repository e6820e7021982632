package tabletest

import (
	"context"
	"sync"
	"time"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Names of the port's methods, as Faulty's hook receives them.
const (
	CallGet      = "Get"
	CallBatchGet = "BatchGet"
	CallQuery    = "Query"
	CallWrite    = "Write"
)

// Calls counts the calls of each method of the port.
type Calls struct {
	Get, BatchGet, Query, Write int
}

// Total is the number of all calls.
func (c Calls) Total() int { return c.Get + c.BatchGet + c.Query + c.Write }

// Meter is a table that counts the calls on their way to another one. With a delay
// each call takes that long as well: in the fake time of testing/synctest, what a
// function takes is then the number of its sequential round trips times the delay.
type Meter struct {
	inner table.Table
	delay time.Duration

	mu    sync.Mutex // guards calls
	calls Calls
}

var _ table.Table = (*Meter)(nil)

// NewMeter returns a meter in front of inner.
func NewMeter(inner table.Table, delay time.Duration) *Meter {
	return &Meter{inner: inner, delay: delay}
}

// Calls returns how often the methods were called since the last Reset.
func (m *Meter) Calls() Calls {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

// Reset sets all counts to zero.
func (m *Meter) Reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = Calls{}
}

// Get implements table.Table.
func (m *Meter) Get(ctx context.Context, key table.Key) (table.Item, error) {
	if err := m.count(ctx, func(c *Calls) { c.Get++ }); err != nil {
		return nil, err
	}
	return m.inner.Get(ctx, key)
}

// BatchGet implements table.Table.
func (m *Meter) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	if err := m.count(ctx, func(c *Calls) { c.BatchGet++ }); err != nil {
		return nil, err
	}
	return m.inner.BatchGet(ctx, keys)
}

// Query implements table.Table.
func (m *Meter) Query(ctx context.Context, q table.Query) (table.Page, error) {
	if err := m.count(ctx, func(c *Calls) { c.Query++ }); err != nil {
		return table.Page{}, err
	}
	return m.inner.Query(ctx, q)
}

// Write implements table.Table.
func (m *Meter) Write(ctx context.Context, w table.Write) error {
	if err := m.count(ctx, func(c *Calls) { c.Write++ }); err != nil {
		return err
	}
	return m.inner.Write(ctx, w)
}

// count counts a call and lets its delay pass, or as much of it as the context
// allows.
func (m *Meter) count(ctx context.Context, add func(*Calls)) error {
	m.mu.Lock()
	add(&m.calls)
	m.mu.Unlock()
	if m.delay <= 0 {
		return nil
	}
	timer := time.NewTimer(m.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return table.Interrupted(ctx)
	}
}
