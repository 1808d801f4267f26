package app_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/app"
	"github.com/knowngood/knowngood/internal/sandbox"
)

// knowngood runs a command line and gives what it wrote.
func knowngood(t *testing.T, want int, args ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	if code := app.Main(t.Context(), args, app.Streams{In: strings.NewReader(""), Out: &o, Err: &e}); code != want {
		t.Fatalf("%v: exit %d, want %d\n%s%s", args, code, want, &o, &e)
	}
	return o.String(), e.String()
}

func TestModelsAreListedAndShown(t *testing.T) {
	if out, _ := knowngood(t, 0, "models", "list"); !strings.Contains(out, "424 services, 18378 operations") {
		t.Errorf("%s", out)
	}
	out, _ := knowngood(t, 0, "models", "show", "ec2", "create_volume")
	for _, want := range []string{"class write; IAM ec2:CreateVolume", "client token: ClientToken", "Encrypted  boolean", "VolumeType  string: standard | io1", "VolumeId  string"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	// A shape inside itself ends.
	if out, _ := knowngood(t, 0, "models", "show", "dynamodb", "PutItem"); !strings.Contains(out, "as above") {
		t.Errorf("%s", out)
	}
	if _, errs := knowngood(t, 2, "models", "show", "ec3"); !strings.Contains(errs, "ec2") {
		t.Errorf("%s", errs)
	}
}

func TestModelsAreUpdated(t *testing.T) {
	raw, err := exec.Command("python3", "-c", "import botocore, os; print(os.path.dirname(botocore.__file__))").Output()
	if err != nil {
		t.Skip("python3 with botocore is not installed")
	}
	pack := filepath.Join(t.TempDir(), "models", "models.pack")
	t.Setenv("KNOWNGOOD_MODELS", pack)
	// What is used is the pack that was brought, so one that is broken shows.
	knowngood(t, 2, "version")
	if out, _ := knowngood(t, 0, "models", "update", strings.TrimSpace(string(raw))); !strings.Contains(out, pack) {
		t.Errorf("%s", out)
	}
	knowngood(t, 0, "version")
	if err := os.WriteFile(pack, []byte("awsapi/1 and nothing else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := knowngood(t, 2, "version"); !strings.Contains(errs, "--built-in") {
		t.Errorf("%s", errs)
	}
	knowngood(t, 0, "models", "update", "--built-in")
	knowngood(t, 2, "models", "update", t.TempDir())
	knowngood(t, 2, "models", "update")
}

func TestACallIsCheckedAndMade(t *testing.T) {
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	box, err := sandbox.New(sandbox.Options{Catalog: catalog})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(box)
	defer server.Close()
	id, secret := box.Credentials()
	for k, v := range map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_REGION": "eu-west-1", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		t.Setenv(k, v)
	}
	knowngood(t, 2, "call", "ec2", "CreateVolume", "Size=big")
	knowngood(t, 2, "call", "ec2", "CreateVolume", "--json", "[]")
	knowngood(t, 0, "call", "ec2", "CreateVolume", "AvailabilityZone=eu-west-1a", "Size=5", "--check")
	knowngood(t, 5, "call", "ec2", "CreateVolume", "AvailabilityZone=eu-west-1a", "Size=5")
	if len(box.Calls()) != 0 {
		t.Fatalf("%v were made", box.Calls())
	}
	knowngood(t, 0, "call", "ec2", "create_volume", "AvailabilityZone=eu-west-1a", "Size=5", "--write")
	out, _ := knowngood(t, 0, "call", "ec2", "DescribeVolumes", `Filters=[{"Name":"availability-zone","Values":["eu-west-1a"]}]`, "--pages")
	var page struct{ Volumes []struct{ Size int } }
	if err := json.Unmarshal([]byte(out), &page); err != nil || len(page.Volumes) != 1 || page.Volumes[0].Size != 5 {
		t.Errorf("%v: %s", err, out)
	}
	if _, errs := knowngood(t, 1, "call", "ec2", "DescribeVolumes", `VolumeIds=["vol-0"]`); !strings.Contains(errs, "InvalidVolume.NotFound") {
		t.Errorf("%s", errs)
	}
}

func TestTheDemoSaysInJSONWhatItCameTo(t *testing.T) {
	out, _ := knowngood(t, 0, "demo", "--state", t.TempDir(), "--output", "json")
	var result struct {
		Findings, VerifiedFixes, Left int
		Residuals                     []any
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil || result.Findings != 3 || result.VerifiedFixes != 3 || result.Left != 0 || len(result.Residuals) != 2 {
		t.Errorf("%v: %s", err, out)
	}
	knowngood(t, 2, "demo", "--output", "csv")
}
