package remedy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/runbook"
)

// Content is what ships with the product for remediations: runbooks, their
// entries, the table of writes, and prices.
type Content struct {
	Operations Operations
	Prices     Prices
	files      fs.FS
}

// LoadContent reads the tables of a library; runbooks are read when they are
// asked for.
func LoadContent(library fs.FS) (*Content, error) {
	rows, err := fs.Sub(library, "operations")
	if err != nil {
		return nil, err
	}
	c := &Content{files: library}
	if c.Operations, err = LoadOperations(rows); err != nil {
		return nil, err
	}
	c.Prices, err = LoadPrices(library)
	return c, err
}

// Runbook is a document that can be planned, with what is said beside it.
type Runbook struct {
	Document *runbook.Document
	Ref      knowngood.DocumentRef
	Entry    Entry
	// Beside is where the document is, and perhaps its files.
	Beside runbook.AttachmentSource

	mu    sync.Mutex
	files map[string][]byte // once they were read; see attachments
}

// Runbook finds a runbook by its name in the library, else as a file of the
// user's. Errors are of kind Invalid.
func (c *Content) Runbook(name string) (*Runbook, error) {
	raw, err := fs.ReadFile(c.files, path.Join("runbooks", name+".yaml"))
	own := err != nil
	if own {
		if raw, err = os.ReadFile(name); err != nil {
			return nil, knowngood.E(knowngood.Invalid, "read the runbook", "%s %w", name, errNoRunbook).WithHint("the library has %s", strings.Join(c.names(), ", "))
		}
	}
	return c.parse(name, raw, own)
}

func (c *Content) parse(name string, raw []byte, own bool) (*Runbook, error) {
	d, err := runbook.Parse(name, raw)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the runbook", Err: err}
	}
	entry, err := c.Entry(name)
	if own {
		entry, err = ownEntry(name)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	ref := knowngood.DocumentRef{Name: name, SHA256: hex.EncodeToString(sum[:]), Content: string(raw)}
	return &Runbook{Document: d, Ref: ref, Entry: entry, Beside: c.beside(name)}, nil
}

// Executed finds the runbook that a step executes: one of the library's, the user's
// file of that name beside the document that has the step, with .yaml, .yml or .json
// or without, and else, or where a certain version is asked for, what SSM's
// GetDocument answers.
func (c *Content) Executed(ctx context.Context, by, name, version string, document func(ctx context.Context, name, version string) (map[string]any, error)) (*Runbook, error) {
	latest := version == "" || version == "$DEFAULT" || version == "$LATEST"
	if latest && documentForm.MatchString(name) {
		for _, end := range []string{"", ".yaml", ".yml", ".json"} {
			file := name + end
			if dir := filepath.Dir(by); end != "" && dir != "." {
				file = filepath.Join(dir, file)
			}
			if book, err := c.Runbook(file); err == nil || !errors.Is(err, errNoRunbook) {
				return book, err
			}
		}
	}
	out, err := document(ctx, name, version)
	if err != nil {
		return nil, knowngood.E(knowngood.Invalid, "", "it is neither in the library nor a file of that name here, and SSM does not give it: %w", err)
	}
	content, _ := out["Content"].(string)
	if kind, _ := out["DocumentType"].(string); kind != "Automation" {
		return nil, knowngood.E(knowngood.Invalid, "", "it is a document of type %s, not Automation", kind)
	}
	book, err := c.parse(name, []byte(content), false)
	if err != nil {
		return nil, err
	}
	book.Ref.Version, _ = out["DocumentVersion"].(string)
	return book, nil
}

// documentForm is the form of a document's name that may be that of a file here.
var documentForm = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]*$`)

var errNoRunbook = errors.New("is neither in the library nor a file that can be read")

// names are those of the library's runbooks, sorted.
func (c *Content) names() []string {
	found, _ := fs.Glob(c.files, "runbooks/*.yaml") // the pattern is right
	for i, file := range found {
		found[i] = strings.TrimSuffix(path.Base(file), ".yaml")
	}
	return found
}

// Entry gives what is said beside a runbook.
func (c *Content) Entry(runbook string) (Entry, error) {
	entries, err := fs.Sub(c.files, "entries")
	if err != nil {
		return Entry{}, err
	}
	return LoadEntry(entries, runbook)
}

// ownEntry reads the entry beside a runbook of the user's: that of fix.yaml is
// fix.entry.yaml. There may be none. Errors are of kind Invalid.
func ownEntry(runbook string) (Entry, error) {
	file := strings.TrimSuffix(runbook, path.Ext(runbook)) + ".entry.yaml"
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, nil
	}
	var e Entry
	if err == nil {
		e, err = parseEntry(file, raw)
	}
	if err != nil {
		return Entry{}, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the runbook's entry", Err: err}
	}
	return e, nil
}
