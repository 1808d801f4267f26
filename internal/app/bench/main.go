// Command bench measures durable runs of five steps beside DBOS Transact, on SQLite
// and on PostgreSQL: each step's result is on the disk before the next step begins.
//
//	go run . [-rounds 5] [-runs 400]
//
// Both have the same server, the same disk and as many workers, and take turns; the
// figures are medians of the rounds. The processor time is this process's; that of
// PostgreSQL's server is not in it. The exit status is 1 if a bar is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/knowngood/knowngood/internal/store/pgtest"
)

const (
	steps   = 5
	account = "111122223333"
)

// answer is what a step's call gives.
func answer() map[string]any {
	return map[string]any{"Account": account, "Arn": "arn:aws:iam::111122223333:user/bench", "UserId": "AIDAEXAMPLE"}
}

// contender runs five steps. n is a number that no other run of it has.
type contender interface {
	run(ctx context.Context, n int) error
	close() error
}

// pair is what is compared on one database.
type pair struct {
	name         string
	ours, theirs contender
	bar          float64 // at 16 workers
}

func main() {
	rounds := flag.Int("rounds", 5, "how often each one's turn comes")
	runs := flag.Int("runs", 400, "runs in a turn")
	flag.Parse()
	met, err := bench(context.Background(), *rounds, *runs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

func bench(ctx context.Context, rounds, runs int) (met bool, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	server, err := pgtest.Start()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	url, err := server.NewDatabase(ctx)
	if err != nil {
		return false, err
	}
	onDisk := pair{name: "SQLite", bar: 1.5}
	onServer := pair{name: "PostgreSQL", bar: 1.2}
	for _, c := range []struct {
		to    *contender
		start func(context.Context, string) (contender, error)
		at    string
	}{{&onDisk.ours, oursSQLite, dir}, {&onDisk.theirs, transactSQLite, dir}, {&onServer.ours, oursPostgres, url}, {&onServer.theirs, transactPostgres, url}} {
		if *c.to, err = c.start(ctx, c.at); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, (*c.to).close()) }()
	}
	met = true
	for _, p := range []pair{onDisk, onServer} {
		for _, workers := range []int{1, 16, 64} {
			r, err := p.compare(ctx, workers, rounds, runs)
			if err != nil {
				return false, err
			}
			fmt.Printf("%-10s %2d workers: ours %5.0f runs/s, DBOS %5.0f: %.2f times; processor time a run %.2f ms and %.2f ms", p.name, workers, r.ours.rate, r.theirs.rate, r.ours.rate/r.theirs.rate, ms(r.ours.cpu), ms(r.theirs.cpu))
			if workers == 16 {
				ok := r.ours.rate >= p.bar*r.theirs.rate && r.ours.cpu <= r.theirs.cpu
				met = met && ok
				fmt.Printf("; bar %.1f times and no more processor time: %s", p.bar, map[bool]string{true: "met", false: "MISSED"}[ok])
			}
			fmt.Println()
		}
	}
	return met, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// figure is the median of rounds.
type figure struct {
	rate float64       // runs a second
	cpu  time.Duration // of this process, a run
}

type result struct{ ours, theirs figure }

var number atomic.Int64

// compare lets both run in turn.
func (p pair) compare(ctx context.Context, workers, rounds, runs int) (result, error) {
	var ours, theirs []figure
	for range rounds {
		for _, c := range []struct {
			who contender
			to  *[]figure
		}{{p.ours, &ours}, {p.theirs, &theirs}} {
			f, err := turn(ctx, c.who, workers, runs)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", p.name, err)
			}
			*c.to = append(*c.to, f)
		}
	}
	return result{median(ours), median(theirs)}, nil
}

func median(all []figure) figure {
	var rates []float64
	var cpus []time.Duration
	for _, f := range all {
		rates, cpus = append(rates, f.rate), append(cpus, f.cpu)
	}
	slices.Sort(rates)
	slices.Sort(cpus)
	return figure{rates[len(rates)/2], cpus[len(cpus)/2]}
}

// turn makes a number of runs with a number of workers.
func turn(ctx context.Context, c contender, workers, runs int) (figure, error) {
	began, used := time.Now(), cpu()
	var left atomic.Int64
	left.Store(int64(runs))
	var wg sync.WaitGroup
	failures := make(chan error, workers)
	for range workers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := c.run(ctx, int(number.Add(1))); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failures:
		return figure{}, err
	default:
	}
	return figure{rate: float64(runs) / time.Since(began).Seconds(), cpu: (cpu() - used) / time.Duration(runs)}, nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
