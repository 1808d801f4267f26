package script

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"
)

// tail keeps the end of what is written to it.
type tail struct {
	keep int
	mu   sync.Mutex
	buf  []byte
	cut  bool
}

// Write implements io.Writer. It never fails, so that a script is not stopped by
// what it prints.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > t.keep {
		p, t.cut, t.buf = p[len(p)-t.keep:], true, t.buf[:0]
	}
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*t.keep {
		t.buf, t.cut = append(t.buf[:0], t.buf[len(t.buf)-t.keep:]...), true
	}
	return n, nil
}

// note adds a line of our own.
func (t *tail) note(s string) { _, _ = t.Write([]byte("[knowngood] " + s + "\n")) }

// String is what is kept, as valid UTF-8.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b, cut := t.buf, t.cut
	if len(b) > t.keep {
		b, cut = b[len(b)-t.keep:], true
	}
	for cut && len(b) > 0 && !utf8.RuneStart(b[0]) {
		b = b[1:]
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

// end is how a script's process ended.
type end struct {
	raw    []byte // what it says of itself
	large  bool   // that is more than is allowed
	status string // "exit status 1", "signal: killed"
	memory bool   // it was killed for the memory that it took
	late   bool   // its time was over
}

// exitedWell is the status of a process that says that nothing is wrong.
const exitedWell = "exit status 0"

// result makes sense of what a process left. The script may have written
// anything: it is taken as such.
func (e *end) result(l Limits) Result {
	fail := func(class, format string, args ...any) Result {
		return Result{Failure: &Failure{class, fmt.Sprintf(format, args...)}}
	}
	switch {
	case e.memory:
		return fail(FailedMemory, "the script took more than %d MiB of memory", l.Memory>>20)
	case e.large:
		return fail(FailedResult, "the script returned more than %d bytes", l.Result)
	}
	var said struct {
		Payload json.RawMessage
		Exited  bool // PowerShell said exit
		Error   *struct{ Class, Message string }
	}
	err := json.Unmarshal(e.raw, &said)
	switch {
	case err == nil && said.Error != nil && (said.Error.Class == "MemoryError" || said.Error.Class == "OutOfMemoryException"):
		return fail(FailedMemory, "%s: %s", said.Error.Class, said.Error.Message)
	case err == nil && said.Error != nil:
		return fail(said.Error.Class, "%s", said.Error.Message)
	case e.late:
		return fail(FailedTime, "the script was killed after %v", l.Time)
	case err != nil || said.Payload == nil:
		return fail(FailedEnd, "the script's process ended before its handler did (%s)", e.status)
	case said.Exited && e.status != exitedWell:
		return fail(FailedEnd, "the script ended with %s", e.status)
	}
	v, err := decode(said.Payload)
	if err != nil {
		return fail(FailedResult, "%v", err)
	}
	return Result{Payload: v}
}

func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return numbers(v), err
}

// ofJSON is what a text says that is a JSON object or list, as ConvertTo-Json makes
// them; other values stay as they are.
func ofJSON(v any) any {
	text, _ := v.(string)
	if text = strings.TrimSpace(text); !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") || !json.Valid([]byte(text)) {
		return v
	}
	said, err := decode([]byte(text))
	if err != nil {
		return v
	}
	return said
}

// numbers makes integers of the numbers that are.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// limited reads at most n bytes, and what comes after them to nowhere.
func limited(r io.Reader, n int) (b []byte, more bool) {
	b, _ = io.ReadAll(io.LimitReader(r, int64(n)))
	rest, _ := io.Copy(io.Discard, r)
	return b, rest > 0
}
