package script

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The arguments with which this binary is started again. A program that does not
// call Init takes them for flags that it does not know.
const (
	initArg  = "-knowngood-script-init"
	checkArg = "-knowngood-script-check"
	checked  = "namespaces\n"
)

// Descriptors of the init, besides its input, which has the job, and its outputs,
// which are the script's.
const (
	controlFD = 3
	resultFD  = 4
)

// Init makes a process that a Runner has started into what it is to be, and then
// does not return. In all others it does nothing. A program that runs scripts
// calls it first thing in main.
func Init() {
	if len(os.Args) != 2 {
		return
	}
	switch os.Args[1] {
	case checkArg:
		if err := tryNamespaces(); err != nil {
			fmt.Print(err)
			os.Exit(1)
		}
		fmt.Print(checked)
		os.Exit(0)
	case initArg:
		if err := runInit(); err != nil {
			report(initReport{Error: err.Error()}, -1)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// tryNamespaces does the parts of the work that a kernel may refuse.
func tryNamespaces() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts: %w", err)
	}
	if err := unix.Mount("tmpfs", os.TempDir(), "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	if err := readOnly("/"); err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forgo new privileges: %w", err)
	}
	return filterCalls()
}

// report says something to the Runner.
func report(r initReport, fd int) {
	raw, err := json.Marshal(r)
	if err != nil {
		return
	}
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	_ = unix.Sendmsg(controlFD, raw, rights, nil, 0)
}

// runInit is the life of the namespaces' process 1.
func runInit() error {
	var j initJob
	if err := gob.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	unix.Umask(0o022)
	unix.CloseOnExec(controlFD)
	unix.CloseOnExec(resultFD)
	// Whoever starts the script's process has, in this thread, what it inherits.
	runtime.LockOSThread()
	if err := loopbackUp(); err != nil {
		return err
	}
	listener, err := listen()
	if err != nil {
		return fmt.Errorf("listen in the script's network: %w", err)
	}
	if err := unix.Sethostname([]byte("script")); err != nil {
		return fmt.Errorf("set the host's name: %w", err)
	}
	if err := makeRoot(&j); err != nil {
		return err
	}
	if err := dropPrivileges(); err != nil {
		return err
	}
	if err := filterCalls(); err != nil {
		return err
	}
	report(initReport{}, listener)
	_ = unix.Close(listener)
	go untilClosed()
	memory := &watch{limit: j.Memory, over: make(chan struct{})}
	pid, err := startScript(&j)
	if err != nil {
		fmt.Fprintln(os.Stderr, "[knowngood] the script can't be started:", err)
		report(initReport{Status: err.Error()}, -1)
		return nil
	}
	_ = unix.Close(resultFD)
	go memory.run(pid)
	report(initReport{Status: reap(pid), Memory: memory.exceeded()}, -1)
	return nil
}

// untilClosed ends the init, and with it all, when our process is gone: the
// other end of the control connection is then closed.
func untilClosed() {
	var b [1]byte
	for {
		n, _, err := unix.Recvfrom(controlFD, b[:], 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			os.Exit(1)
		}
	}
}

// loopbackUp brings up the only interface that there is.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a socket: %w", err)
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return fmt.Errorf("read the flags of the loopback: %w", err)
	}
	r.SetUint16(r.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("bring up the loopback: %w", err)
	}
	return nil
}

func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	port, err := strconv.Atoi(proxyPort)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 128)
}

// dropPrivileges leaves the thread nothing that it could give to a program, and
// the namespace no further ones.
func dropPrivileges() error {
	// It is there where /proc is.
	_ = os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forgo new privileges: %w", err)
	}
	for c := uintptr(0); c < 64; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			return nil // the kernel knows no more
		} else if err != nil {
			return fmt.Errorf("drop the capability %d: %w", c, err)
		}
	}
	return nil
}

// maxFiles is how many files a process of a script may have open.
const maxFiles = 512

// startScript starts the script's program, in a process group of its own and within
// its limits. Of one that can't set limits itself the first line of its input says
// that they are set; else its input is empty.
func startScript(j *initJob) (int, error) {
	in, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	var begin *os.File
	if j.Held {
		_ = in.Close()
		if in, begin, err = os.Pipe(); err != nil {
			return 0, err
		}
		defer begin.Close()
	}
	defer in.Close()
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if j.User != 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(j.User), Gid: uint32(j.User)}
	}
	pid, err := syscall.ForkExec(j.Argv[0], j.Argv, &syscall.ProcAttr{Dir: "/", Env: j.Env, Files: []uintptr{in.Fd(), 1, 2, resultFD}, Sys: attr})
	if err != nil || !j.Held {
		return pid, err
	}
	for which, n := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_NOFILE: maxFiles, unix.RLIMIT_NPROC: uint64(j.Processes)} {
		var had unix.Rlimit
		err := unix.Prlimit(pid, which, nil, &had)
		if n = min(n, had.Max); err == nil {
			err = unix.Prlimit(pid, which, &unix.Rlimit{Cur: n, Max: n}, nil)
		}
		if err != nil {
			_ = unix.Kill(pid, unix.SIGKILL)
			return 0, fmt.Errorf("limit the script's process: %w", err)
		}
	}
	if _, err := begin.Write([]byte("\n")); err != nil {
		return pid, nil // it has ended already, which is seen elsewhere
	}
	return pid, nil
}

// reap waits for the script's process, and for what it leaves behind meanwhile.
func reap(pid int) string {
	for {
		var s unix.WaitStatus
		got, err := unix.Wait4(-1, &s, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err.Error()
		case got != pid:
		case s.Signaled():
			return "signal: " + s.Signal().String()
		default:
			return fmt.Sprintf("exit status %d", s.ExitStatus())
		}
	}
}

// watch kills a script that takes too much memory with all that it started and
// wrote. Each process's own limit is main.py's.
type watch struct {
	limit int64
	over  chan struct{}
}

// watchEvery is how often the memory is looked at.
const watchEvery = 50 * time.Millisecond

func (w *watch) run(pid int) {
	for range time.Tick(watchEvery) {
		if taken() > w.limit {
			close(w.over)
			_ = unix.Kill(pid, unix.SIGKILL)
			return
		}
	}
}

func (w *watch) exceeded() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// taken is the memory of all processes but this, and of the files in /tmp, in
// bytes. Pages that processes share count once for each.
func taken() int64 {
	var total int64
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	page := int64(os.Getpagesize())
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == os.Getpid() {
			continue
		}
		raw, err := os.ReadFile("/proc/" + e.Name() + "/statm")
		if err != nil {
			continue
		}
		// size resident shared ...; shared pages are those of files.
		if f := strings.Fields(string(raw)); len(f) > 2 {
			resident, _ := strconv.ParseInt(f[1], 10, 64)
			shared, _ := strconv.ParseInt(f[2], 10, 64)
			total += (resident - shared) * page
		}
	}
	var fs unix.Statfs_t
	if unix.Statfs("/tmp", &fs) == nil {
		total += int64(fs.Blocks-fs.Bfree) * fs.Bsize
	}
	return total
}
