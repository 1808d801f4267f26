package awsapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
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
	whole := encodeService(s)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decodeService(raw)
		if err != nil {
			return
		}
		encodeService(s)
		// Whatever models it has, working with them is an error at most.
		for i := range s.ops {
			op := &s.ops[i]
			in, err := op.Coerce(map[string]any{"RoleArn": "1", "Tags": []any{map[string]any{"Key": 1}}})
			if err != nil {
				continue
			}
			_ = op.Validate(in)
			_, _ = op.EncodeRequest(in, Endpoint{URL: "https://x"})
			for _, body := range []string{"<R><Tags><member/></Tags></R>", `{"Tags":[{}]}`, "\xa0"} {
				_, _ = op.DecodeResponse(200, nil, strings.NewReader(body))
				_, _ = op.DecodeResponse(400, nil, strings.NewReader(body))
			}
		}
	})
}

// An error of an operation that names no shape is a pack that was damaged.
func TestAnErrorWithoutAShapeIsRefused(t *testing.T) {
	c := testCatalog(t)
	s, err := c.Service("sts")
	if err != nil {
		t.Fatal(err)
	}
	holed, err := decodeService(encodeService(s)) // one of our own to damage
	if err != nil {
		t.Fatal(err)
	}
	holed.ops[0].Errors = []*Shape{nil}
	if _, err := decodeService(encodeService(holed)); !errors.Is(err, errCorrupt) {
		t.Errorf("%v", err)
	}
}

// FuzzPack opens a pack with any index and blob, and loads from it.
func FuzzPack(f *testing.F) {
	var blob bytes.Buffer
	s, err := testCatalog(f).Service("sts")
	if err != nil {
		f.Fatal(err)
	}
	if err := WritePack(&blob, "1", []byte(`{"partitions":[{"id":"aws","regionRegex":"^x$"}]}`), []*Service{s}); err != nil {
		f.Fatal(err)
	}
	raw := blob.Bytes()
	n := binary.BigEndian.Uint32(raw[len(packMagic):])
	head, blobs := raw[len(packMagic)+4:][:n], raw[len(packMagic)+4:][n:]
	f.Add(head, blobs)
	f.Add([]byte(`{"services":[{"name":"a","raw":99999999}]}`), []byte{})
	f.Add([]byte(`{"services":[{"name":"a","offset":-1,"size":2,"raw":16777216}],"partitions":[]}`), []byte{3, 0})
	f.Fuzz(func(t *testing.T, head, blobs []byte) {
		// With the right sum, lest every change end at it.
		var index map[string]any
		if json.Unmarshal(head, &index) == nil && index != nil {
			sum := sha256.Sum256(blobs)
			index["manifest"] = map[string]any{"sha256": hex.EncodeToString(sum[:])}
			head, _ = json.Marshal(index)
		}
		pack := binary.BigEndian.AppendUint32([]byte(packMagic), uint32(len(head)))
		c, err := OpenPack(append(append(pack, head...), blobs...))
		if err != nil {
			return
		}
		for _, name := range c.Services() {
			if s, err := c.Service(name); err == nil && s.Name != name {
				t.Fatalf("%s under the name %s", s.Name, name)
			}
			_, _ = c.ResolveEndpoint(name, EndpointParams{"Region": "x"})
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

func BenchmarkServiceEC2(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		c, err := OpenPack(embedded)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := c.Service("ec2"); err != nil {
			b.Fatal(err)
		}
	}
}

// The largest service is loaded when the first command touches ec2, so it has
// to be cheap: at most 1,300 allocations and 3 MB.
func TestLoadingEC2IsCheap(t *testing.T) {
	c, err := OpenPack(embedded)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := c.Service("ec2")
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	allocations, size := after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	t.Logf("%d operations: %d allocations, %d bytes", len(s.Operations()), allocations, size)
	if allocations > 1300 || size > 3_000_000 {
		t.Errorf("%d allocations and %d bytes; at most 1300 and 3,000,000", allocations, size)
	}
}

// Whatever the bytes, reading them is an error or a service, and takes memory
// in proportion to their number.
func TestReadingCorruptServicesIsBounded(t *testing.T) {
	s, err := embeddedCatalog(t).Service("sts")
	if err != nil {
		t.Fatal(err)
	}
	whole := encodeService(s)
	if _, err := decodeService(whole); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	for i := range whole {
		if _, err := decodeService(whole[:i]); err == nil {
			t.Fatalf("no error for the first %d of %d bytes", i, len(whole))
		}
		if i%11 != 0 {
			continue // reading the memory statistics takes long
		}
		for _, b := range []byte{0x00, 0x7f, 0xff} {
			changed := bytes.Clone(whole)
			changed[i] = b
			runtime.ReadMemStats(&before)
			_, _ = decodeService(changed)
			runtime.ReadMemStats(&after)
			if size := after.TotalAlloc - before.TotalAlloc; size > uint64(200*len(whole)) {
				t.Fatalf("byte %d as %#x: %d bytes for %d", i, b, size, len(whole))
			}
		}
	}
}
