package script

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A script's memory is looked at every watchEvery, by the init. Where this process
// may make a memory cgroup, the kernel holds the limit besides, between two looks.

// initMemory is what the init itself takes, in bytes: the kernel counts it.
const initMemory = 48 << 20

// memoryGroup is a cgroup that one script has for itself; nil: there is none.
type memoryGroup struct {
	dir    string
	events string // the file that counts what was killed
}

// memoryParent is a cgroup in which others can be made that limit memory.
type memoryParent struct {
	dir string
	v2  bool
}

var groups atomic.Int64

// newMemoryGroup makes a cgroup with a limit in bytes.
func newMemoryGroup(limit int64) (*memoryGroup, error) {
	err := errors.New("there is no cgroup in which memory could be limited")
	for _, p := range memoryParents(os.ReadFile) {
		forgetGroups(p.dir)
		g := &memoryGroup{dir: filepath.Join(p.dir, fmt.Sprintf("knowngood-%d-%d", os.Getpid(), groups.Add(1)))}
		if err = os.Mkdir(g.dir, 0o755); err != nil {
			continue
		}
		if err = g.limit(p.v2, limit); err == nil {
			return g, nil
		}
		err = errors.Join(err, os.Remove(g.dir))
	}
	return nil, err
}

func (g *memoryGroup) limit(v2 bool, limit int64) error {
	set := func(file string, n int64) error {
		return os.WriteFile(filepath.Join(g.dir, file), []byte(strconv.FormatInt(n, 10)), 0)
	}
	if !v2 {
		g.events = filepath.Join(g.dir, "memory.oom_control")
		err := set("memory.limit_in_bytes", limit)
		_ = set("memory.memsw.limit_in_bytes", limit) // where swap is counted
		return err
	}
	g.events = filepath.Join(g.dir, "memory.events")
	err := set("memory.max", limit)
	_ = set("memory.swap.max", 0)
	_ = set("memory.oom.group", 1) // Linux 4.19: all or none
	return err
}

// add puts a process into the group; what it starts is there from its beginning.
func (g *memoryGroup) add(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// exceeded says whether the kernel has killed something for the limit.
func (g *memoryGroup) exceeded() bool {
	if g == nil {
		return false
	}
	raw, err := os.ReadFile(g.events)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(raw)) {
		if name, n, _ := strings.Cut(strings.TrimSpace(line), " "); name == "oom_kill" {
			return n != "0"
		}
	}
	return false
}

// remove removes the group, in which nothing runs any more. One that is still busy is
// removed when the next is made.
func (g *memoryGroup) remove() {
	if g != nil {
		_ = os.Remove(g.dir)
	}
}

// forgetGroups removes what processes have left that were killed, and what was busy.
func forgetGroups(parent string) {
	left, _ := filepath.Glob(filepath.Join(parent, "knowngood-*-*")) // the pattern is right
	for _, dir := range left {
		var pid, n int
		if _, err := fmt.Sscanf(filepath.Base(dir), "knowngood-%d-%d", &pid, &n); err != nil {
			continue
		}
		if pid != os.Getpid() && unix.Kill(pid, 0) == unix.ESRCH {
			_ = os.Remove(dir)
		}
	}
}

// memoryParents finds the cgroups in which a process of this one's may be limited: of
// version 2 those that hand the memory controller to their children, this process's
// own or the one above it; of version 1 this process's own.
func memoryParents(read func(string) ([]byte, error)) []memoryParent {
	own, err := read("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	mounts, err := read("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	in := map[string]string{} // by controllers; "" is version 2
	for line := range strings.Lines(string(own)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			in[f[1]] = f[2]
		}
	}
	var out []memoryParent
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		place, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(place) < 5 || len(kind) < 3 {
			continue
		}
		// The fourth is what of the file system is mounted, the fifth where.
		at := func(group string) (string, bool) {
			inside, ok := strings.CutPrefix(group, strings.TrimSuffix(place[3], "/"))
			return filepath.Join(place[4], inside), ok
		}
		switch {
		case kind[0] == "cgroup" && strings.Contains(","+kind[2]+",", ",memory,"):
			for controllers, group := range in {
				if dir, ok := at(group); ok && strings.Contains(","+controllers+",", ",memory,") {
					out = append(out, memoryParent{dir: dir})
				}
			}
		case kind[0] == "cgroup2":
			dir, ok := at(in[""])
			for _, d := range []string{dir, filepath.Dir(dir)} {
				raw, err := read(filepath.Join(d, "cgroup.subtree_control"))
				if ok && err == nil && strings.Contains(" "+strings.TrimSpace(string(raw))+" ", " memory ") {
					out = append(out, memoryParent{dir: d, v2: true})
				}
			}
		}
	}
	return out
}

// memoryHeldBy says how a limit of memory is held here.
func memoryHeldBy() string {
	g, err := newMemoryGroup(1 << 30)
	if err != nil {
		return fmt.Sprintf("a look every %v, for this process can't make a memory cgroup", watchEvery)
	}
	g.remove()
	return "a memory cgroup"
}
