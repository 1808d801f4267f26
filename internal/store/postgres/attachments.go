package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/knowngood/knowngood"
)

// KeepAttachments keeps files of a plan's document, by their SHA-256, as long as
// the plan may be applied or its run is remembered, and gives those of the plan's
// files that are not kept. Repeats are harmless.
func (s *Store) KeepAttachments(ctx context.Context, p *knowngood.Plan, files map[string][]byte) (missing []knowngood.AttachmentRef, err error) {
	err = s.tx(ctx, func(tx pgx.Tx) error {
		missing = nil
		// That the plan needs it comes first: see pruneAttachments.
		for _, a := range p.Document.Attachments {
			if _, err := tx.Exec(ctx, "INSERT INTO plan_attachments (plan, sha256, made) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", p.Hash, a.SHA256, micros(p.Created)); err != nil {
				return err
			}
			var kept int
			if err := tx.QueryRow(ctx, "SELECT count(*) FROM attachments WHERE sha256 = $1", a.SHA256).Scan(&kept); err != nil {
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
				if _, err := tx.Exec(ctx, "INSERT INTO attachments (sha256, content) VALUES ($1, $2) ON CONFLICT DO NOTHING", a.SHA256, content); err != nil {
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
	err := s.pool.QueryRow(ctx, "SELECT content FROM attachments WHERE sha256 = $1", sha256).Scan(&content)
	if none(err) {
		return nil, knowngood.E(knowngood.NotFound, "", "there is no attachment with the sha256 %s", sha256)
	}
	return content, err
}

// pruneAttachments forgets what no run needs that is remembered, nor a plan that
// was made since. The lock keeps files from being kept meanwhile, which would be
// forgotten before it is seen that a plan needs them.
func pruneAttachments(ctx context.Context, tx pgx.Tx, before time.Time) error {
	if _, err := tx.Exec(ctx, "LOCK TABLE plan_attachments IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "DELETE FROM plan_attachments WHERE made < $1 AND plan NOT IN (SELECT plan FROM runs)", micros(before)); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "DELETE FROM attachments a WHERE NOT EXISTS (SELECT 1 FROM plan_attachments p WHERE p.sha256 = a.sha256)")
	return err
}
