package script

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// moreDenied are calls that other architectures do not have.
var moreDenied = []uintptr{unix.SYS_NFSSERVCTL}
