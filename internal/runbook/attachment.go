package runbook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// Attachment is a file that belongs to a document: an entry of its files.
type Attachment struct {
	knowngood.Position // of the entry
	Name               string
	SHA256             string // in hex
}

// AWS's limits of attachments: five files, as "Using scripts in runbooks" has it.
const (
	maxAttachments     = 5
	maxAttachmentBytes = 100 << 20
)

// Attachments are the document's files.
func (d *Document) Attachments() []Attachment { return slices.Clone(d.files) }

// NeedsAttachments says whether a step may need the document's files.
func (d *Document) NeedsAttachments() bool {
	return len(d.files) > 0 && slices.ContainsFunc(d.steps, func(s *Step) bool { return s.Action == scriptAction })
}

// AttachmentSource is a place in which a document's files are looked for.
type AttachmentSource struct {
	Place string // for messages: "the folder code", "s3://bucket/code"
	// Get gives a file by its name. It makes reads only, and may be called again.
	// The bytes need not be those of the document's checksum.
	Get func(ctx context.Context, name string) ([]byte, error)
}

// ReadAttachments gives the document's files by their names, each from the first
// of the sources that has it as the document's checksum wants it. The errors, a
// *knowngood.FileError for each file that is not to be had, say what is in each
// place.
func (d *Document) ReadAttachments(ctx context.Context, sources ...AttachmentSource) (map[string][]byte, error) {
	files := map[string][]byte{}
	var errs []error
	for _, a := range d.files {
		raw, err := a.read(ctx, sources)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		files[a.Name] = raw
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return files, ctx.Err()
}

// AttachmentError says why a file of a document is not to be had.
type AttachmentError struct {
	*knowngood.FileError
	// Differs: there is a file of this name, with another content.
	Differs bool
}

// Unwrap gives the place in the document and the problem.
func (e *AttachmentError) Unwrap() error { return e.FileError }

// AttachmentErrors are the errors of ReadAttachments, one by one.
func AttachmentErrors(err error) []*AttachmentError {
	var out []*AttachmentError
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range all.Unwrap() {
			var a *AttachmentError
			if errors.As(e, &a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (a Attachment) read(ctx context.Context, sources []AttachmentSource) ([]byte, error) {
	var why []string
	differs := false
	for _, source := range sources {
		raw, err := source.Get(ctx, a.Name)
		if err != nil {
			why = append(why, source.Place+": "+err.Error())
			continue
		}
		got := hashOf(raw)
		if got == a.SHA256 {
			return raw, nil
		}
		differs = true
		why = append(why, fmt.Sprintf("that of %s has the sha256 %s", source.Place, got))
	}
	if len(why) == 0 {
		why = []string{"nobody has said where it is"}
	}
	is := "is not to be had"
	if differs {
		is = "is another"
	}
	return nil, &AttachmentError{Differs: differs, FileError: &knowngood.FileError{
		Position: a.Position, Problem: fmt.Sprintf("the attachment %s %s: %s", a.Name, is, strings.Join(why, "; ")), Want: "a file with the sha256 " + a.SHA256,
	}}
}

func hashOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

func (a Attachment) missing(err error) error {
	return fmt.Errorf("the attachment %s (sha256 %s), which has the step's code, is not to be had: %w", a.Name, a.SHA256, err)
}

func (a Attachment) check(raw []byte) error {
	if got := hashOf(raw); got != a.SHA256 {
		return fmt.Errorf("the attachment %s has the sha256 %s, the document wants %s", a.Name, got, a.SHA256)
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
		p.doc.files = append(p.doc.files, Attachment{Position: f.pos, Name: f.name, SHA256: sum})
	}
}

// FolderAttachments finds files by their names in a folder.
func FolderAttachments(folder fs.FS, name string) AttachmentSource {
	return AttachmentSource{Place: name, Get: func(_ context.Context, name string) ([]byte, error) {
		if !fs.ValidPath(name) {
			return nil, fmt.Errorf("%s is no name of a file", excerpt(name))
		}
		f, err := folder.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return limited(f)
	}}
}

// S3Attachments finds files in S3, as CreateDocument's SourceUrl and S3FileUrl
// name it: below a prefix, or the one object that has a file's name. at is
// "s3://bucket/prefix", or a URL of S3's own, whose Region then counts.
func S3Attachments(caller awsapi.Caller, at string) (AttachmentSource, error) {
	bucket, prefix, region, ok := s3Place(at)
	if !ok {
		return AttachmentSource{}, fmt.Errorf("%s is not of the form s3://bucket/prefix or https://bucket.s3.REGION.amazonaws.com/prefix", excerpt(at))
	}
	var opts []awsapi.CallOption
	if region != "" {
		opts = append(opts, awsapi.Region(region))
	}
	return AttachmentSource{Place: at, Get: func(ctx context.Context, name string) ([]byte, error) {
		key := prefix
		if path.Base(prefix) != name || strings.HasSuffix(prefix, "/") {
			key = strings.TrimPrefix(path.Join("/", prefix, name), "/")
		}
		out, err := caller.Call(ctx, "s3", "GetObject", map[string]any{"Bucket": bucket, "Key": key}, opts...)
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
		return nil, fmt.Errorf("s3://%s/%s has no content", bucket, key)
	}}, nil
}

// DocumentAttachments finds the files of a document of Systems Manager, as
// GetDocument names them: each by a URL that fetch reads. version may be "".
func DocumentAttachments(caller awsapi.Caller, document, version string, fetch func(ctx context.Context, url string) (io.ReadCloser, error)) AttachmentSource {
	place := "the document " + document
	in := map[string]any{"Name": document}
	if version != "" {
		place += " of version " + version
		in["DocumentVersion"] = version
	}
	return AttachmentSource{Place: place, Get: func(ctx context.Context, name string) ([]byte, error) {
		out, err := caller.Call(ctx, "ssm", "GetDocument", in)
		if err != nil {
			return nil, err
		}
		files, _ := plain(out["AttachmentsContent"]).([]any)
		for _, f := range files {
			if text(object(f)["Name"]) != name {
				continue
			}
			body, err := fetch(ctx, text(object(f)["Url"]))
			if err != nil {
				return nil, err
			}
			defer body.Close()
			return limited(body)
		}
		return nil, fmt.Errorf("it has no attachment %s", excerpt(name))
	}}
}

// s3Host is the host of a URL of S3: the bucket before it or, where there is none,
// at the beginning of the path.
var s3Host = regexp.MustCompile(`^(?:([a-z0-9.-]+)\.)?s3(?:[.-]([a-z]{2}(?:-[a-z]+)+-\d+))?\.amazonaws\.com(?:\.cn)?$`)

// s3Place reads s3://bucket/prefix and S3's URLs.
func s3Place(at string) (bucket, prefix, region string, ok bool) {
	u, err := url.Parse(at)
	if err != nil {
		return "", "", "", false
	}
	prefix = strings.TrimPrefix(u.Path, "/")
	switch m := s3Host.FindStringSubmatch(u.Host); {
	case u.Scheme == "s3":
		bucket = u.Host
	case u.Scheme != "https" || m == nil:
		return "", "", "", false
	case m[1] != "":
		bucket, region = m[1], m[2]
	default:
		bucket, prefix, _ = strings.Cut(prefix, "/")
		region = m[2]
	}
	return bucket, prefix, region, bucket != ""
}

func limited(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxAttachmentBytes+1))
	if err == nil && len(raw) > maxAttachmentBytes {
		err = fmt.Errorf("it has more than %d bytes", maxAttachmentBytes)
	}
	return raw, err
}
