package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

// wanted are the operations that this project leans on, by priority.
func wanted(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile("../../../shared/corpora/sandbox-operations.tsv")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the list of operations, corpora/sandbox-operations.tsv, is not there")
	}
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] != "service" {
			out[f[2]] = append(out[f[2]], f[0]+":"+f[1])
		}
	}
	if len(out["P0"]) < 100 {
		t.Fatalf("%d operations of P0: the list is cut short", len(out["P0"]))
	}
	return out
}

// None of the operations that matter answers 501, whatever it is asked: each is
// called with nothing but what the model requires.
func TestNoOperationThatMattersIsLeftOut(t *testing.T) {
	w := newWorld(t)
	for priority, operations := range wanted(t) {
		for _, name := range operations {
			service, operation, _ := strings.Cut(name, ":")
			op, err := w.catalog.Operation(service, operation)
			if err != nil {
				t.Errorf("%s (%s): %v", name, priority, err)
				continue
			}
			in, _ := least(op.Input, 0).(object)
			_, err = w.try(service, operation, in)
			var e *awsapi.Error
			if !slices.Contains(Simulated(), name) || errors.As(err, &e) && e.Status == 501 {
				t.Errorf("%s (%s): %v", name, priority, err)
			}
		}
	}
}

// least is a value of a shape with no more than the required members.
func least(s *awsapi.Shape, depth int) any {
	if s == nil || depth > 10 {
		return nil
	}
	switch {
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == awsapi.Structure:
		out := object{}
		for i := range s.Members {
			if m := &s.Members[i]; m.Is(awsapi.Required) {
				out[m.Name] = least(m.Shape, depth+1)
			}
		}
		return out
	case s.Type == awsapi.List:
		return []any{least(s.Elem.Shape, depth+1)}
	case s.Type == awsapi.Map:
		return object{}
	case s.Type == awsapi.String:
		return "x"
	case s.Type == awsapi.Blob:
		return []byte("x")
	case s.Type == awsapi.Boolean:
		return true
	case s.Type == awsapi.Integer || s.Type == awsapi.Long:
		return int64(1)
	}
	return nil
}
