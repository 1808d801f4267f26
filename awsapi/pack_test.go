package awsapi

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestEmbeddedPackIsWholeAndSmall(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("botocore %s, %d services, %d operations, %d bytes", c.Manifest().Botocore, c.Manifest().Services, c.Manifest().Operations, len(embedded))
	if len(embedded) > 4<<20 {
		t.Errorf("%d bytes, at most 4 MB", len(embedded))
	}
	operations := 0
	for _, name := range c.Services() {
		s, err := c.Service(name)
		if err != nil {
			t.Fatal(err)
		}
		operations += len(s.Operations())
	}
	if operations != c.Manifest().Operations {
		t.Errorf("%d operations, the manifest says %d", operations, c.Manifest().Operations)
	}
}

func TestPackIsRebuiltByteForByte(t *testing.T) {
	out, err := exec.Command("python3", "-c", "import botocore,os;print(os.path.dirname(botocore.__file__))").Output()
	if err != nil {
		t.Skip("botocore is not installed")
	}
	raw, manifest, err := CompilePack(os.DirFS(strings.TrimSpace(string(out))))
	if err != nil {
		t.Fatal(err)
	}
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.Botocore != c.Manifest().Botocore {
		t.Skipf("botocore %s is installed; the pack is of %s", manifest.Botocore, c.Manifest().Botocore)
	}
	if !bytes.Equal(raw, embedded) {
		t.Errorf("the pack differs from one made now: %d bytes, %d now", len(embedded), len(raw))
	}
}

func TestNamesAsSDKsWriteThem(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"DescribeVolumes", "describe_volumes", "describeVolumes", "describe-volumes"} {
		if op, err := c.Operation("ec2", name); err != nil || op.Name != "DescribeVolumes" {
			t.Errorf("%s: %v, %v", name, op, err)
		}
	}
	_, err = c.Operation("ec2", "DescribeVolume")
	if err == nil || !strings.Contains(err.Error(), "DescribeVolumes") {
		t.Errorf("a near name: %v", err)
	}
	if _, err := c.Service("ec3"); err == nil || !strings.Contains(err.Error(), "near: ec2") {
		t.Errorf("a near service: %v", err)
	}
}

func TestCorruptPacksAreRefused(t *testing.T) {
	for _, n := range []int{0, 4, 8, 12, 100, len(embedded) / 2, len(embedded) - 1} {
		if _, err := OpenPack(embedded[:n]); err == nil {
			t.Errorf("no error for the first %d bytes", n)
		}
	}
	changed := bytes.Clone(embedded)
	changed[len(changed)-7] ^= 1
	if _, err := OpenPack(changed); err == nil {
		t.Error("no error for a changed byte")
	}
}

func FuzzDecodeService(f *testing.F) {
	c, err := Embedded()
	if err != nil {
		f.Fatal(err)
	}
	s, err := c.Service("sts")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encodeService(s))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if s, err := decodeService(raw); err == nil {
			encodeService(s)
		}
	})
}

func BenchmarkLoadEC2(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c, err := OpenPack(embedded)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Service("ec2"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEndpoints(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct {
		service string
		params  EndpointParams
		want    string
	}{
		{"ec2", EndpointParams{"Region": "eu-west-1"}, "https://ec2.eu-west-1.amazonaws.com"},
		{"ec2", EndpointParams{"Region": "cn-north-1"}, "https://ec2.cn-north-1.amazonaws.com.cn"},
		{"ec2", EndpointParams{"Region": "us-gov-west-1", "UseFIPS": true}, "https://ec2.us-gov-west-1.amazonaws.com"},
		{"s3", EndpointParams{"Region": "eu-west-1", "Bucket": "b-1"}, "https://b-1.s3.eu-west-1.amazonaws.com"},
		{"s3", EndpointParams{"Region": "eu-west-1", "Bucket": "b-1", "Endpoint": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000/b-1"},
		{"iam", EndpointParams{"Region": "eu-west-1"}, "https://iam.amazonaws.com"},
		{"kms", EndpointParams{"Region": "eu-west-1", "UseDualStack": true}, "https://kms.eu-west-1.api.aws"},
	} {
		ep, err := c.ResolveEndpoint(e.service, e.params)
		if err != nil || ep.URL != e.want {
			t.Errorf("%s %v: %s, %v; want %s", e.service, e.params, ep.URL, err, e.want)
		}
	}
}
