package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

type object = map[string]any

// estate is a sandbox in a process of its own, with a running instance and an
// unencrypted volume at its /dev/sdf, and a folder for the program's state and
// plan. Describe results are 10 s old.
type estate struct {
	t       *testing.T
	sandbox string // URL
	client  *awsapi.Client
	wire    *wire
	env     []string // leads the program over the wire
	dir     string

	instance, volume string
	made             map[string]int // successful calls, by operation, that made the estate
}

func newEstate(t *testing.T) *estate {
	t.Helper()
	exports := startSandbox(t)
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	e := &estate{t: t, sandbox: exports["AWS_ENDPOINT_URL"], dir: t.TempDir()}
	credentials := aws.Credentials{AccessKeyID: exports["AWS_ACCESS_KEY_ID"], SecretAccessKey: exports["AWS_SECRET_ACCESS_KEY"]}
	e.client, err = awsapi.New(awsapi.Config{Catalog: catalog, Region: exports["AWS_REGION"], EndpointURL: e.sandbox,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return credentials, nil })})
	if err != nil {
		t.Fatal(err)
	}
	e.wire = &wire{estate: e, seen: map[string]int{}}
	server := httptest.NewServer(e.wire)
	t.Cleanup(server.Close)
	exports["AWS_ENDPOINT_URL"] = server.URL
	for name, value := range exports {
		e.env = append(e.env, name+"="+value)
	}

	e.instance = e.do("ec2", "RunInstances", object{"MinCount": 1, "MaxCount": 1, "ImageId": "ami-0c1a2b3c4d5e6f708", "InstanceType": "m5.large",
		"NetworkInterfaces": []any{object{"DeviceIndex": 0, "AssociatePublicIpAddress": false}}})["Instances"].([]any)[0].(object)["InstanceId"].(string)
	e.volume = e.do("ec2", "CreateVolume", object{"AvailabilityZone": "eu-west-1a", "Size": 10, "VolumeType": "gp3",
		"TagSpecifications": []any{object{"ResourceType": "volume", "Tags": []any{object{"Key": "Owner", "Value": "billing"}}}}})["VolumeId"].(string)
	e.advance("1m")
	e.do("ec2", "AttachVolume", object{"VolumeId": e.volume, "InstanceId": e.instance, "Device": "/dev/sdf"})
	e.advance("1m")
	e.do("ec2", "ModifyInstanceAttribute", object{"InstanceId": e.instance, "BlockDeviceMappings": []any{object{"DeviceName": "/dev/sdf", "Ebs": object{"DeleteOnTermination": true}}}})
	e.advance("1h")
	e.control(http.MethodPut, "stale", `{"for": "10s"}`, nil)
	e.made = e.succeeded()
	return e
}

// do makes a call past the wire.
func (e *estate) do(service, operation string, in object) object {
	e.t.Helper()
	out, err := e.client.Call(e.t.Context(), service, operation, in)
	if err != nil {
		e.t.Fatal(err)
	}
	return out
}

// control uses the sandbox's control API.
func (e *estate) control(method, path, body string, into any) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, e.sandbox+"/_knowngood/"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		e.t.Error(err)
		return
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Error(err)
		return
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		e.t.Errorf("%s %s %s: status %d, %v: %s", method, path, body, resp.StatusCode, err, raw)
		return
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			e.t.Errorf("%s %s: %v", method, path, err)
		}
	}
}

func (e *estate) advance(d string) {
	e.t.Helper()
	e.control(http.MethodPost, "clock", `{"advance": "`+d+`"}`, nil)
}

// fault injects a failure into the nth call of an operation from now on.
func (e *estate) fault(operation string, nth int, what string) {
	e.t.Helper()
	e.control(http.MethodPost, "faults", fmt.Sprintf(`{"service": "ec2", "operation": %q, "nth": %d, %s}`, operation, nth, what), nil)
}

// counter gives a volume's write counter.
func (e *estate) counter(volume string) int64 {
	e.t.Helper()
	var out struct{ Writes int64 }
	e.control(http.MethodGet, "volumes/"+volume+"/writes", "", &out)
	return out.Writes
}

// succeeded counts the calls that took effect so far, by operation.
func (e *estate) succeeded() map[string]int {
	e.t.Helper()
	var calls []struct{ Operation, Error string }
	e.control(http.MethodGet, "calls", "", &calls)
	n := map[string]int{}
	for _, c := range calls {
		if c.Error == "" {
			n[c.Operation]++
		}
	}
	return n
}

// everMade gives how many volumes and snapshots there are and have been: the
// sandbox's state keeps those that were deleted.
func (e *estate) everMade() (volumes, snapshots int) {
	e.t.Helper()
	var saved struct {
		State struct {
			Accounts map[string]struct {
				Regions map[string]struct{ Volumes, Snapshots map[string]json.RawMessage }
			}
		}
	}
	e.control(http.MethodGet, "state", "", &saved)
	for _, a := range saved.State.Accounts {
		for _, r := range a.Regions {
			volumes += len(r.Volumes)
			snapshots += len(r.Snapshots)
		}
	}
	return volumes, snapshots
}

// fresh lets everything come to rest, and reads be fresh again.
func (e *estate) fresh() {
	e.t.Helper()
	e.advance("10m")
	e.control(http.MethodPut, "stale", `{"for": "0s"}`, nil)
}

