package remedy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gowebpki/jcs"
	"github.com/knowngood/knowngood"
)

// HashPlan is the plan's hash: SHA-256, in hex, over its RFC 8785 form
// without the members hash and display, and with the hashes of its children in their
// place.
func HashPlan(p *knowngood.Plan) (string, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return "", err
	}
	delete(members, "hash")
	delete(members, "display")
	if len(p.Children) > 0 {
		hashes := make([]string, len(p.Children))
		for i := range p.Children {
			if hashes[i], err = HashPlan(&p.Children[i]); err != nil {
				return "", err
			}
		}
		if members["children"], err = json.Marshal(hashes); err != nil {
			return "", err
		}
	}
	if raw, err = json.Marshal(members); err != nil {
		return "", err
	}
	// RFC 8785 writes numbers as IEEE doubles; a larger integer would lose
	// digits, and two plans could share a hash.
	if err := refuseUnsafeIntegers(raw); err != nil {
		return "", err
	}
	form, err := jcs.Transform(raw)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(form)
	return hex.EncodeToString(sum[:]), nil
}

func refuseUnsafeIntegers(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil {
			return nil // the end: raw comes from json.Marshal
		}
		n, ok := t.(json.Number)
		if !ok || strings.ContainsAny(n.String(), ".eE") {
			continue
		}
		if i, err := n.Int64(); err != nil || i > 1<<53 || i < -(1<<53) {
			return fmt.Errorf("the number %s is beyond 2^53, which RFC 8785 can't tell from its neighbours", n)
		}
	}
}

// EncodePlan is the plan as the bytes of a plan file.
func EncodePlan(p *knowngood.Plan) ([]byte, error) {
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(raw, '\n'), nil
}

// DecodePlan reads a plan file and checks that it is whole: its form is known,
// its hash fits, and so does its document's. Errors are of kind
// knowngood.Invalid, with file and line where the file is not JSON, and of kind
// knowngood.Refused where a hash does not fit.
func DecodePlan(file string, raw []byte) (*knowngood.Plan, error) {
	var p knowngood.Plan
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: &knowngood.FileError{
			Position: knowngood.Position{File: file, Line: lineOf(raw, err, d)},
			Problem:  problemOf(err),
			Want:     "a plan file as `knowngood plan -o FILE` writes it",
		}}
	}
	if d.More() {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: &knowngood.FileError{
			Position: knowngood.Position{File: file, Line: 1 + bytes.Count(raw[:d.InputOffset()], []byte{'\n'})},
			Problem:  "something follows the plan", Want: "one plan in a file",
		}}
	}
	if p.Version != knowngood.PlanVersion {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: &knowngood.FileError{
			Position: knowngood.Position{File: file, Line: lineOfMember(raw, "version")},
			Problem:  fmt.Sprintf("its form is %q", p.Version), Want: fmt.Sprintf("%q", knowngood.PlanVersion),
		}}
	}
	normalise(&p)
	hash, err := HashPlan(&p)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the plan", Err: fmt.Errorf("%s: %w", file, err)}
	}
	if hash != p.Hash {
		return nil, (&knowngood.Error{Kind: knowngood.Refused, Op: "read the plan", Err: &knowngood.FileError{
			Position: knowngood.Position{File: file, Line: lineOfMember(raw, "hash")},
			Problem:  fmt.Sprintf("the plan was changed: it says that its hash is %s, and it is %s", p.Hash, hash),
			Want:     "the plan as it was made",
		}}).WithHint("make the plan again with `knowngood plan`")
	}
	if sum := sha256.Sum256([]byte(p.Document.Content)); hex.EncodeToString(sum[:]) != p.Document.SHA256 {
		return nil, knowngood.E(knowngood.Refused, "read the plan", "%s: the document in it does not fit its sha256", file)
	}
	for sha, content := range p.Documents {
		if sum := sha256.Sum256([]byte(content)); hex.EncodeToString(sum[:]) != sha {
			return nil, knowngood.E(knowngood.Refused, "read the plan", "%s: a document in it does not fit its sha256", file)
		}
	}
	return &p, nil
}

// normalise turns the json.Numbers of a decoded plan into int64 and float64.
func normalise(p *knowngood.Plan) {
	for k, v := range p.Parameters {
		p.Parameters[k] = plain(v)
	}
	for i := range p.Preconditions {
		p.Preconditions[i].Input = plain(p.Preconditions[i].Input)
		p.Preconditions[i].Value = plain(p.Preconditions[i].Value)
	}
	for i := range p.Parts {
		for j := range p.Parts[i].Calls {
			p.Parts[i].Calls[j].Input = plain(p.Parts[i].Calls[j].Input)
		}
	}
	for i := range p.Children {
		normalise(&p.Children[i])
	}
}

// problemOf is a decoding error for people.
func problemOf(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "it is empty"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// lineOf is the line, from 1, at which decoding failed.
func lineOf(raw []byte, err error, d *json.Decoder) int {
	offset := d.InputOffset()
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		offset = int64(len(raw))
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
	default:
		// An unknown field's error has no offset, but names the field.
		if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
			return lineOfMember(raw, strings.Trim(name, `"`))
		}
	}
	offset = min(offset, int64(len(raw)))
	return 1 + bytes.Count(raw[:offset], []byte{'\n'})
}

// lineOfMember is the line of the first member of a name, or 1.
func lineOfMember(raw []byte, name string) int {
	i := bytes.Index(raw, []byte(`"`+name+`":`))
	if i < 0 {
		return 1
	}
	return 1 + bytes.Count(raw[:i], []byte{'\n'})
}
