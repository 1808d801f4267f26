package script

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// judge runs a filter on a system call, as the kernel does, and gives the errno that
// it answers; 0: the call is made.
func judge(t *testing.T, f []unix.SockFilter, arch, nr, first uint32) unix.Errno {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(f); pc++ {
		i := f[pc]
		step := func(is bool) {
			if is {
				pc += int(i.Jt)
			} else {
				pc += int(i.Jf)
			}
		}
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = map[uint32]uint32{atArch: arch, atNumber: nr, atFirst: first}[i.K]
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			step(a == i.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			step(a >= i.K)
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			step(a&i.K != 0)
		case unix.BPF_RET | unix.BPF_K:
			if i.K == unix.SECCOMP_RET_ALLOW {
				return 0
			}
			return unix.Errno(i.K & unix.SECCOMP_RET_DATA)
		default:
			t.Fatalf("an instruction that the filter should not have: %+v", i)
		}
	}
	t.Fatal("the filter comes to no end")
	return 0
}

func TestTheFilterJudgesEachCall(t *testing.T) {
	const arch = 7
	f := callFilter(arch, []uintptr{400})
	for name, c := range map[string]struct {
		arch, nr, first uint32
		want            unix.Errno
	}{
		"read": {arch, unix.SYS_READ, 0, 0}, "execve": {arch, unix.SYS_EXECVE, 0, 0}, "exit_group": {arch, unix.SYS_EXIT_GROUP, 0, 0},
		"of another architecture": {arch + 1, unix.SYS_READ, 0, unix.ENOSYS}, "x32": {arch, x32Bit | unix.SYS_READ, 0, unix.ENOSYS},
		"clone of a thread": {arch, unix.SYS_CLONE, unix.CLONE_VM | unix.CLONE_THREAD, 0}, "fork": {arch, unix.SYS_CLONE, uint32(unix.SIGCHLD), 0},
		"clone into a namespace": {arch, unix.SYS_CLONE, unix.CLONE_NEWNET | uint32(unix.SIGCHLD), unix.EPERM}, "clone3": {arch, unix.SYS_CLONE3, 0, unix.ENOSYS},
		"inet": {arch, unix.SYS_SOCKET, unix.AF_INET, 0}, "unix": {arch, unix.SYS_SOCKETPAIR, unix.AF_UNIX, 0}, "netlink": {arch, unix.SYS_SOCKET, unix.AF_NETLINK, 0},
		"vsock": {arch, unix.SYS_SOCKET, unix.AF_VSOCK, unix.EAFNOSUPPORT}, "packet": {arch, unix.SYS_SOCKET, unix.AF_PACKET, unix.EAFNOSUPPORT}, "pair": {arch, unix.SYS_SOCKETPAIR, unix.AF_TIPC, unix.EAFNOSUPPORT},
		"of the architecture": {arch, 400, 0, unix.EPERM},
	} {
		if got := judge(t, f, c.arch, c.nr, c.first); got != c.want {
			t.Errorf("%s: %v, wanted %v", name, got, c.want)
		}
	}
	for _, nr := range deniedCalls {
		if got := judge(t, f, arch, uint32(nr), 0); got != unix.EPERM {
			t.Errorf("call %d: %v", nr, got)
		}
	}
}

// Calls that anybody may make elsewhere, so that it is the filter that refuses them.
func TestAScriptCantMakeWhatIsFiltered(t *testing.T) {
	b := contained(t)
	if auditArch == 0 {
		t.Skip("system calls are not filtered on this architecture")
	}
	got := b.succeeds(`
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def handler(events, context):
    out = {}
    for name, (nr, *args) in events.items():
        ctypes.set_errno(0)
        got = libc.syscall(nr, *args, *[0] * (6 - len(args)))
        out[name] = errno.errorcode[ctypes.get_errno()] if got == -1 else "made"
    for name, family in (("vsock", 40), ("packet", 17), ("inet", socket.AF_INET), ("netlink", 16)):
        try:
            socket.socket(family, socket.SOCK_DGRAM if family == socket.AF_INET else socket.SOCK_RAW if family == 16 else socket.SOCK_STREAM).close()
            out[name] = "made"
        except OSError as e:
            out[name] = errno.errorcode[e.errno]
    return out
`, func(r *Request) {
		r.Payload = map[string]any{
			"unshare": []any{unix.SYS_UNSHARE}, "ptrace": []any{unix.SYS_PTRACE}, "keyctl": []any{unix.SYS_KEYCTL, 0, -3, 1}, "clone3": []any{unix.SYS_CLONE3},
			"io_uring_setup": []any{unix.SYS_IO_URING_SETUP}, "process_vm_readv": []any{unix.SYS_PROCESS_VM_READV, 1}, "getpid": []any{unix.SYS_GETPID},
		}
	}).(map[string]any)
	for name, want := range map[string]string{
		"unshare": "EPERM", "ptrace": "EPERM", "keyctl": "EPERM", "clone3": "ENOSYS", "io_uring_setup": "EPERM", "process_vm_readv": "EPERM", "getpid": "made",
		"vsock": "EAFNOSUPPORT", "packet": "EAFNOSUPPORT", "inet": "made", "netlink": "made",
	} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s: %v, wanted %s", name, got[name], want)
		}
	}
}
