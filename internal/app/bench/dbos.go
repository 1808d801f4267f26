package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
)

// transact runs a workflow of DBOS Transact whose five steps give what the calls of
// our runs give.
type transact struct {
	ctx dbos.Context
}

func newTransact(ctx context.Context, cfg dbos.Config) (*transact, error) {
	cfg.AppName, cfg.Logger = "bench", slog.New(slog.DiscardHandler)
	c, err := dbos.NewContext(ctx, cfg)
	if err != nil {
		return nil, err
	}
	dbos.RegisterWorkflow(c, fiveSteps)
	return &transact{c}, dbos.Launch(c)
}

func transactPostgres(ctx context.Context, url string) (contender, error) {
	return newTransact(ctx, dbos.Config{DatabaseURL: url})
}

// transactSQLite sets synchronous to FULL, as ours has it: with NORMAL, DBOS's own
// choice, what was committed can be lost with the power.
func transactSQLite(ctx context.Context, dir string) (contender, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "dbos.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	var mode int
	t, err := newTransact(ctx, dbos.Config{SQLiteSystemDB: db})
	if err != nil {
		return nil, err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&mode); err != nil || mode != 2 {
		return nil, errors.Join(err, fmt.Errorf("synchronous is %d in DBOS's database", mode))
	}
	return t, nil
}

func fiveSteps(ctx dbos.Context, input string) (string, error) {
	for range steps {
		answer, err := dbos.RunAsStep(ctx, func(context.Context) (map[string]any, error) { return answer(), nil })
		if err != nil {
			return "", err
		}
		if answer["Account"] != input {
			return "", fmt.Errorf("unexpected account %v", answer["Account"])
		}
	}
	return "done", nil
}

func (t *transact) run(_ context.Context, _ int) error {
	handle, err := dbos.RunWorkflow(t.ctx, fiveSteps, account)
	if err != nil {
		return err
	}
	_, err = handle.GetResult()
	return err
}

func (t *transact) close() error {
	dbos.Shutdown(t.ctx, 5*time.Second)
	return nil
}
