package sandbox

import (
	"context"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
)

// ManualClock is a clock that stands still until it is told to go on. To sleep
// on it moves it: what waits for a sandbox takes no time.
type ManualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock is a clock that shows a time.
func NewClock(now time.Time) *ManualClock { return &ManualClock{now: now.UTC()} }

// Now implements knowngood.Clock.
func (c *ManualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep implements knowngood.Clock: it moves the clock by d and returns at
// once.
func (c *ManualClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Advance(d)
	return nil
}

// Advance moves the clock. It never goes back.
func (c *ManualClock) Advance(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fork is a clock of its own at the same time.
func (c *ManualClock) fork() knowngood.Clock { return NewClock(c.Now()) }

// set turns the clock to a time, also back.
func (c *ManualClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now.UTC()
}

// FastClock goes n times as fast as the wall clock.
type FastClock struct {
	started time.Time // by the wall clock
	times   int

	mu    sync.Mutex
	shown time.Time // when it started, and what it was advanced since
}

// NewFastClock is a clock that shows a time and from then on runs n times as
// fast as the wall clock; n is at least 1.
func NewFastClock(now time.Time, n int) *FastClock {
	return &FastClock{started: time.Now(), times: max(n, 1), shown: now.UTC().Round(0)}
}

// Now implements knowngood.Clock.
func (c *FastClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown.Add(time.Since(c.started) * time.Duration(c.times))
}

// Sleep implements knowngood.Clock.
func (c *FastClock) Sleep(ctx context.Context, d time.Duration) error {
	return knowngood.WallClock{}.Sleep(ctx, d/time.Duration(c.times))
}

// Advance moves the clock, which goes on from there. It never goes back.
func (c *FastClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = c.shown.Add(max(d, 0))
}

// fork is a clock of its own that shows the same time.
func (c *FastClock) fork() knowngood.Clock { return NewFastClock(c.Now(), c.times) }
