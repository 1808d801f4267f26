package app_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/internal/app"
	"github.com/knowngood/knowngood/internal/mototest"
)

// moto is an AWS by others: engine and sandbox can't share one misunderstanding
// that it has not.
func TestTheLoopOnMoto(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	url := mototest.Start(t)
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[default]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "default",
		"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1", "AWS_CONFIG_FILE": config, "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PAGER": ""} {
		t.Setenv(k, v)
	}
	aws := func(args string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "aws", strings.Fields(args+" --output text")...).CombinedOutput()
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	dir := t.TempDir()
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		args = append(args, "--state", filepath.Join(dir, "state"))
		if code := app.Main(t.Context(), args, app.Streams{Out: &out, Err: &errs}); code != want {
			t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, &out, &errs)
		}
		return out.String()
	}
	instance := aws("ec2 run-instances --count 1 --image-id ami-12345678 --instance-type m5.large --no-associate-public-ip-address --query Instances[0].InstanceId")
	// moto's instances have an unencrypted root volume of their own.
	root := aws("ec2 describe-volumes --filters Name=attachment.instance-id,Values=" + instance + " --query Volumes[0].VolumeId")
	volume := aws("ec2 create-volume --availability-zone eu-west-1a --size 500 --volume-type gp3 --tag-specifications ResourceType=volume,Tags=[{Key=Owner,Value=billing},{Key=Name,Value=orders}] --query VolumeId")
	aws("ec2 attach-volume --volume-id " + volume + " --instance-id " + instance + " --device /dev/sdf")
	aws("s3 mb s3://acme-invoices")
	if out := run(3, "scan"); !strings.Contains(out, volume) || !strings.Contains(out, "acme-invoices") {
		t.Fatalf("the scan did not find %s and the bucket:\n%s", volume, out)
	}
	for i, id := range []string{volume, root} {
		plan := filepath.Join(dir, fmt.Sprintf("plan%d.json", i))
		run(0, "plan", id, "-o", plan)
		run(8, "apply", plan)
		run(0, "approve", plan, "--as", "ann")
		if out := run(0, "apply", plan); !strings.Contains(out, "verified") {
			t.Errorf("%s", out)
		}
	}
	bucket := filepath.Join(dir, "bucket.json")
	run(0, "plan", "acme-invoices", "-o", bucket)
	run(0, "apply", bucket) // it is reversible: nobody need approve
	// What is left are things that moto has by itself: public snapshots, and
	// instances that answer IMDSv1.
	out := run(3, "scan")
	if !strings.Contains(out, volume+", replaced by") {
		t.Errorf("the old volume is not listed as left behind:\n%s", out)
	}
	for _, rule := range []string{"encrypted-volumes", "ebs-volume-encrypted-any-state", "s3-bucket-level-public-access-prohibited"} {
		if strings.Contains(out, rule) {
			t.Errorf("%s is broken still:\n%s", rule, out)
		}
	}
	got := strings.Fields(aws("ec2 describe-volumes --filters Name=attachment.device,Values=/dev/sdf --query Volumes[].[VolumeId,Encrypted,Attachments[0].InstanceId,length(Tags)]"))
	if len(got) != 4 || got[0] == volume || strings.Join(got[1:], " ") != "True "+instance+" 2" {
		t.Errorf("at /dev/sdf is %v, want another volume, encrypted, with the two tags", got)
	}
	if tags := aws("ec2 describe-tags --filters Name=resource-id,Values=" + got[0] + " --query sort_by(Tags,&Key)[].Value"); strings.Join(strings.Fields(tags), " ") != "orders billing" {
		t.Errorf("its tags are %s", tags)
	}
	if state := aws("ec2 describe-instances --instance-ids " + instance + " --query Reservations[0].Instances[0].State.Name"); state != "running" {
		t.Errorf("the instance is %s", state)
	}
	if snapshots := aws("ec2 describe-snapshots --owner-ids 123456789012 --filters Name=volume-id,Values=" + volume + " --query length(Snapshots)"); snapshots != "0" {
		t.Errorf("%s snapshots are left", snapshots)
	}
	if block := aws("s3api get-public-access-block --bucket acme-invoices --query PublicAccessBlockConfiguration.BlockPublicAcls"); block != "True" {
		t.Errorf("BlockPublicAcls %s", block)
	}
}
