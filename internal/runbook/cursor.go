package runbook

import (
	"maps"
	"slices"

	"github.com/knowngood/knowngood"
)

// Cursor is where a run stands: a log that grows, and what follows it, without
// replaying the log for each entry. What it says is what Advance says of the same
// log.
type Cursor struct {
	m   *machine
	log []knowngood.LogEntry
}

// NewCursor is the beginning of a run.
func NewCursor(d *Document) *Cursor { return &Cursor{m: newMachine(d)} }

// Add appends an entry; its number is set. The error is Advance's.
func (c *Cursor) Add(e knowngood.LogEntry) error {
	e.Seq = c.m.seq + 1
	if err := c.m.apply(e); err != nil {
		return err
	}
	c.log = append(c.log, e)
	return nil
}

// Next says what comes now.
func (c *Cursor) Next() (Next, error) { return c.m.next() }

// Log is the log so far. It must not be changed.
func (c *Cursor) Log() []knowngood.LogEntry { return c.log }

// Variables are the values of the document's variables so far. They must not be
// changed.
func (c *Cursor) Variables() map[string]any { return c.m.vars }

// Fork is another run that has come the same way.
func (c *Cursor) Fork() *Cursor {
	m := *c.m
	// A step's outputs, once there, are replaced and not changed; so are the
	// bodies that the machine points to.
	m.vars, m.outputs = maps.Clone(m.vars), maps.Clone(m.outputs)
	m.frames, m.written = slices.Clone(m.frames), slices.Clone(m.written)
	m.outcomes, m.failures = slices.Clone(m.outcomes), slices.Clone(m.failures)
	return &Cursor{m: &m, log: slices.Clip(c.log)}
}
