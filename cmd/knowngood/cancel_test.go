package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/script"
)

const backStep = `
- name: Back
  action: aws:executeAwsApi
  inputs: {Service: sts, Api: GetCallerIdentity}
  isEnd: true
`

// A script that takes long once there is a sign for it: it runs when it is planned too.
const longScript = `name: Long
  action: aws:executeScript
  onCancel: step:Back
  inputs:
    Runtime: python3.11
    Handler: main
    Script: |
      import boto3, time
      def main(events, context):
          if boto3.client("ec2").describe_volumes(Filters=[{"Name": "tag:sign", "Values": ["on"]}])["Volumes"]:
              time.sleep(590)`

// A step that takes an hour is cancelled from another process, in its midst: it ends
// at once, a script with all its processes, and its onCancel step follows.
func TestCancelledFromAnotherProcessInMidStep(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]string{
		"sleep":  "{name: Long, action: 'aws:sleep', onCancel: 'step:Back', inputs: {Duration: PT1H}}",
		"script": longScript,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "script" {
				if err := script.New(script.Options{}).Doctor(t.Context()); err != nil {
					t.Skip("skipped: scripts don't run here: ", err)
				}
			}
			e := newEstate(t)
			e.env = append(e.env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
			file, state := filepath.Join(e.dir, "long.yaml"), []string{"--state", e.state()}
			if err := os.WriteFile(file, []byte("schemaVersion: '0.3'\nparameters: {Name: {type: String}}\nmainSteps:\n- "+step+backStep), 0o600); err != nil {
				t.Fatal(err)
			}
			start(t, e.env, append(state, "run", file, "Name=it", "--plan", "-o", e.planFile())...).ends(0)
			start(t, e.env, append(state, "approve", e.planFile(), "--as", "ann", "--incomplete")...).ends(0)
			e.do("ec2", "CreateTags", object{"Resources": []any{e.volume}, "Tags": []any{object{"Key": "sign", "Value": "on"}}})
			e.advance("1m")
			p := e.apply()
			store := e.openStore()
			defer store.Close()
			var run string
			for end := time.Now().Add(time.Minute); run == ""; time.Sleep(10 * time.Millisecond) {
				all, err := store.Runs(t.Context(), knowngood.RunQuery{States: []knowngood.RunState{knowngood.RunInProgress, knowngood.RunWaiting}})
				if err != nil || time.Now().After(end) {
					t.Fatalf("%v\n%s", err, &p.errs)
				}
				for _, r := range all {
					log, err := store.Entries(t.Context(), r.ID)
					if err != nil {
						t.Fatal(err)
					}
					if last := log[max(0, len(log)-1):]; len(last) > 0 && (last[0].Kind == knowngood.EntryWait || last[0].Kind == knowngood.EntryIntent) {
						run = r.ID
					}
				}
			}
			start(t, e.env, append(state, "runs", "cancel", run)...).ends(0)
			p.ends(1)
			p.shows("the run ended as Cancelled: step Long was cancelled")
			log, err := store.Entries(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			var ended []string
			for _, entry := range log {
				if entry.Kind == knowngood.EntryStepEnded {
					ended = append(ended, entry.Step)
				}
			}
			if got := strings.Join(ended, " "); got != "Long Back" {
				t.Errorf("the steps %s ended, want Long and Back", got)
			}
		})
	}
}
