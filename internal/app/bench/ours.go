package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// store is what a run needs of one.
type store interface {
	runbook.RunLog
	StartRun(ctx context.Context, r knowngood.Run, owner string, now time.Time, ttl time.Duration) (epoch int64, err error)
	Release(ctx context.Context, runID string, epoch int64) error
	Close() error
}

// knowngoods runs a document of five steps, each a call, on a store of ours.
type knowngoods struct {
	store    store
	document *runbook.Document
	catalog  *awsapi.Catalog
	name     string
}

func oursPostgres(ctx context.Context, url string) (contender, error) {
	s, err := postgres.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	return newOurs(s)
}

func oursSQLite(ctx context.Context, dir string) (contender, error) {
	s, err := sqlite.Open(ctx, filepath.Join(dir, "knowngood.db"))
	if err != nil {
		return nil, err
	}
	return newOurs(s)
}

func newOurs(s store) (contender, error) {
	var text strings.Builder
	text.WriteString("schemaVersion: '0.3'\nmainSteps:\n")
	for i := range steps {
		fmt.Fprintf(&text, "- name: Step%d\n  action: aws:executeAwsApi\n  inputs: {Service: sts, Api: GetCallerIdentity}\n  outputs:\n  - {Name: Account, Selector: $.Account, Type: String}\n", i+1)
	}
	d, err := runbook.Parse("bench.yaml", []byte(text.String()))
	if err != nil {
		return nil, err
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		return nil, err
	}
	return &knowngoods{store: s, document: d, catalog: catalog, name: fmt.Sprint(time.Now().UnixNano())}, nil
}

// caller answers the calls of the steps.
type caller struct{}

func (caller) Call(context.Context, string, string, map[string]any, ...awsapi.CallOption) (map[string]any, error) {
	return answer(), nil
}

func (k *knowngoods) run(ctx context.Context, n int) error {
	id := fmt.Sprintf("%s-%d", k.name, n)
	now := time.Now().UTC()
	place := knowngood.Place{Partition: "aws", Account: account, Region: "eu-west-1"}
	epoch, err := k.store.StartRun(ctx, knowngood.Run{ID: id, PlanHash: id, State: knowngood.RunPending, Created: now, Updated: now,
		Resource: knowngood.ResourceKey{Account: account, Region: place.Region, Type: "AWS::EC2::Volume", ID: "vol-" + id}}, "bench", now, time.Minute)
	if err != nil {
		return err
	}
	start, err := k.document.Start(runbook.StartBody{ExecutionID: id, DateTime: now, Place: place})
	if err != nil {
		return err
	}
	r := runbook.Runner{Document: k.document, RunID: id, Epoch: epoch, Start: &start, Log: k.store, Caller: caller{}, Catalog: k.catalog, Clock: knowngood.WallClock{}}
	end, err := r.Run(ctx)
	if err == nil && end.State != knowngood.RunSuccess {
		err = fmt.Errorf("run %s ended %s: %s", id, end.State, end.Message)
	}
	return errors.Join(err, k.store.Release(ctx, id, epoch))
}

func (k *knowngoods) close() error { return k.store.Close() }
