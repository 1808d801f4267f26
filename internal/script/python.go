package script

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// python is an interpreter, and where its library is.
type python struct {
	Executable string   // that of a virtual environment's base, links followed
	Version    string   // "3.11"
	Path       []string // of modules
	Roots      []string // folders without which it does not run
	Boto3      string   // its version; "": it is not installed
}

//go:embed probe.py
var probe string

// interpreter finds the interpreter, once.
func (r *Runner) interpreter(ctx context.Context) (*python, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.python != nil {
		return r.python, nil
	}
	name := r.o.Python
	if name == "" {
		name = "python3"
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return nil, unavailable("scripts in Python need python3: %w", err)
	}
	var stderr bytes.Buffer
	// -E: a PYTHONPATH is the user's own, and may lead to what a script should not
	// see.
	cmd := exec.CommandContext(ctx, file, "-E", "-c", probe)
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, unavailable("%s does not run: %w: %s", file, err, strings.TrimSpace(stderr.String()))
	}
	var p python
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, unavailable("%s is no python3: %w", file, err)
	}
	if p.Executable, err = filepath.EvalSymlinks(p.Executable); err != nil {
		return nil, unavailable("%s: %w", file, err)
	}
	if !filepath.IsAbs(p.Executable) || len(p.Path) == 0 {
		return nil, unavailable("%s: %w", file, errors.New("it does not say where it is"))
	}
	r.python = &p
	return r.python, nil
}

// program runs scripts: no folder but the library's own, no files of compiled code
// written.
func (p *python) program() *program {
	return &program{
		Executable: p.Executable, Roots: p.Roots, arguments: []string{"-S", "-s", "-B", "-u"}, main: "main.py", text: mainPython, script: "script.py",
		// Each thread's arena would count as 64 MiB of address space.
		env: []string{"MALLOC_ARENA_MAX=2"},
	}
}

// note says that a runtime is another version than what there is.
func (p *python) note(runtime string) string {
	if want := strings.TrimPrefix(runtime, "python"); want != p.Version {
		return fmt.Sprintf("the runbook wants Python %s, this is %s", want, p.Version)
	}
	return ""
}
