package inventory

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// An API that throttles is left alone for a while by all of a collection's calls,
// for each would only be throttled too.
const (
	firstPause     = time.Second
	longestPause   = 30 * time.Second
	throttledTries = 6 // of one call
	// What fails in another way that may pass is tried so often in all.
	transientTries = 3
)

// pace is how fast a collection calls what shares one of AWS's limits in a Region.
type pace struct {
	mu sync.Mutex
	// allowed is the rate in calls a second, 0 for any, and rate what of it is left
	// after throttling. burst calls may be made at once.
	allowed, rate, burst float64
	next                 time.Time     // when the bucket is full again, at the rate
	pause                time.Duration // the last one; 0: none since the API was well
	until                time.Time
}

func newPace(r Rate, percent int) *pace {
	p := &pace{allowed: r.PerSecond * float64(percent) / 100}
	p.rate, p.burst = p.allowed, max(r.Burst*float64(percent)/100, 1)
	return p
}

// wait waits until a call may be made.
func (p *pace) wait(ctx context.Context, clock knowngood.Clock) error {
	for {
		d, taken := p.take(clock.Now())
		if d <= 0 {
			return ctx.Err()
		}
		if err := clock.Sleep(ctx, d); err != nil || taken {
			return err
		}
	}
}

// take says how long to wait for a call, and whether it may then be made. While the
// API is left alone, nothing is taken from the bucket.
func (p *pace) take(now time.Time) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := p.until.Sub(now); d > 0 {
		return d, false
	}
	if p.allowed == 0 {
		return 0, true
	}
	if p.next.Before(now) {
		p.next = now
	}
	each := time.Duration(float64(time.Second) / p.rate)
	d := p.next.Sub(now) - time.Duration((p.burst-1)*float64(each))
	p.next = p.next.Add(each)
	return d, true
}

// slower begins a pause, twice as long as the last, and halves the rate for what
// follows. Calls that were under way together and are throttled together begin one.
func (p *pace) slower(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return
	}
	p.pause = min(max(2*p.pause, firstPause), longestPause)
	p.until = now.Add(p.pause)
	p.rate = max(p.rate/2, p.allowed/16)
}

// faster shortens the next pause, and brings the rate back little by little.
func (p *pace) faster() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause /= 2
	p.rate = min(p.rate+p.allowed/50, p.allowed)
}

func throttled(err error) bool {
	var e *awsapi.Error
	return errors.As(err, &e) && e.Throttled()
}

// transient says whether a call may well succeed if it is made again, though the
// service has not asked to slow down.
func transient(err error) bool {
	var e *awsapi.Error
	return errors.As(err, &e) && e.Retryable && !e.Throttled()
}

// expired says whether the caller's credentials have come to their end, which all
// further calls would be told too. Codes that a Region gives for credentials that it
// does not know yet are not among these.
func expired(err error) bool {
	switch errorCode(err) {
	case awsapi.CodeNoCredentials, "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired":
		return true
	}
	return false
}
