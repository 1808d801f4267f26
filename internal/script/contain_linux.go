package script

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a script that is running.
type process struct {
	listener net.Listener // of the proxy that it is told of
	kill     func()       // ends it, and all that it started
	// wait waits for its end and reads what it says, up to n bytes.
	wait func(n int) *end
}

// proxyPort is that of the proxy in the script's own network, which nothing else
// is in.
const proxyPort = "3128"

// namespaces are those that a script has of its own. The user namespace comes
// first: in it the init may make the others' content without any right outside.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS

// unprivileged is nobody's id. Where we are root a script has it, for limits don't
// hold for root.
const unprivileged = 65534

// scriptID is the script's user and group in its namespace, where we are root.
const scriptID = 1

// initJob is what the init is told.
type initJob struct {
	Root      string // an empty folder, to mount on
	Binds     []string
	Files     map[string][]byte // by path
	Argv, Env []string
	User      int
	Scratch   int64
	Memory    int64
	Processes int
	Held      bool // the program reads a line before it runs the script
}

// initReport is what the init says: once when the listener is open, with its
// descriptor, and once when the script has ended.
type initReport struct {
	Error  string
	Status string
	Memory bool
}

// attributes of the init's process.
func attributes() *syscall.SysProcAttr {
	ids := func(id int) []syscall.SysProcIDMap {
		out := []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
		if os.Geteuid() == 0 {
			out = append(out, syscall.SysProcIDMap{ContainerID: scriptID, HostID: unprivileged, Size: 1})
		}
		return out
	}
	return &syscall.SysProcAttr{
		Cloneflags: namespaces, UidMappings: ids(os.Geteuid()), GidMappings: ids(os.Getegid()), GidMappingsEnableSetgroups: os.Geteuid() == 0,
		Setsid: true, Pdeathsig: syscall.SIGKILL,
	}
}

// check says why scripts can't be contained here; nil: they can.
func check() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.Command(exe, checkArg)
		cmd.Env = []string{}
		cmd.SysProcAttr = attributes()
		var said strings.Builder
		cmd.Stdout, cmd.Stderr = &said, io.Discard
		err := cmd.Run()
		if err == nil && said.String() != checked {
			err = errors.New("this program does not call script.Init")
		}
		if err != nil && said.Len() > 0 {
			err = errors.New(strings.TrimSpace(said.String()))
		}
		ended <- err
	}()
	if err := <-ended; err != nil {
		return fmt.Errorf("the kernel gives no namespaces to this process (%w): %s", err, obstacle(os.ReadFile))
	}
	return nil
}

// obstacle says what keeps this process from namespaces, as far as the kernel's
// settings tell.
func obstacle(read func(string) ([]byte, error)) string {
	for _, setting := range []struct{ name, value, want string }{
		{"user/max_user_namespaces", "0", "a number above 0"},
		{"kernel/unprivileged_userns_clone", "0", "1"},                                              // Debian's
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "0, or a profile that allows userns"}, // Ubuntu's
	} {
		raw, err := read("/proc/sys/" + setting.name)
		if got := strings.TrimSpace(string(raw)); err == nil && got == setting.value {
			return fmt.Sprintf("the sysctl %s is %s and has to be %s", strings.ReplaceAll(setting.name, "/", "."), got, setting.want)
		}
	}
	if raw, err := read("/proc/self/status"); err == nil && strings.Contains(string(raw), "\nSeccomp:\t2\n") {
		return "a seccomp filter is on this process, as a container's; it may need --security-opt seccomp=unconfined"
	}
	return "none of the settings that are known forbids it"
}

// startContained starts a job in namespaces.
func startContained(j *job, log io.Writer) (*process, error) {
	root, err := os.MkdirTemp("", "knowngood-script-")
	if err != nil {
		return nil, err
	}
	// Once the script's root is made, nothing is mounted on the folder.
	p, err := startInit(j, root, log)
	if removed := os.Remove(root); err == nil {
		err = removed
	}
	if err != nil && p != nil {
		p.kill()
		p.wait(0)
	}
	return p, err
}

