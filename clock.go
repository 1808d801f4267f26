package knowngood

import (
	"context"
	"time"
)

// Clock is the time that a component lives by. It is injected everywhere, so
// that a sandbox, a test and a plan can each have their own.
type Clock interface {
	// Now is the current time, in UTC.
	Now() time.Time
	// Sleep returns nil after d has passed on this clock, or the context's
	// error as soon as the context ends. A d of zero or less returns at once.
	Sleep(ctx context.Context, d time.Duration) error
}

// WallClock is the machine's own clock.
type WallClock struct{}

// Now implements Clock.
func (WallClock) Now() time.Time { return time.Now().UTC() }

// Sleep implements Clock.
func (WallClock) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
