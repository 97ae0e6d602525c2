package bench

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// errStock says that a worker has nothing left to work on; the operation ends early for it, which is no fault.
var errStock = errors.New("nothing left")

// taken is what a measurement took: every latency, sorted, and the time from start to the last answer.
type taken struct {
	latencies []time.Duration
	elapsed   time.Duration
}

// drive lets every worker run one operation after the other for a while. A worker ends at its first error; the first one of all is returned beside what was
// measured.
func drive(ctx context.Context, workers []*worker, run func(context.Context, *worker) error, d time.Duration) (taken, error) {
	var (
		wait  sync.WaitGroup
		lists = make([][]time.Duration, len(workers))
		errs  = make([]error, len(workers))
		start = time.Now()
		end   = start.Add(d)
	)
	for i, w := range workers {
		wait.Go(func() {
			list := make([]time.Duration, 0, 1<<14)
			for began := time.Now(); began.Before(end); {
				if errs[i] = run(ctx, w); errs[i] != nil {
					break
				}
				done := time.Now()
				list = append(list, done.Sub(began))
				began = done
			}
			lists[i] = list
		})
	}
	wait.Wait()
	t := taken{latencies: slices.Concat(lists...), elapsed: time.Since(start)}
	slices.Sort(t.latencies)
	for _, err := range errs {
		if err != nil && !errors.Is(err, errStock) {
			return t, err
		}
	}
	return t, nil
}

// each runs a step once for every worker, all at once, and returns the first error.
func each(ctx context.Context, workers []*worker, step func(context.Context, *worker) error) error {
	var wait sync.WaitGroup
	errs := make([]error, len(workers))
	for i, w := range workers {
		wait.Go(func() { errs[i] = step(ctx, w) })
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// percentile is the nearest rank: the smallest latency that p percent of all do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}
