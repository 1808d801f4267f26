package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/knowngood/knowngood"
)

// KeepAttachments keeps files of a plan's document, by their SHA-256, as long as
// the plan may be applied or its run is remembered, and gives those of the plan's
// files that are not kept. Repeats are harmless.
func (s *Store) KeepAttachments(ctx context.Context, p *knowngood.Plan, files map[string][]byte) (missing []knowngood.AttachmentRef, err error) {
	err = s.tx(ctx, func(tx *sql.Tx) error {
		missing = nil
		for _, a := range p.Document.Attachments {
			if _, err := tx.Exec("INSERT INTO plan_attachments (plan, sha256, made) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", p.Hash, a.SHA256, micros(p.Created)); err != nil {
				return err
			}
			var kept int
			if err := tx.QueryRow("SELECT count(*) FROM attachments WHERE sha256 = ?", a.SHA256).Scan(&kept); err != nil {
				return err
			}
			content, given := files[a.SHA256]
			switch {
			case kept > 0:
			case !given:
				missing = append(missing, a)
			default:
				if content == nil {
					content = []byte{} // NULL is no content
				}
				if _, err := tx.Exec("INSERT INTO attachments (sha256, content) VALUES (?, ?)", a.SHA256, content); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return missing, err
}

// Attachment gives a file by its SHA-256; kind knowngood.NotFound where it is not
// kept.
func (s *Store) Attachment(ctx context.Context, sha256 string) ([]byte, error) {
	var content []byte
	err := s.read.QueryRowContext(ctx, "SELECT content FROM attachments WHERE sha256 = ?", sha256).Scan(&content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, knowngood.E(knowngood.NotFound, "", "there is no attachment with the sha256 %s", sha256)
	}
	return content, err
}

// pruneAttachments forgets what no run needs that is remembered, nor a plan that
// was made since.
func pruneAttachments(tx *sql.Tx, before time.Time) error {
	if _, err := tx.Exec("DELETE FROM plan_attachments WHERE made < ? AND plan NOT IN (SELECT plan FROM runs)", micros(before)); err != nil {
		return err
	}
	_, err := tx.Exec("DELETE FROM attachments WHERE sha256 NOT IN (SELECT sha256 FROM plan_attachments)")
	return err
}
