package remedy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
	"github.com/knowngood/knowngood/internal/store/postgres"
	"github.com/knowngood/knowngood/internal/store/sqlite"
)

// mostHop is the most that a hop may take in the median.
const mostHop = 10 * time.Millisecond

// stopwatch answers calls, and takes the time from each answer to the next call: in
// it the step ends, what it gave is on the disk, the next one begins, and a write's
// intent is on the disk too.
type stopwatch struct {
	answered time.Time
	hops     []time.Duration
}

func (s *stopwatch) Call(context.Context, string, string, map[string]any, ...awsapi.CallOption) (map[string]any, error) {
	if !s.answered.IsZero() {
		s.hops = append(s.hops, time.Since(s.answered))
	}
	s.answered = time.Now()
	return map[string]any{"Account": "111122223333"}, nil
}

// From one step to the next: what it takes is printed. With KNOWNGOOD_HOPS=HOPS it is
// so many, and the median is judged: without it, other tests run beside this one.
func TestAHopFromStepToStep(t *testing.T) {
	const steps = 21 // 20 hops
	runs, judged := 1, false
	if text := os.Getenv("KNOWNGOOD_HOPS"); text != "" {
		n := 0
		if _, err := fmt.Sscan(text, &n); err != nil || n < 1 {
			t.Fatalf("KNOWNGOOD_HOPS=%s: want a number", text)
		}
		runs, judged = (n+steps-2)/(steps-1), true
	}
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for store, open := range map[string]func(t *testing.T) sweepStore{
		"SQLite, synchronous=FULL": func(t *testing.T) sweepStore {
			s, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "knowngood.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
		"PostgreSQL": func(t *testing.T) sweepStore {
			s, err := postgres.Open(t.Context(), server(t).Database(t))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s
		},
	} {
		t.Run(store, func(t *testing.T) {
			log := open(t)
			for kind, call := range map[string]string{
				"reads":  "{Service: sts, Api: GetCallerIdentity}",
				"writes": "{Service: ec2, Api: CreateTags, Resources: [vol-0123456789abcdef0], Tags: [{Key: a, Value: b}]}",
			} {
				var text strings.Builder
				text.WriteString("schemaVersion: '0.3'\nmainSteps:\n")
				for i := range steps {
					fmt.Fprintf(&text, "- {name: Step%d, action: 'aws:executeAwsApi', inputs: %s}\n", i, call)
				}
				d, err := runbook.Parse("hops.yaml", []byte(text.String()))
				if err != nil {
					t.Fatal(err)
				}
				var hops []time.Duration
				for i := range runs {
					id, now, watch := fmt.Sprintf("%s-%d", kind, i), time.Now().UTC(), &stopwatch{}
					place := knowngood.Place{Partition: "aws", Account: "111122223333", Region: "eu-west-1"}
					epoch, err := log.StartRun(t.Context(), knowngood.Run{ID: id, PlanHash: id, State: knowngood.RunPending, Created: now, Updated: now, Resource: knowngood.ResourceKey{ID: id}}, "test", now, time.Hour)
					if err != nil {
						t.Fatal(err)
					}
					begin, err := d.Start(runbook.StartBody{ExecutionID: id, DateTime: now, Place: place})
					if err != nil {
						t.Fatal(err)
					}
					r := runbook.Runner{Document: d, RunID: id, Epoch: epoch, Start: &begin, Log: log, Caller: watch, Catalog: catalog, Clock: knowngood.WallClock{}}
					if end, err := r.Run(t.Context()); err != nil || end.State != knowngood.RunSuccess {
						t.Fatalf("%+v, %v", end, err)
					}
					if len(watch.hops) != steps-1 {
						t.Fatalf("%d hops, want %d", len(watch.hops), steps-1)
					}
					hops = append(hops, watch.hops...)
				}
				slices.Sort(hops)
				median := hops[len(hops)/2]
				t.Logf("%d hops between %s: median %v, 95%% within %v", len(hops), kind, median.Round(time.Microsecond), hops[len(hops)*95/100].Round(time.Microsecond))
				if judged && median > mostHop {
					t.Errorf("the median is %v, want at most %v", median, mostHop)
				}
			}
		})
	}
}
