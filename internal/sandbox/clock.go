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

// FastClock is the wall clock, n times as fast from the moment that it is made.
type FastClock struct {
	start time.Time
	times int
}

// NewFastClock is a clock that runs n times as fast as the wall clock; n is at
// least 1.
func NewFastClock(n int) *FastClock { return &FastClock{time.Now(), max(n, 1)} }

// Now implements knowngood.Clock.
func (c *FastClock) Now() time.Time {
	return c.start.Add(time.Since(c.start) * time.Duration(c.times)).UTC().Round(0)
}

// Sleep implements knowngood.Clock.
func (c *FastClock) Sleep(ctx context.Context, d time.Duration) error {
	return knowngood.WallClock{}.Sleep(ctx, d/time.Duration(c.times))
}
