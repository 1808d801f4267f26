package inventory

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// A service that throttles is left alone for a while by all of a collection's
// calls, for each would only be throttled too. What the Caller retries by itself
// comes before that.
const (
	firstPause     = time.Second
	longestPause   = 30 * time.Second
	throttledTries = 6 // of one call
)

// pace is how fast a collection calls one service.
type pace struct {
	mu    sync.Mutex
	pause time.Duration // the last one; 0: none since the service was well
	until time.Time
}

// wait waits until the service may be called.
func (p *pace) wait(ctx context.Context, clock knowngood.Clock) error {
	for {
		p.mu.Lock()
		until := p.until
		p.mu.Unlock()
		d := until.Sub(clock.Now())
		if d <= 0 {
			return ctx.Err()
		}
		if err := clock.Sleep(ctx, d); err != nil {
			return err
		}
	}
}

// slower begins a pause, twice as long as the last. Calls that were under way
// together and are throttled together begin one.
func (p *pace) slower(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return
	}
	p.pause = min(max(2*p.pause, firstPause), longestPause)
	p.until = now.Add(p.pause)
}

// faster shortens the next pause.
func (p *pace) faster() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause /= 2
}

func throttled(err error) bool {
	var e *awsapi.Error
	return errors.As(err, &e) && e.Throttled()
}
