package sandbox

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// runClient runs a client of AWS's against a fresh sandbox over HTTP, and gives what
// it prints.
func (w *world) runClient(env []string, dir, name string, args ...string) string {
	w.t.Helper()
	server := httptest.NewServer(w.Sandbox)
	defer server.Close()
	cmd := exec.CommandContext(w.t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "AWS_ENDPOINT_URL="+server.URL, "AWS_ACCESS_KEY_ID="+OperatorKey, "AWS_SECRET_ACCESS_KEY="+operatorSecret, "AWS_SESSION_TOKEN=",
		"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1", "no_proxy=127.0.0.1")...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s%s", name, err, out, errs.String())
	}
	return string(out)
}

// boto3 drives every service in TestConformance; here is the command line.
func TestTheCLIDrivesItUnchanged(t *testing.T) {
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the AWS CLI is not installed")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "note.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := newWorld(t).runClient(nil, dir, "sh", "-ec", `
aws ec2 create-volume --availability-zone eu-west-1a --size 5 --volume-type gp3 --query '[State,Iops,Encrypted]' --output text
aws iam create-user --user-name ann --query User.Arn --output text
aws s3 mb s3://cli-bucket
aws s3 cp note.txt s3://cli-bucket/a/note.txt --no-progress
aws s3 cp s3://cli-bucket/a/note.txt - ; echo
aws dynamodb create-table --table-name orders --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=id,AttributeType=S --key-schema AttributeName=id,KeyType=HASH --query TableDescription.TableStatus --output text
aws sqs create-queue --endpoint-url "$AWS_ENDPOINT_URL" --queue-name work --output text | sed 's|.*/||'
aws lambda list-functions --query 'length(Functions)' --output text
aws cloudwatch describe-alarms --query 'length(MetricAlarms)' --output text
aws ec2 delete-volume --volume-id vol-0123456789abcdef0 2>&1 | grep -o '(.*)'
`)
	want := `creating	3000	False
arn:aws:iam::111122223333:user/ann
make_bucket: cli-bucket
upload: ./note.txt to s3://cli-bucket/a/note.txt
hello
CREATING
work
0
0
(InvalidVolume.NotFound)
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// The typed clients of AWS's SDK for Go are large: to compile them takes minutes.
// So they are a module of their own, and make sdk runs them.
func TestTheTypedClientsOfGoDriveItUnchanged(t *testing.T) {
	if os.Getenv("KNOWNGOOD_TYPED_CLIENTS") == "" {
		t.Skip("make sdk runs it: it compiles large modules that have to be downloaded")
	}
	got := newWorld(t).runClient([]string{"GOFLAGS=-mod=readonly"}, "testdata/typed", "go", "run", ".")
	want := `ec2 creating 3000 false InvalidVolume.NotFound
query arn:aws:iam::111122223333:user/ann EntityAlreadyExists
json 1.0 CREATING ResourceNotFoundException
json with query's errors hello AWS.SimpleQueueService.NonExistentQueue
rest-json 0 ResourceNotFoundException
rest-xml a b/ü 5 NoSuchBucketPolicy
cbor 0 ResourceNotFound
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
