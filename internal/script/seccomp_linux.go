package script

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A script needs none of these system calls, which change the machine, look into
// other processes, or have been a way out of namespaces. They answer EPERM, as they do
// to whoever has no privileges.
var deniedCalls = []uintptr{
	// Mounts and roots.
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_MOVE_MOUNT, unix.SYS_OPEN_TREE, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
	unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT,
	// Namespaces; clone has its own rule.
	unix.SYS_UNSHARE, unix.SYS_SETNS,
	// Other processes.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_KCMP, unix.SYS_PIDFD_GETFD, unix.SYS_PERF_EVENT_OPEN,
	// Kernel keys, which are not of a namespace; code in the kernel; what has been its
	// weak side.
	unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_BPF, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER, unix.SYS_LOOKUP_DCOOKIE,
	// The machine.
	unix.SYS_REBOOT, unix.SYS_SYSLOG, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_VHANGUP,
}

// allowedFamilies are the sockets that a script may open. Others, of virtual machines
// (AF_VSOCK) for one, are not kept apart by a network namespace; libraries ask the
// kernel for the interfaces by AF_NETLINK.
var allowedFamilies = []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// newNamespaces are the flags of clone that make namespaces.
const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// Offsets in the kernel's struct seccomp_data.
const (
	atNumber = 0
	atArch   = 4
	atFirst  = 16 // low half of the first argument, where the machine is little endian
)

// x32Bit is set in the numbers of amd64's x32 calls, which nothing uses.
const x32Bit = 0x40000000

func statement(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(code uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | code | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func load(at uint32) unix.SockFilter { return statement(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, at) }

func answer(e unix.Errno) unix.SockFilter {
	return statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ERRNO|uint32(e))
}

// callFilter is the program that judges each system call of an architecture.
func callFilter(arch uint32, more []uintptr) []unix.SockFilter {
	allow := statement(unix.BPF_RET|unix.BPF_K, unix.SECCOMP_RET_ALLOW)
	f := []unix.SockFilter{
		load(atArch), jump(unix.BPF_JEQ, arch, 1, 0), answer(unix.ENOSYS), // 32 bit, on a machine of 64
		load(atNumber), jump(unix.BPF_JGE, x32Bit, 0, 1), answer(unix.ENOSYS),
	}
	for _, list := range [][]uintptr{deniedCalls, more} {
		for _, nr := range list {
			f = append(f, jump(unix.BPF_JEQ, uint32(nr), 0, 1), answer(unix.EPERM))
		}
	}
	f = append(f,
		// Its flags are in memory, where they can't be judged; libraries then use clone.
		jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), answer(unix.ENOSYS),
		jump(unix.BPF_JEQ, unix.SYS_CLONE, 0, 4), load(atFirst), jump(unix.BPF_JSET, newNamespaces, 0, 1), answer(unix.EPERM), allow,
	)
	n := uint8(len(allowedFamilies))
	f = append(f, jump(unix.BPF_JEQ, unix.SYS_SOCKET, 1, 0), jump(unix.BPF_JEQ, unix.SYS_SOCKETPAIR, 0, n+2), load(atFirst))
	for i, family := range allowedFamilies {
		f = append(f, jump(unix.BPF_JEQ, family, n-uint8(i), 0))
	}
	return append(f, answer(unix.EAFNOSUPPORT), allow)
}

// filterCalls puts the filter on this thread, and on what is started from it. The
// thread must have forgone new privileges.
func filterCalls() error {
	if auditArch == 0 {
		return nil // there is no list for this architecture
	}
	f := callFilter(auditArch, moreDenied)
	p := unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&p)), 0, 0)
	runtime.KeepAlive(f)
	if err != nil {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}
