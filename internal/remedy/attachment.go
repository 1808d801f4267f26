package remedy

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// The files of documents are read when a plan is made, checked, and kept in the
// store under their hashes, which are in the plan. The plan has no content: people
// read and approve it, a fleet has thousands of plans with the same files, and a
// file has up to 100 MiB. Where a plan is applied with another store, they are looked
// for once more, and any place will do, for the plan says what they must be.

// beside is where a document of this name is.
func (c *Content) beside(name string) runbook.AttachmentSource {
	if library, err := fs.Sub(c.files, "runbooks"); err == nil {
		if _, err := fs.Stat(library, name+".yaml"); err == nil {
			return runbook.FolderAttachments(library, "the library")
		}
	}
	folder := filepath.Dir(name)
	return runbook.FolderAttachments(os.DirFS(folder), "the folder "+folder)
}

// sources are where files of documents are looked for, in order. They are read with
// the caller's own credentials: a document is the caller's, and not its role's.
func (r *Remediator) sources(beside runbook.AttachmentSource) []runbook.AttachmentSource {
	if r.Attachments == nil {
		return []runbook.AttachmentSource{beside}
	}
	return append(slices.Clip(r.Attachments(r.As(nil, "attachments", Narrowing{}))), beside)
}

const attachmentHint = "--attachments says where the files of documents are: a folder, or s3://bucket/prefix"

// attachments are the files that the document's scripts need, by their names, and
// what a plan says of them. They are read once, whatever the number of plans.
func (b *Runbook) attachments(ctx context.Context, sources []runbook.AttachmentSource) (map[string][]byte, []knowngood.AttachmentRef, error) {
	if !b.Document.NeedsAttachments() {
		return nil, nil, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.files == nil {
		files, err := b.Document.ReadAttachments(ctx, sources...)
		if err != nil {
			return nil, nil, (&knowngood.Error{Kind: knowngood.Invalid, Op: "plan " + b.Ref.Name, Err: err}).WithHint(attachmentHint)
		}
		b.files = files
	}
	var refs []knowngood.AttachmentRef
	for _, a := range b.Document.Attachments() {
		refs = append(refs, knowngood.AttachmentRef{Name: a.Name, SHA256: a.SHA256, Size: int64(len(b.files[a.Name]))})
	}
	return b.files, refs, nil
}

// keepAttachments keeps a new plan's files.
func (r *Remediator) keepAttachments(ctx context.Context, plan *knowngood.Plan, files map[string][]byte) error {
	if len(plan.Document.Attachments) == 0 {
		return nil
	}
	bySum := map[string][]byte{}
	for _, a := range plan.Document.Attachments {
		bySum[a.SHA256] = files[a.Name]
	}
	_, err := r.Records.KeepAttachments(ctx, plan, bySum)
	return err
}

// filesOf are a runbook's files. They belong to the document, which is the caller's,
// and not the role's.
func (r *Remediator) filesOf(ctx context.Context, book *Runbook) (map[string][]byte, []knowngood.AttachmentRef, error) {
	return book.attachments(ctx, r.sources(book.Beside))
}

// keepChildren keeps the files of what a plan executes, with the plan.
func (r *Remediator) keepChildren(ctx context.Context, plan *knowngood.Plan, files map[string][]byte) error {
	if len(files) == 0 {
		return nil
	}
	all := *plan
	all.Document.Attachments = nil
	for sum := range files {
		all.Document.Attachments = append(all.Document.Attachments, knowngood.AttachmentRef{SHA256: sum})
	}
	_, err := r.Records.KeepAttachments(ctx, &all, files)
	return err
}

// bringAttachments sees to it that the store has the files of a plan that is to be
// applied.
func (r *Remediator) bringAttachments(ctx context.Context, plan *knowngood.Plan) error {
	if len(plan.Document.Attachments) == 0 {
		return nil
	}
	missing, err := r.Records.KeepAttachments(ctx, plan, nil)
	if err != nil || len(missing) == 0 {
		return err
	}
	d, err := runbook.Parse(plan.Document.Name, []byte(plan.Document.Content))
	if err != nil {
		return err
	}
	files, err := d.ReadAttachments(ctx, r.sources(r.Content.beside(plan.Document.Name))...)
	if err == nil {
		return r.keepAttachments(ctx, plan, files)
	}
	names := make([]string, len(missing))
	for i, a := range missing {
		names[i] = a.Name
	}
	return knowngood.E(knowngood.Invalid, "apply plan "+plan.Hash[:12], "the plan was made with another store, and this one lacks its %s: %w", strings.Join(names, ", "), err).
		WithHint(attachmentHint)
}

// effects are the remediator's, with the store's files and cancel requests.
func (r *Remediator) effects() runbook.Effects {
	e := r.Effects
	if e.Cancelled == nil {
		e.Cancelled = r.cancelled
	}
	if e.Attachment == nil {
		e.Attachment = func(ctx context.Context, _, sha256 string) ([]byte, error) { return r.Records.Attachment(ctx, sha256) }
	}
	return e
}
