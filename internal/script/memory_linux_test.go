package script

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestWhereMemoryCanBeLimited(t *testing.T) {
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	for name, c := range map[string]struct {
		own, mounts string
		controls    map[string]string // of folders: subtree_control
		want        []memoryParent
	}{
		"a user's service": {"0::/user.slice/user@1000.service/app.slice/x.scope\n", v2,
			map[string]string{"/sys/fs/cgroup/user.slice/user@1000.service/app.slice": "cpu memory pids\n", "/sys/fs/cgroup/user.slice/user@1000.service/app.slice/x.scope": "\n"},
			[]memoryParent{{"/sys/fs/cgroup/user.slice/user@1000.service/app.slice", true}}},
		"nothing is handed on": {"0::/system.slice/x.service\n", v2, map[string]string{"/sys/fs/cgroup/system.slice": "memory_recursive pids\n"}, nil},
		"a container's root":   {"0::/\n", v2, map[string]string{"/sys/fs/cgroup": "memory\n"}, []memoryParent{{"/sys/fs/cgroup", true}}},
		"version 1": {"9:name=systemd:/\n4:cpu,memory:/a/b\n0::/\n", "25 23 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n26 23 0:23 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", nil,
			[]memoryParent{{"/sys/fs/cgroup/memory/a/b", false}}},
		"only a part is mounted": {"4:memory:/docker/1/x\n", "25 23 0:22 /docker/1 /cg rw - cgroup cgroup rw,memory\n", nil, []memoryParent{{"/cg/x", false}}},
		"another part":           {"4:memory:/other\n", "25 23 0:22 /docker/1 /cg rw - cgroup cgroup rw,memory\n", nil, nil},
		"no text of a kernel's":  {"x\n:\n", "a b\n- -\n", nil, nil},
	} {
		got := memoryParents(func(file string) ([]byte, error) {
			switch file {
			case "/proc/self/cgroup":
				return []byte(c.own), nil
			case "/proc/self/mountinfo":
				return []byte(c.mounts), nil
			}
			if text, ok := c.controls[filepath.Dir(file)]; ok && filepath.Base(file) == "cgroup.subtree_control" {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if name == "a container's root" && len(got) == 2 {
			got = got[:1] // above the root is the root
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, wanted %v", name, got, c.want)
		}
	}
}

// A group has the kernel's files, by their names.
func TestAGroupOfVersion2(t *testing.T) {
	dir := t.TempDir()
	g := &memoryGroup{dir: dir}
	for _, file := range []string{"memory.max", "memory.swap.max", "memory.oom.group", "cgroup.procs"} {
		if err := os.WriteFile(filepath.Join(dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.limit(true, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := g.add(4711); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.max": "1048576", "memory.swap.max": "0", "memory.oom.group": "1", "cgroup.procs": "4711"} {
		if raw, err := os.ReadFile(filepath.Join(dir, file)); err != nil || string(raw) != want {
			t.Errorf("%s: %s, %v", file, raw, err)
		}
	}
	for events, want := range map[string]bool{"low 0\nmax 3\noom 1\noom_kill 2\noom_group_kill 1\n": true, "max 9\noom 0\noom_kill 0\n": false, "": false} {
		if err := os.WriteFile(g.events, []byte(events), 0o600); err != nil {
			t.Fatal(err)
		}
		if g.exceeded() != want {
			t.Errorf("%q: %v", events, !want)
		}
	}
}

// Where nothing looks at the memory it is the kernel that holds the limit, of all
// processes and files together.
func TestTheKernelHoldsTheMemory(t *testing.T) {
	b := contained(t)
	probe, err := newMemoryGroup(1 << 30)
	if err != nil {
		t.Skip("this process can't make a memory cgroup: ", err)
	}
	probe.remove()
	b.runner = New(Options{Catalog: b.runner.o.Catalog, Limits: Limits{Memory: 128 << 20, Scratch: 1 << 30, unwatched: true}})
	for name, script := range map[string]string{
		"one process": "def handler(e, c):\n    held = bytearray(b'x' * (300 << 20))\n    return len(held)",
		"files":       "def handler(e, c):\n    with open('/tmp/big', 'wb') as f:\n        for _ in range(400): f.write(b'x' * (1 << 20))\n    return 1",
		"processes":   "import os, time\ndef handler(e, c):\n    for _ in range(3): os.fork()\n    held = bytearray(b'x' * (60 << 20))\n    time.sleep(3)",
	} {
		if got := b.run(script); got.Failure == nil || got.Failure.Class != FailedMemory {
			t.Errorf("%s: %+v\n%s", name, got.Failure, got.Log)
		}
	}
	if got := b.succeeds("def handler(e, c): return len(bytearray(b'x' * (64 << 20)))"); got != int64(64<<20) {
		t.Errorf("what is within the limit: %v", got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(probe.dir), "knowngood-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("groups are left behind: %v, %v", left, err)
	}
}
