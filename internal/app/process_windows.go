package app

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isGone says whether there is no process of a number on this host: it can't be
// opened, or it has ended and only a handle of somebody's keeps it.
func isGone(pid int) bool {
	h, err := windows.OpenProcess(windows.SYNCHRONIZE, false, uint32(pid)) //nolint:gosec // it was a process's number
	if err != nil {
		return errors.Is(err, windows.ERROR_INVALID_PARAMETER) // what Windows says of a number without a process
	}
	defer windows.CloseHandle(h) //nolint:errcheck // nothing can be done
	event, err := windows.WaitForSingleObject(h, 0)
	return err == nil && event == windows.WAIT_OBJECT_0
}
