package main

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// typed runs a command on a terminal of its own and types a line; what the
// terminal shows is the command's stdout.
func typed(ts *testscript.TestScript, _ bool, args []string) {
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	defer ours.Close()
	fd := int(ours.Fd()) //nolint:gosec // a descriptor fits
	ts.Check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	ts.Check(err)
	theirs, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	ts.Check(err)
	cmd := command(ts, args[1:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Start()
	theirs.Close()
	ts.Check(err)
	_, err = ours.WriteString(args[0] + "\n")
	ts.Check(err)
	// The terminal's end shows as an error once the command has closed it.
	_, _ = io.Copy(ts.Stdout(), ours)
	checkExit(ts, 0, cmd.Wait())
}
