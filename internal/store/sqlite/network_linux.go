package sqlite

import (
	"fmt"
	"syscall"
)

// refuseNetwork refuses a folder on a network file system. The numbers are the
// kernel's, from include/uapi/linux/magic.h.
func refuseNetwork(dir string) error {
	names := map[int64]string{0x6969: "NFS", 0xff534d42: "CIFS", 0xfe534d42: "SMB2", 0x517b: "SMB", 0x01021997: "9P", 0x00c36400: "Ceph", 0x5346414f: "AFS", 0x73757245: "Coda"}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	if name, ok := names[int64(uint32(st.Type))]; ok {
		return fmt.Errorf("%s is on %s, where SQLite's locks can't be relied on; choose a local folder with --state", dir, name)
	}
	return nil
}
