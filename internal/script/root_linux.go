package script

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeRoot makes the script's file system and goes there. The old one is gone
// then, but for what is bound, and nothing outside /tmp can be written to.
func makeRoot(j *initJob) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", j.Root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	// The interpreter may be in a folder below /tmp.
	for _, step := range []func(*initJob) error{scratch, bindAll, devices, kernelViews, jobFiles} {
		if err := step(j); err != nil {
			return err
		}
	}
	if err := unix.Chdir(j.Root); err != nil {
		return err
	}
	// The old root comes to lie upon the new one, and is taken away.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

func bindAll(j *initJob) error {
	for _, p := range j.Binds {
		if err := bind(j.Root, p); err != nil {
			return err
		}
	}
	return nil
}

// bind makes a file or folder appear under the root, read only. What does not
// exist is left out; a link stays one.
func bind(root, p string) error {
	info, err := os.Lstat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	to := root + p
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(p)
		if err != nil {
			return err
		}
		if filepath.Dir(p) == "/etc" {
			// What it leads to may not be bound.
			if target, err = filepath.EvalSymlinks(p); err != nil {
				return nil
			}
			return bindTo(target, to, false)
		}
		return os.Symlink(target, to)
	}
	return bindTo(p, to, info.IsDir())
}

func bindTo(from, to string, dir bool) error {
	if _, err := os.Lstat(to); err == nil && !dir {
		return nil
	}
	if err := place(to, dir); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("bind %s: %w", from, err)
	}
	return readOnly(to)
}

// place makes something to mount on.
func place(p string, dir bool) error {
	if dir {
		return os.MkdirAll(p, 0o755)
	}
	return os.WriteFile(p, nil, 0o444)
}

// readOnly makes a mount, and those in it, read only.
func readOnly(p string) error {
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(-1, p, unix.AT_RECURSIVE, &attr); err != nil {
		return fmt.Errorf("make %s read only (Linux 5.12 can): %w", p, err)
	}
	return nil
}

// devices are those without which programs don't run.
func devices(j *initJob) error {
	if err := os.Mkdir(j.Root+"/dev", 0o755); err != nil {
		return err
	}
	for _, name := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"} {
		if err := place(j.Root+name, false); err != nil {
			return err
		}
		if err := unix.Mount(name, j.Root+name, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", name, err)
		}
	}
	for link, target := range map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2", "/dev/shm": "/tmp"} {
		if err := os.Symlink(target, j.Root+link); err != nil {
			return err
		}
	}
	return nil
}

// kernelViews mounts /proc, which shows the namespace's own processes. A
// container may not let us; then there is none.
func kernelViews(j *initJob) error {
	if err := os.Mkdir(j.Root+"/proc", 0o555); err != nil {
		return err
	}
	err := unix.Mount("proc", j.Root+"/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err != nil && err != unix.EPERM {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

// scratch is the only place where a script can write.
func scratch(j *initJob) error {
	if err := os.MkdirAll(j.Root+"/tmp", 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", j.Root+"/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("mode=1777,size=%d,nr_inodes=20000", j.Scratch)); err != nil {
		return fmt.Errorf("mount /tmp: %w", err)
	}
	return nil
}

// jobFiles are the script, its attachments, and what little of /etc is needed.
func jobFiles(j *initJob) error {
	id := fmt.Sprint(j.User)
	j.Files["/etc/passwd"] = []byte("script:x:" + id + ":" + id + "::/tmp:/bin/false\n")
	j.Files["/etc/hosts"] = []byte("127.0.0.1 localhost\n")
	for p, raw := range j.Files {
		if err := os.MkdirAll(j.Root+filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(j.Root+p, raw, 0o444); err != nil {
			return err
		}
	}
	return nil
}
