package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/knowngood/knowngood/awsapi"
)

// Attachment is a file that belongs to a document: an entry of its files.
type Attachment struct {
	Name   string
	SHA256 string // in hex
}

// AWS's limits of attachments: five files, as "Using scripts in runbooks" has it.
const (
	maxAttachments     = 5
	maxAttachmentBytes = 100 << 20
)

// Attachments are the document's files. Their content is looked for when a
// script needs it.
func (d *Document) Attachments() []Attachment { return slices.Clone(d.files) }

func (a Attachment) missing(err error) error {
	return fmt.Errorf("the attachment %s (sha256 %.12s…), which has the step's code, is not to be had: %w", a.Name, a.SHA256, err)
}

func (a Attachment) check(raw []byte) error {
	sum := sha256.Sum256(raw)
	if got := hex.EncodeToString(sum[:]); got != a.SHA256 {
		return fmt.Errorf("the attachment %s has the sha256 %.12s…, the document wants %.12s…", a.Name, got, a.SHA256)
	}
	return nil
}

var sha256Form = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)

// files reads the attachments' names and checksums.
func (p *docParser) files(n *node) {
	if n == nil {
		return
	}
	if n.kind != mapNode {
		p.add(n.pos, "a map of files", "files is %s", n.what())
		return
	}
	if len(n.fields) > maxAttachments {
		p.add(n.pos, fmt.Sprintf("at most %d", maxAttachments), "files has %d attachments", len(n.fields))
	}
	for _, f := range n.fields {
		what := "the file " + f.name
		if !p.object(f.value, what, "checksums", "size") {
			continue
		}
		sums := f.value.get("checksums")
		if sums == nil {
			p.add(f.pos, "checksums: {sha256: …}", "%s has no checksums", what)
			continue
		}
		// AWS's pages have sha256, the documents that it publishes SHA256.
		given := sums.get("sha256")
		if given == nil {
			given = sums.get("SHA256")
		}
		sum := strings.ToLower(p.str(given, what+": sha256"))
		if !sha256Form.MatchString(sum) {
			p.add(sums.pos, "sha256: 64 hexadecimal digits", "%s has the sha256 %s", what, excerpt(sum))
			continue
		}
		p.doc.files = append(p.doc.files, Attachment{Name: f.name, SHA256: sum})
	}
}

// FileAttachments finds attachments as files by their names, in the folder
// where the document is.
func FileAttachments(folder fs.FS) func(ctx context.Context, name, sha256 string) ([]byte, error) {
	return func(_ context.Context, name, _ string) ([]byte, error) {
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("%s is no name of a file", excerpt(name))
		}
		f, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f)
	}
}

// S3Attachments finds attachments by their names under a prefix of a bucket,
// "s3://bucket/prefix", as CreateDocument's SourceUrl names it.
func S3Attachments(caller awsapi.Caller, source string) (func(ctx context.Context, name, sha256 string) ([]byte, error), error) {
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, fmt.Errorf("%s is not of the form s3://bucket/prefix", excerpt(source))
	}
	return func(ctx context.Context, name, _ string) ([]byte, error) {
		key := strings.TrimPrefix(path.Join(u.Path, name), "/")
		out, err := caller.Call(ctx, "s3", "GetObject", map[string]any{"Bucket": u.Host, "Key": key})
		if err != nil {
			return nil, err
		}
		switch body := out["Body"].(type) {
		case io.ReadCloser:
			defer body.Close()
			return limited(body)
		case io.Reader:
			return limited(body)
		case []byte:
			return body, nil
		}
		return nil, fmt.Errorf("s3://%s/%s has no content", u.Host, key)
	}, nil
}

func limited(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxAttachmentBytes+1))
	if err == nil && len(raw) > maxAttachmentBytes {
		err = fmt.Errorf("it has more than %d bytes", maxAttachmentBytes)
	}
	return raw, err
}
