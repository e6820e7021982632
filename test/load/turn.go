package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// turn repeats a call by so many clients at the same time until the slice is over. Each
// client has people of its own.
func (w *world) turn(ctx context.Context, c call, clients int, slice time.Duration) (sample, error) {
	var sum sample
	for sum.wall < slice {
		w.clock.advance(otp.Step) // brings the next code
		if err := w.everybody(ctx, c.prepare); err != nil {
			return sample{}, err
		}
		one, err := w.batch(ctx, c, clients, slice-sum.wall)
		if err != nil {
			return sample{}, err
		}
		sum.add(one)
	}
	return sum, nil
}

func (w *world) everybody(ctx context.Context, do func(context.Context, *world, int) error) error {
	if do == nil {
		return nil
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(8)
	for i := range slots {
		work.Go(func() error { return do(ctx, w, i) })
	}
	return work.Wait()
}

// batch measures until the slice is over, one call of each client at least; a call that
// is possible once, for each person at most once.
func (w *world) batch(ctx context.Context, c call, clients int, slice time.Duration) (sample, error) {
	took := make([][]time.Duration, clients)
	var over atomic.Bool
	var refused atomic.Int64
	timer := time.AfterFunc(slice, func() { over.Store(true) })
	defer timer.Stop()
	work, ctx := errgroup.WithContext(ctx)
	cpu, begin := cpuTime(), time.Now()
	for n := range clients {
		work.Go(func() error {
			for i := n; i == n || !over.Load() && (i < slots || !c.once); i += clients {
				began := time.Now()
				err := c.do(ctx, w, i%slots)
				if errors.Is(err, errBusy) {
					refused.Add(1)
					continue
				}
				if err != nil {
					return err
				}
				took[n] = append(took[n], time.Since(began))
			}
			return nil
		})
	}
	err := work.Wait()
	s := sample{wall: time.Since(begin), cpu: cpuTime() - cpu, refused: int(refused.Load())}
	for _, of := range took {
		s.took = append(s.took, of...)
	}
	return s, err
}
