package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A commit waits for the disk. Transactions that come while another waits share
// the next commit: each is a savepoint, and is answered once that commit is
// durable. So many runs cost few waits, and none is told too early.

// mostTogether bounds how many transactions share a commit, and so for how long
// the first of them may have to wait for the others.
const mostTogether = 64

// request is a transaction that waits to be made.
type request struct {
	ctx  context.Context
	fn   func(*sql.Tx) error
	done chan error // has room for the answer
}

// errClosed is what a transaction is told after Close.
var errClosed = errors.New("the store is closed")

// tx runs fn in one transaction, alone: fn sees all that was committed, and what
// it writes is durable once tx returns nil, or is not there at all. It must not
// call the store.
func (s *Store) tx(ctx context.Context, fn func(*sql.Tx) error) error {
	r := request{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case s.requests <- r:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// From here on the answer comes: a transaction that is being committed can't
	// be called off.
	return <-r.done
}

// commits makes the transactions, until the store is closed.
func (s *Store) commits() {
	defer close(s.closed)
	for {
		select {
		case r := <-s.requests:
			s.commit(r)
		case <-s.closing:
			return
		}
	}
}

// commit makes a transaction and those that wait beside it, in one commit.
func (s *Store) commit(first request) {
	ctx := context.Background() // statements that are interrupted would undo those of others
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		first.done <- err
		return
	}
	var made []request
	for next, more := first, true; more; {
		if err := s.savepoint(tx, next); err != nil {
			next.done <- err
			if errors.Is(err, errBroken) {
				break
			}
		} else {
			made = append(made, next)
		}
		more = false
		if len(made) < mostTogether {
			select {
			case next = <-s.requests:
				more = true
			default:
			}
		}
	}
	if len(made) == 0 {
		_ = tx.Rollback() // there is nothing in it
		return
	}
	err = tx.Commit()
	if err != nil {
		_ = tx.Rollback()
	}
	for _, r := range made {
		r.done <- err
	}
	if err == nil {
		s.changed()
	}
}

// errBroken says that a transaction can't be gone on with.
var errBroken = errors.New("the transaction is broken")

// savepoint makes one of the transactions that share a commit.
func (s *Store) savepoint(tx *sql.Tx, r request) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if _, err := tx.Exec("SAVEPOINT one"); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	err := r.fn(tx)
	if err != nil {
		if _, undone := tx.Exec("ROLLBACK TO one"); undone != nil {
			return fmt.Errorf("%w: %w: %w", errBroken, undone, err)
		}
	}
	if _, released := tx.Exec("RELEASE one"); released != nil {
		return fmt.Errorf("%w: %w", errBroken, errors.Join(released, err))
	}
	return err
}
