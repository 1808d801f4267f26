package runbook

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// optionCaller is a caller that sees the options of a call.
type optionCaller func(in map[string]any, o awsapi.CallOptions) (map[string]any, error)

func (f optionCaller) Call(_ context.Context, _, _ string, in map[string]any, opts ...awsapi.CallOption) (map[string]any, error) {
	return f(in, awsapi.Options(opts...))
}

func TestFolderAttachments(t *testing.T) {
	folder := FolderAttachments(fstest.MapFS{"code.py": {Data: []byte("x")}}, "the folder")
	if raw, err := folder.Get(t.Context(), "code.py"); err != nil || string(raw) != "x" {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := folder.Get(t.Context(), "../code.py"); err == nil {
		t.Error("a path out of the folder was read")
	}
	if _, err := folder.Get(t.Context(), "other.py"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestS3Attachments(t *testing.T) {
	for _, c := range []struct{ at, bucket, key, region string }{
		{"s3://b/p/q", "b", "p/q/code.py", ""},
		{"s3://b/p/q/", "b", "p/q/code.py", ""},
		{"s3://b", "b", "code.py", ""},
		{"s3://b/", "b", "code.py", ""},
		{"s3://b/p/code.py", "b", "p/code.py", ""},
		{"s3://b/p/code.py/", "b", "p/code.py/code.py", ""},
		{"https://b.s3.eu-west-1.amazonaws.com/p", "b", "p/code.py", "eu-west-1"},
		{"https://a.b.s3.amazonaws.com/p", "a.b", "p/code.py", ""},
		{"https://s3-us-gov-west-1.amazonaws.com/b/p/code.py", "b", "p/code.py", "us-gov-west-1"},
		{"https://s3.cn-north-1.amazonaws.com.cn/b/p", "b", "p/code.py", "cn-north-1"},
	} {
		source, err := S3Attachments(optionCaller(func(in map[string]any, o awsapi.CallOptions) (map[string]any, error) {
			if in["Bucket"] != c.bucket || in["Key"] != c.key || o.Region != c.region {
				t.Errorf("%s: read %v in %q", c.at, in, o.Region)
			}
			return map[string]any{"Body": strings.NewReader("y")}, nil
		}), c.at)
		if err != nil {
			t.Fatal(err)
		}
		if raw, err := source.Get(t.Context(), "code.py"); err != nil || string(raw) != "y" {
			t.Errorf("%s: %q, %v", c.at, raw, err)
		}
	}
	for _, at := range []string{"https://example.com/p", "http://b.s3.amazonaws.com/p", "s3://", "https://s3.amazonaws.com/", "https://s3.amazonaws.com.example.com/b/p", "%"} {
		if _, err := S3Attachments(nil, at); err == nil {
			t.Errorf("%s was taken", at)
		}
	}
}

func TestDocumentAttachments(t *testing.T) {
	ssm := callerFunc(func(_ context.Context, service, operation string, in map[string]any) (map[string]any, error) {
		if service != "ssm" || operation != "GetDocument" || in["Name"] != "Mine" || in["DocumentVersion"] != "3" {
			t.Errorf("called %s:%s %v", service, operation, in)
		}
		return map[string]any{"AttachmentsContent": []any{map[string]any{"Name": "other.py", "Url": "u"}, map[string]any{"Name": "code.py", "Url": "v"}}}, nil
	})
	source := DocumentAttachments(ssm, "Mine", "3", func(_ context.Context, url string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("from " + url)), nil
	})
	if raw, err := source.Get(t.Context(), "code.py"); err != nil || string(raw) != "from v" {
		t.Errorf("%q, %v", raw, err)
	}
	if _, err := source.Get(t.Context(), "none.py"); err == nil || err.Error() != `it has no attachment "none.py"` {
		t.Errorf("%v", err)
	}
	if source.Place != "the document Mine of version 3" {
		t.Error(source.Place)
	}
}

// A file is taken from the first place that has the right one; else every place
// says what it has, at the file's line in the document.
func TestReadAttachments(t *testing.T) {
	d, err := Parse("a.yaml", []byte("schemaVersion: '0.3'\nfiles:\n  code.py: {checksums: {sha256: "+hashOf([]byte("x"))+"}}\nmainSteps:\n  - {name: S, action: 'aws:executeScript', inputs: {Runtime: python3.11, Handler: f, Attachment: code.py}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !d.NeedsAttachments() {
		t.Error("it needs none")
	}
	empty := FolderAttachments(fstest.MapFS{}, "the folder e")
	stale := FolderAttachments(fstest.MapFS{"code.py": {Data: []byte("old")}}, "the folder s")
	good := FolderAttachments(fstest.MapFS{"code.py": {Data: []byte("x")}}, "the folder g")
	files, err := d.ReadAttachments(t.Context(), empty, stale, good)
	if err != nil || string(files["code.py"]) != "x" {
		t.Errorf("%q, %v", files, err)
	}
	for _, c := range []struct {
		sources []AttachmentSource
		differs bool
		want    string
	}{
		{nil, false, "is not to be had: nobody has said where it is"},
		{[]AttachmentSource{empty}, false, "is not to be had: the folder e: open code.py: file does not exist"},
		{[]AttachmentSource{empty, stale}, true, "is another: the folder e: open code.py: file does not exist; that of the folder s has the sha256 " + hashOf([]byte("old"))},
	} {
		_, err := d.ReadAttachments(t.Context(), c.sources...)
		want := "a.yaml:3:3: the attachment code.py " + c.want + "; expected a file with the sha256 " + hashOf([]byte("x"))
		var a *AttachmentError
		var f *knowngood.FileError
		if !errors.As(err, &a) || !errors.As(err, &f) || a.Differs != c.differs || err.Error() != want {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
}
