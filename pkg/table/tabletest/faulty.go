package tabletest

import (
	"context"
	"errors"
	"sync"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Action is what Faulty does with a call.
type Action uint8

// The actions.
const (
	// Pass lets the call through.
	Pass Action = iota
	// Fail answers table.ErrUnavailable without making the call.
	Fail
	// LoseAnswer makes the call and answers table.ErrUnavailable nevertheless: the
	// write may have happened, and the caller cannot know.
	LoseAnswer
	// Contend answers a Write with a *table.Conflict without failures, as if
	// another write were under way, without making the call. For reads it is Fail.
	Contend
)

// errInjected is the cause of the failures that Faulty makes up.
var errInjected = errors.New("injected failure")

// Faulty is a table whose calls fail as a hook decides, on their way to another one.
type Faulty struct {
	inner table.Table
	hook  func(n int, call string) Action

	mu sync.Mutex // guards n and serializes the hook
	n  int
}

var _ table.Table = (*Faulty)(nil)

// NewFaulty returns a faulty table in front of inner. The hook is asked before each
// call: n counts the calls of all methods from 1, and call is the method's name, one
// of CallGet and so on. The hook is never run twice at once.
func NewFaulty(inner table.Table, hook func(n int, call string) Action) *Faulty {
	return &Faulty{inner: inner, hook: hook}
}

// Get implements table.Table.
func (f *Faulty) Get(ctx context.Context, key table.Key) (item table.Item, err error) {
	err = f.decide(CallGet, func() error {
		item, err = f.inner.Get(ctx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	return item, nil
}

// BatchGet implements table.Table.
func (f *Faulty) BatchGet(ctx context.Context, keys []table.Key) (items []table.Item, err error) {
	err = f.decide(CallBatchGet, func() error {
		items, err = f.inner.BatchGet(ctx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// Query implements table.Table.
func (f *Faulty) Query(ctx context.Context, q table.Query) (page table.Page, err error) {
	err = f.decide(CallQuery, func() error {
		page, err = f.inner.Query(ctx, q)
		return err
	})
	if err != nil {
		return table.Page{}, err
	}
	return page, nil
}

// Write implements table.Table.
func (f *Faulty) Write(ctx context.Context, w table.Write) error {
	return f.decide(CallWrite, func() error { return f.inner.Write(ctx, w) })
}

func (f *Faulty) decide(name string, call func() error) error {
	f.mu.Lock()
	f.n++
	action := f.hook(f.n, name)
	f.mu.Unlock()
	switch action {
	case Pass:
		return call()
	case LoseAnswer:
		_ = call() // whatever it was, the caller does not hear of it
		return table.ErrUnavailable.Wrap(errInjected)
	case Contend:
		if name == CallWrite {
			return &table.Conflict{}
		}
		return table.ErrUnavailable.Wrap(errInjected)
	default:
		return table.ErrUnavailable.Wrap(errInjected)
	}
}
