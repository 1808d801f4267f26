package app

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/runbook"
)

// attachmentOptions are the flags that say where the files of documents are.
type attachmentOptions struct{ attachments []string }

func (o *attachmentOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.attachments, "attachments", nil, "where the files of runbooks are, if not beside them: a folder, a file, s3://bucket/prefix or S3's https URL; may be given several times")
}

func inS3(place string) bool { return strings.Contains(place, "://") }

// check says what of the places can't be one. Kind knowngood.Usage.
func (o attachmentOptions) check() error {
	for _, place := range o.attachments {
		var err error
		if inS3(place) {
			_, err = runbook.S3Attachments(nil, place)
		} else {
			_, err = os.Stat(place)
		}
		if err != nil {
			return &knowngood.Error{Kind: knowngood.Usage, Op: "--attachments", Err: err}
		}
	}
	return nil
}

// sources are the places; those in S3 are read by caller.
func (o attachmentOptions) sources(caller awsapi.Caller) []runbook.AttachmentSource {
	var out []runbook.AttachmentSource
	for _, place := range o.attachments {
		if inS3(place) {
			if source, err := runbook.S3Attachments(caller, place); err == nil { // see check
				out = append(out, source)
			}
			continue
		}
		out = append(out, localAttachments(place))
	}
	return out
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
