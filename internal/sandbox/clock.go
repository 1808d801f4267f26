package sandbox

import (
	"context"
	"sync"
	"time"
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
