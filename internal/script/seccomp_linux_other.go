//go:build linux && !amd64 && !arm64

package script

const auditArch = 0

var moreDenied []uintptr
