package storetest

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/knowngood/knowngood"
)

// Attachments is the part of a store that keeps the files of documents.
type Attachments interface {
	KeepAttachments(ctx context.Context, p *knowngood.Plan, files map[string][]byte) (missing []knowngood.AttachmentRef, err error)
	Attachment(ctx context.Context, sha256 string) ([]byte, error)
}

// attachments: a file is there as long as a plan needs it that may still be
// applied, or whose run is remembered.
func attachments(t *testing.T, open func() Store) {
	ctx := t.Context()
	s := open()
	files := map[string][]byte{"aa": {0, 1, 0xff}, "bb": nil, "cc": []byte("no plan names it")}
	plan := func(hash string, made time.Time, sums ...string) *knowngood.Plan {
		p := &knowngood.Plan{Hash: hash, Created: made}
		for _, sum := range sums {
			p.Document.Attachments = append(p.Document.Attachments, knowngood.AttachmentRef{Name: sum + ".py", SHA256: sum})
		}
		return p
	}
	keep := func(p *knowngood.Plan, files map[string][]byte, want ...string) {
		t.Helper()
		missing, err := s.KeepAttachments(ctx, p, files)
		must(t, err)
		var names []string
		for _, a := range missing {
			names = append(names, a.Name)
		}
		if len(names) != len(want) || len(names) > 0 && names[0] != want[0] {
			t.Errorf("missing are %q, want %q", names, want)
		}
	}
	has := func(sum string, want []byte) {
		t.Helper()
		switch raw, err := open().Attachment(ctx, sum); {
		case want == nil:
			wantKind(t, err, knowngood.NotFound, "no attachment with the sha256 "+sum)
		case err != nil || !bytes.Equal(raw, want):
			t.Errorf("%s is %q, %v", sum, raw, err)
		}
	}
	keep(plan("hash-of-r1", start, "aa", "bb"), nil, "aa.py", "bb.py")
	keep(plan("hash-of-r1", start, "aa", "bb"), files)
	keep(plan("hash-of-r1", start, "aa", "bb"), nil)
	keep(plan("hash-of-r2", start, "aa"), nil)
	keep(plan("later", start.Add(time.Hour), "dd"), map[string][]byte{"dd": []byte("d")})
	has("aa", files["aa"])
	has("bb", []byte{})
	has("cc", nil)

	other := run("r2")
	other.Resource.ID = "vol-2"
	for _, r := range []knowngood.Run{run("r1"), other} {
		must(t, s.CreateRun(ctx, r))
	}
	epoch, err := s.Acquire(ctx, "r1", "a", start, time.Minute, nil)
	must(t, err)
	must(t, s.Append(ctx, "r1", epoch, entries(1, 1), knowngood.RunSuccess, "", nil))
	n, err := s.Prune(ctx, start.Add(time.Minute))
	if err != nil || n != 1 {
		t.Fatalf("%d pruned, %v", n, err)
	}
	has("aa", files["aa"]) // r2 needs it
	has("bb", nil)
	has("dd", []byte("d"))
	if _, err := s.Prune(ctx, start.Add(2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	has("aa", files["aa"])
	has("dd", nil) // nobody will apply so old a plan
}
