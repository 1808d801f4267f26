package iampolicy_test

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/iampolicy"
)

// TestManagedPoliciesOfAWS reads AWS's own managed policies, which moto has.
func TestManagedPoliciesOfAWS(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not here, and so AWS's managed policies are not")
	}
	// Since moto 5 they are text in a Python module.
	out, err := exec.Command(python, "-c", `
import json
from moto.iam.aws_managed_policies import aws_managed_policies_data
print(json.dumps({n: json.dumps(p["Document"]) for n, p in json.loads(aws_managed_policies_data).items()}))`).Output()
	if err != nil {
		t.Skip("moto is not here, and so AWS's managed policies are not")
	}
	var documents map[string]string
	if err := json.Unmarshal(out, &documents); err != nil {
		t.Fatal(err)
	}
	if len(documents) < 500 {
		t.Fatalf("only %d policies", len(documents))
	}
	admins := 0
	for name, text := range documents {
		p, err := iampolicy.Parse(text, iampolicy.Identity)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		readsBack(t, name, p)
		if len(p.AdminStatements()) > 0 {
			admins++
		}
	}
	t.Logf("%d policies, %d with administrator's access", len(documents), admins)
	for name, want := range map[string]bool{"AdministratorAccess": true, "PowerUserAccess": false, "ReadOnlyAccess": false} {
		p := parse(t, documents[name], iampolicy.Identity)
		if got := len(p.AdminStatements()) > 0; got != want {
			t.Errorf("%s is an administrator's: %v, want %v", name, got, want)
		}
	}
	read := parse(t, documents["ReadOnlyAccess"], iampolicy.Identity)
	for action, want := range map[string]bool{"ec2:DescribeVolumes": true, "s3:GetObject": true, "s3:PutObject": false, "iam:CreateUser": false} {
		d := iampolicy.Evaluate(&iampolicy.Request{Principal: iampolicy.NewUser(ada), Action: action, Resource: "*"},
			&iampolicy.Policies{Identity: []iampolicy.Attached{{Policy: read}}})
		if d.Allowed != want {
			t.Errorf("ReadOnlyAccess allows %s: %v, want %v", action, d.Allowed, want)
		}
	}
}

func readsBack(t *testing.T, name string, p *iampolicy.Policy) {
	t.Helper()
	again, err := iampolicy.Parse(p.String(), iampolicy.AnyKind)
	if err != nil || !reflect.DeepEqual(bare(again), bare(p)) {
		t.Errorf("%s: %s reads back as %v, %v", name, p, again, err)
	}
}

// TestPoliciesOfRecordedResources reads every policy document that the sample
// configuration items hold, percent-encoded or not.
func TestPoliciesOfRecordedResources(t *testing.T) {
	files, _ := filepath.Glob("../../shared/corpora/config-items/*.json")
	if len(files) == 0 {
		t.Skip("no ../shared/corpora/config-items beside the repository")
	}
	found := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var item any
		if err := json.Unmarshal(raw, &item); err != nil {
			continue // some samples are templates
		}
		eachString(item, func(s string) {
			if decoded, err := url.PathUnescape(s); err == nil && strings.HasPrefix(s, "%7B") {
				s = decoded
			}
			if !strings.HasPrefix(strings.TrimSpace(s), "{") || !strings.Contains(s, `"Statement"`) || !strings.Contains(s, "-10-17") {
				return
			}
			var wrapped struct{ PolicyText string } // as S3's supplementary configuration has it
			if json.Unmarshal([]byte(s), &wrapped) == nil && wrapped.PolicyText != "" {
				s = wrapped.PolicyText
			}
			p, err := iampolicy.Parse(s, iampolicy.AnyKind)
			if err != nil {
				t.Errorf("%s: %s\n%v", filepath.Base(file), s, err)
				return
			}
			readsBack(t, file, p)
			found++
		})
	}
	if found == 0 {
		t.Error("no policy was found")
	}
	t.Logf("%d policies", found)
}

func eachString(v any, do func(string)) {
	switch v := v.(type) {
	case string:
		do(v)
	case []any:
		for _, e := range v {
			eachString(e, do)
		}
	case map[string]any:
		for _, e := range v {
			eachString(e, do)
		}
	}
}
