package awsapi

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// RetryPolicy says how a call that failed is sent again, by the rules of the
// standard retry mode of AWS's SDKs: after a random time up to BaseDelay, which
// doubles with each attempt up to MaxDelay, and out of a budget that failures use
// up and successes fill.
type RetryPolicy struct {
	MaxAttempts int           // 0: 3
	BaseDelay   time.Duration // 0: 1 s
	MaxDelay    time.Duration // 0: 20 s
	// Sleep waits, and gives an error if the context ends before. nil: in real
	// time.
	Sleep func(ctx context.Context, d time.Duration) error
}

func (p RetryPolicy) withDefaults() RetryPolicy {
	if p.MaxAttempts <= 0 {
		p.MaxAttempts = 3
	}
	if p.BaseDelay <= 0 {
		p.BaseDelay = time.Second
	}
	if p.MaxDelay <= 0 {
		p.MaxDelay = 20 * time.Second
	}
	if p.Sleep == nil {
		p.Sleep = sleep
	}
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// delay is how long to wait after the given attempt.
func (p RetryPolicy) delay(attempt int, random io.Reader) time.Duration {
	limit := float64(p.BaseDelay) * math.Pow(2, float64(min(attempt-1, 30)))
	limit = min(limit, float64(p.MaxDelay))
	return time.Duration(limit * fraction(random))
}

// fraction is a random number in [0, 1). Without randomness the whole time is
// waited.
func fraction(r io.Reader) float64 {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 1
	}
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// The prices of retries, as AWS's SDKs have them.
const (
	budgetSize       = 500
	retryCost        = 5
	lostCost         = 10 // no response at all
	refundForSuccess = 1
)

// budgets are the retry budgets, one for each account, Region and service, so
// that trouble in one place does not use up the retries of another.
type budgets struct {
	mu sync.Mutex
	by map[[3]string]*budget
}

func (b *budgets) of(account, region, service string) *budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := [3]string{account, region, service}
	one := b.by[key]
	if one == nil {
		one = &budget{left: budgetSize}
		if b.by == nil {
			b.by = map[[3]string]*budget{}
		}
		b.by[key] = one
	}
	return one
}

// budget is a token bucket that only successes fill.
type budget struct {
	mu   sync.Mutex
	left int
}

// take pays for a retry after e, and says whether there was enough left.
func (b *budget) take(e *Error) (paid int, ok bool) {
	paid = retryCost
	if e.Status == 0 {
		paid = lostCost
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < paid {
		return 0, false
	}
	b.left -= paid
	return paid, true
}

// succeeded gives back what the last retry cost, or a little for a success at the
// first attempt.
func (b *budget) succeeded(paid int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(budgetSize, b.left+max(paid, refundForSuccess))
}

// clockSkew is how far AWS's clock is ahead of ours, as far as we know.
type clockSkew struct{ ns atomic.Int64 }

// minSkew is the least difference that can be the reason for a refusal.
const minSkew = 4 * time.Minute

func (s *clockSkew) correct(now time.Time) time.Time { return now.Add(time.Duration(s.ns.Load())) }

// learn takes the time of a response that refuses ours, and says whether it
// differs from what we took it for.
func (s *clockSkew) learn(e *Error, now time.Time) bool {
	if !slices.Contains(skewCodes, e.Code) && !(e.Status == http.StatusForbidden && e.Code == "403") {
		return false
	}
	theirs, err := http.ParseTime(e.Header.Get("Date"))
	if err != nil {
		return false
	}
	if d := theirs.Sub(s.correct(now)); d < minSkew && d > -minSkew {
		return false
	}
	s.ns.Store(int64(theirs.Sub(now)))
	return true
}
