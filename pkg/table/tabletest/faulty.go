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
	// Hang does not make the call, and answers when the caller's time is over, as an
	// adapter does.
	Hang
	// AnswerLate makes the call, and answers when the caller's time is over.
	AnswerLate
)

// errInjected is the cause of the failures that Faulty makes up, and errEndless of those
// of a call that would wait for ever.
var (
	errInjected = errors.New("injected failure")
	errEndless  = errors.New("the call has no deadline")
)

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

// Inner returns the table that the calls go to.
func (f *Faulty) Inner() table.Table { return f.inner }

// Get implements table.Table.
func (f *Faulty) Get(ctx context.Context, key table.Key) (item table.Item, err error) {
	err = f.decide(ctx, CallGet, func(ctx context.Context) error {
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
	err = f.decide(ctx, CallBatchGet, func(ctx context.Context) error {
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
	err = f.decide(ctx, CallQuery, func(ctx context.Context) error {
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
	return f.decide(ctx, CallWrite, func(ctx context.Context) error { return f.inner.Write(ctx, w) })
}

func (f *Faulty) decide(ctx context.Context, name string, call func(ctx context.Context) error) error {
	f.mu.Lock()
	f.n++
	action := f.hook(f.n, name)
	f.mu.Unlock()
	switch action {
	case Pass:
		return call(ctx)
	case LoseAnswer:
		_ = call(ctx) // whatever it was, the caller does not hear of it
		return table.ErrUnavailable.Wrap(errInjected)
	case Hang:
		return wait(ctx)
	case AnswerLate:
		_ = call(context.WithoutCancel(ctx)) // which the store has, whoever waits for it
		return wait(ctx)
	case Contend:
		if name == CallWrite {
			return &table.Conflict{}
		}
		return table.ErrUnavailable.Wrap(errInjected)
	default:
		return table.ErrUnavailable.Wrap(errInjected)
	}
}

// wait returns when the caller's time is over.
func wait(ctx context.Context) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return table.ErrRefused.Wrap(errEndless)
	}
	<-ctx.Done()
	return table.Interrupted(ctx)
}