func startInit(j *job, root string, log io.Writer) (*process, error) {
	files, env, err := j.at(folder, "/tmp", "127.0.0.1:"+proxyPort)
	if err != nil {
		return nil, err
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	told := initJob{Root: root, Binds: binds(j.program), Files: map[string][]byte{}, Argv: j.argv(folder), Env: env, Scratch: j.limits.Scratch, Memory: j.limits.watched(), Processes: j.limits.Processes, Held: j.program.held}
	for name, raw := range files {
		told.Files[folder+"/"+name] = raw
	}
	if os.Geteuid() == 0 {
		told.User = scriptID
	}
	control, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	result, resultW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, control.Close())
	}
	defer resultW.Close()
	in, inW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, control.Close(), result.Close())
	}
	defer in.Close()
	cmd := exec.Command(exe, initArg)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, log, log
	cmd.ExtraFiles = []*os.File{theirs, resultW}
	cmd.SysProcAttr = attributes()
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel kills the child when the thread that made it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(unavailable("start the script's namespaces: %w", err), control.Close(), result.Close(), inW.Close())
	}
	kill := func() { _ = cmd.Process.Kill() }
	// Before it is told what to start.
	group, err := newMemoryGroup(j.limits.Memory + initMemory)
	if err == nil && group.add(cmd.Process.Pid) != nil {
		group.remove()
		group = nil
	}
	go func() {
		_ = gob.NewEncoder(inW).Encode(told)
		_ = inW.Close()
	}()
	listener, err := receiveListener(control)
	if err != nil {
		kill()
		<-ended
		group.remove()
		return nil, errors.Join(err, control.Close(), result.Close())
	}
	_ = theirs.Close()
	_ = resultW.Close()
	return &process{listener: listener, kill: kill, wait: func(n int) *end {
		defer control.Close()
		defer result.Close()
		e := &end{}
		e.raw, e.large = limited(result, n)
		err := <-ended
		var report initReport
		if raw, readErr := receive(control, nil); readErr == nil && json.Unmarshal(raw, &report) == nil && report.Status != "" {
			e.status, e.memory = report.Status, report.Memory
		} else {
			e.status = fmt.Sprint(err)
		}
		e.memory = e.memory || group.exceeded()
		group.remove()
		return e
	}}, nil
}

// socketPair makes a connection of which one end is to be handed to a child.
func socketPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	conn, err := net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(err, theirs.Close())
	}
	return conn.(*net.UnixConn), theirs, nil
}

// receive reads one report, and a descriptor if one is wanted.
func receive(c *net.UnixConn, fd *int) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return nil, err
	}
	buf, oob := make([]byte, 8192), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	if fd != nil && oobn > 0 {
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			if fds, err := unix.ParseUnixRights(&m); err == nil && len(fds) == 1 {
				unix.CloseOnExec(fds[0])
				*fd = fds[0]
			}
		}
	}
	return buf[:n], nil
}

// receiveListener takes over the socket on which the script's namespace listens.
// A socket stays in the network where it was made, whoever uses it.
func receiveListener(c *net.UnixConn) (net.Listener, error) {
	fd := -1
	raw, err := receive(c, &fd)
	if err != nil {
		return nil, unavailable("the init of the script's namespaces did not start: %w", err)
	}
	var report initReport
	if err := json.Unmarshal(raw, &report); err != nil || report.Error != "" || fd < 0 {
		return nil, unavailable("make the script's namespaces: %s", report.Error)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close()
	return net.FileListener(f)
}

// binds are the parts of the file system that a script sees, read only: programs,
// libraries, the interpreter; no home folder, no socket, no configuration with
// secrets.
func binds(by *program) []string {
	paths := []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
		"/etc/ld.so.cache", "/etc/ld-musl-x86_64.path", "/etc/ld-musl-aarch64.path", "/etc/alternatives", "/etc/localtime", "/etc/mime.types", "/etc/ssl/openssl.cnf", "/etc/pki/tls/openssl.cnf", "/etc/crypto-policies"}
	for _, p := range append([]string{by.Executable}, by.Roots...) {
		if !under(p, paths) {
			paths = append(paths, filepath.Clean(p))
		}
	}
	return paths
}

func under(p string, paths []string) bool {
	for _, root := range paths {
		if p == root || strings.HasPrefix(p, root+"/") {
			return true
		}
	}
	return false
}
