package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// attachmentOptions are the flags that say where the files of documents are.
type attachmentOptions struct{ attachments []string }

func (o *attachmentOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.attachments, "attachments", nil, "where the files of runbooks are, if not beside them: a folder, a file, s3://bucket/prefix, S3's https URL, or ssm:DOCUMENT[:VERSION] for those of a document of the account; may be given several times")
}

// check says what of the places can't be one. Kind knowngood.Usage.
func (o attachmentOptions) check() error {
	for _, place := range o.attachments {
		if _, err := attachmentsAt(place, nil); err != nil {
			return &knowngood.Error{Kind: knowngood.Usage, Op: "--attachments", Err: err}
		}
	}
	return nil
}

// sources are the places; those in AWS are read by caller.
func (o attachmentOptions) sources(caller awsapi.Caller) []runbook.AttachmentSource {
	var out []runbook.AttachmentSource
	for _, place := range o.attachments {
		if source, err := attachmentsAt(place, caller); err == nil { // see check
			out = append(out, source)
		}
	}
	return out
}

// inAWS says whether a place is none of this machine's.
func inAWS(place string) bool {
	return strings.Contains(place, "://") || strings.HasPrefix(place, "ssm:")
}

func attachmentsAt(place string, caller awsapi.Caller) (runbook.AttachmentSource, error) {
	if document, ok := strings.CutPrefix(place, "ssm:"); ok {
		name, version, _ := strings.Cut(document, ":")
		return runbook.DocumentAttachments(caller, name, version, fetch), nil
	}
	if inAWS(place) {
		return runbook.S3Attachments(caller, place)
	}
	_, err := os.Stat(place)
	return localAttachments(place), err
}

// fetchTime is how long a file may take.
const fetchTime = 5 * time.Minute

// fetch reads what a URL leads to, which is signed: no message has it.
func fetch(ctx context.Context, at string) (io.ReadCloser, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, errors.New("its URL does not begin with https://")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		cancel()
		return nil, errors.New("its URL is none")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		cancel()
		return nil, errors.New(whyNot(err, fetchTime))
	}
	if response.StatusCode != http.StatusOK {
		cancel()
		return nil, errors.Join(fmt.Errorf("its URL is answered with the code %d", response.StatusCode), response.Body.Close())
	}
	return limitedBody{response.Body, cancel}, nil
}

// limitedBody ends its request when it is closed.
type limitedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (b limitedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// localAttachments is a folder, or the folder of a file that alone is meant.
func localAttachments(place string) runbook.AttachmentSource {
	if info, err := os.Stat(place); err != nil || info.IsDir() {
		return runbook.FolderAttachments(os.DirFS(place), "the folder "+place)
	}
	folder := runbook.FolderAttachments(os.DirFS(filepath.Dir(place)), "the file "+place)
	return runbook.AttachmentSource{Place: folder.Place, Get: func(ctx context.Context, name string) ([]byte, error) {
		if name != filepath.Base(place) {
			return nil, fs.ErrNotExist
		}
		return folder.Get(ctx, name)
	}}
}

// openWith is open, for runbooks whose files are in certain places.
func (o awsOptions) openWith(ctx context.Context, files attachmentOptions) (*session, error) {
	if err := files.check(); err != nil {
		return nil, err
	}
	ses, err := o.open(ctx)
	if err == nil {
		ses.files = files
	}
	return ses, err
}