// attached gives the volume that is attached at /dev/sdf, or nil, and the
// instance's state.
func (e *estate) attached() (volume object, instance string) {
	e.t.Helper()
	for _, v := range e.do("ec2", "DescribeVolumes", nil)["Volumes"].([]any) {
		for _, a := range v.(object)["Attachments"].([]any) {
			if a := a.(object); a["InstanceId"] == e.instance && a["Device"] == "/dev/sdf" && a["State"] == "attached" {
				volume = v.(object)
			}
		}
	}
	r := e.do("ec2", "DescribeInstances", object{"InstanceIds": []any{e.instance}})["Reservations"].([]any)[0].(object)
	instance, _ = r["Instances"].([]any)[0].(object)["State"].(object)["Name"].(string)
	return volume, instance
}

// What is made all in all: volumes, with the instance's own, the old and the new
// one; snapshots, to warm up, of the stopped volume, and its encrypted copy.
const volumesMade, snapshotsMade = 3, 3

// encrypted checks that a run has reached what it is for, once, and has left
// nothing over. It gives the run's log.
func (e *estate) encrypted(plan knowngood.Plan) runLog {
	e.t.Helper()
	log := e.finished(plan.RunID, knowngood.RunSuccess)
	e.fresh()
	volume, instance := e.attached()
	if volume == nil || volume["VolumeId"] == e.volume || volume["Encrypted"] != true || instance != "running" {
		e.t.Errorf("at /dev/sdf is %v, the instance is %s", volume, instance)
	}
	owners := object{"Filters": []any{object{"Name": "tag:Owner", "Values": []any{"billing"}}}}
	if n := e.count("DescribeVolumes", "Volumes", owners); n != 2 {
		e.t.Errorf("%d volumes have the old one's tags, want it and the new one", n)
	}
	if n := e.count("DescribeSnapshots", "Snapshots", nil); n != 0 {
		e.t.Errorf("%d snapshots are left over", n)
	}
	if volumes, snapshots := e.everMade(); volumes != volumesMade || snapshots != snapshotsMade {
		e.t.Errorf("%d volumes and %d snapshots were made, want %d and %d", volumes, snapshots, volumesMade, snapshotsMade)
	}
	if old, made := e.wire.oldAtStop, e.wire.newAtStart; old != made || old < 3600 {
		e.t.Errorf("at the stop the old volume's counter was %d, at the start the new one's is %d", old, made)
	}
	return log
}

// restored checks that a run has failed and has put everything back.
func (e *estate) restored(plan knowngood.Plan) {
	e.t.Helper()
	e.finished(plan.RunID, knowngood.RunFailed)
	e.fresh()
	if volume, instance := e.attached(); volume == nil || volume["VolumeId"] != e.volume || instance != "running" {
		e.t.Errorf("at /dev/sdf is %v, the instance is %s", volume, instance)
	}
	if volumes, snapshots := e.count("DescribeVolumes", "Volumes", nil), e.count("DescribeSnapshots", "Snapshots", nil); volumes != 2 || snapshots != 0 {
		e.t.Errorf("%d volumes and %d snapshots are there, want the 2 volumes that there were", volumes, snapshots)
	}
}

// count gives how many of something a describe operation lists.
func (e *estate) count(operation, list string, in object) int {
	e.t.Helper()
	return len(e.do("ec2", operation, in)[list].([]any))
}

func (e *estate) state() string    { return filepath.Join(e.dir, "state") }
func (e *estate) planFile() string { return filepath.Join(e.dir, "plan.json") }

// approved is an estate for which the encryption of the volume is planned and
// approved.
func approved(t *testing.T) (*estate, knowngood.Plan) {
	t.Helper()
	e := newEstate(t)
	start(e.t, e.env, "run", "AWS-EncryptEBSVolume", "VolumeId="+e.volume, "--plan", "-o", e.planFile(), "--state", e.state()).ends(0)
	start(e.t, e.env, "approve", e.planFile(), "--as", "ann", "--state", e.state()).ends(0)
	raw, err := os.ReadFile(e.planFile())
	if err != nil {
		e.t.Fatal(err)
	}
	var plan knowngood.Plan
	if err := json.Unmarshal(raw, &plan); err != nil {
		e.t.Fatal(err)
	}
	return e, plan
}

// again makes the same estate anew, in the same state: ids follow from the
// sandbox's seed and its calls.
func (e *estate) again(t *testing.T) *estate {
	t.Helper()
	other := newEstate(t)
	if err := os.CopyFS(other.dir, os.DirFS(e.dir)); err != nil {
		t.Fatal(err)
	}
	return other
}

// apply begins to apply the plan.
func (e *estate) apply() *process {
	e.t.Helper()
	return start(e.t, e.env, "apply", e.planFile(), "--state", e.state())
}

// write is a write of a run, and how many calls of its operation there are up to
// it, with those that are refused and without.
type write struct {
	step, operation string
	nth, effects    int
}

// writesOf lists the writes that a plan is expected to make.
func writesOf(plan knowngood.Plan) []write {
	var out []write
	nth := map[string]int{}
	for _, c := range plan.Parts[0].Calls {
		if c.Class == knowngood.Write {
			nth[c.Operation]++
			out = append(out, write{c.Step, c.Operation, nth[c.Operation], nth[c.Operation]})
		}
	}
	return out
}

// took says whether a write has taken effect.
func (e *estate) took(w write) bool {
	e.t.Helper()
	return e.succeeded()[w.operation]-e.made[w.operation] >= w.effects
}
