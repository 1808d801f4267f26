package script

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// moreDenied are calls that other architectures do not have.
var moreDenied = []uintptr{unix.SYS_IOPL, unix.SYS_IOPERM, unix.SYS_MODIFY_LDT, unix.SYS_USELIB, unix.SYS_CREATE_MODULE, unix.SYS_NFSSERVCTL}
