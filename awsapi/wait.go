package awsapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// WaitError says why a wait ended without success.
type WaitError struct {
	Service, Waiter string
	Attempts        int
	// Output is that of the last call, nil if it failed.
	Output map[string]any
	// Err is the last call's error, ErrWaitFailed if the resource reached a state
	// from which it will not come to the one awaited, or ErrWaitTimeout.
	Err error
}

// What may be behind a WaitError.
var (
	ErrWaitFailed  = errors.New("it reached a state from which it does not come to the one awaited")
	ErrWaitTimeout = errors.New("it did not reach the state in the time that the waiter has")
)

// Error implements error.
func (e *WaitError) Error() string {
	return fmt.Sprintf("waiting for %s %s: after %d calls: %v", e.Service, e.Waiter, e.Attempts, e.Err)
}

// Unwrap gives the cause.
func (e *WaitError) Unwrap() error { return e.Err }

// Wait polls until a resource is in a state, by botocore's waiter of that name. It
// sleeps as the client's RetryPolicy does. A failure is a *WaitError.
func (c *Client) Wait(ctx context.Context, service, waiter string, in map[string]any, opts ...CallOption) error {
	return Wait(ctx, c, c.cfg.Catalog, c.cfg.Retry.Sleep, service, waiter, in, opts...)
}

// Wait is Client.Wait over any Caller. sleep waits between polls and gives an
// error if the context ends before; nil is to wait in real time.
func Wait(ctx context.Context, caller Caller, catalog *Catalog, sleep func(context.Context, time.Duration) error, service, waiter string, in map[string]any, opts ...CallOption) error {
	s, err := catalog.Service(service)
	if err != nil {
		return err
	}
	w, err := s.Waiter(waiter)
	if err != nil {
		return err
	}
	if sleep == nil {
		sleep = RetryPolicy{}.withDefaults().Sleep
	}
	failed := &WaitError{Service: service, Waiter: w.Name}
	for failed.Attempts = 1; ; failed.Attempts++ {
		out, callErr := caller.Call(ctx, service, w.Operation, in, opts...)
		failed.Output = out
		state, err := w.state(out, callErr)
		if err != nil {
			failed.Err = err
			return failed
		}
		switch {
		case state == "success":
			return nil
		case state == "failure" && callErr != nil:
			failed.Err = fmt.Errorf("%w: %w", ErrWaitFailed, callErr)
			return failed
		case state == "failure":
			failed.Err = ErrWaitFailed
			return failed
		case state == "" && callErr != nil:
			failed.Err = callErr
			return failed
		case failed.Attempts >= w.MaxAttempts:
			failed.Err = ErrWaitTimeout
			return failed
		}
		if err := sleep(ctx, w.Delay); err != nil {
			failed.Err = err
			return failed
		}
	}
}

// state is that of the first acceptor which matches, "" if none does.
func (w *Waiter) state(out map[string]any, callErr error) (string, error) {
	for i := range w.Acceptors {
		a := &w.Acceptors[i]
		ok, err := a.matches(out, callErr)
		if err != nil {
			return "", err
		}
		if ok {
			return a.State, nil
		}
	}
	return "", nil
}

func (a *Acceptor) matches(out map[string]any, callErr error) (bool, error) {
	var e *Error
	isError := errors.As(callErr, &e)
	switch a.Matcher {
	case "error":
		switch expected := a.Expected.(type) {
		case bool:
			return expected == (callErr != nil), nil
		case string:
			return isError && e.Code == expected, nil
		}
		return false, nil
	case "status":
		status := 200
		if callErr != nil {
			status = 0
		}
		if isError {
			status = e.Status
		}
		return number(asNumber(a.Expected)) == strconv.Itoa(status), nil
	}
	if callErr != nil {
		return false, nil
	}
	found, err := searchPath(a.Argument, out)
	if err != nil {
		return false, err
	}
	switch a.Matcher {
	case "path":
		return equal(found, a.Expected), nil
	case "pathAll", "pathAny":
		list, _ := found.([]any)
		matched := 0
		for _, v := range list {
			if equal(v, a.Expected) {
				matched++
			}
		}
		if a.Matcher == "pathAny" {
			return matched > 0, nil
		}
		// All of nothing is not the state that is awaited.
		return matched > 0 && matched == len(list), nil
	}
	return false, fmt.Errorf("the waiter has the unknown matcher %q", a.Matcher)
}

// equal compares a value of an output with one of a waiter, whose numbers are
// floats.
func equal(a, b any) bool {
	if a == b {
		return true
	}
	switch a.(type) {
	case int64, float64:
	default:
		return false
	}
	switch b.(type) {
	case int64, float64:
		return asNumber(a) == asNumber(b)
	}
	return false
}

func asNumber(v any) float64 {
	f, err := asFloat(&Shape{Type: Double}, v)
	if err != nil {
		return -1
	}
	return f
}
