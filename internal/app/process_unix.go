//go:build unix

package app

import (
	"errors"
	"syscall"
)

// isGone says whether there is no process of a number on this host.
func isGone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
