//go:build !unix

package script

import (
	"errors"
	"io"
)

func startBare(*job, io.Writer) (*process, error) {
	return nil, &Unavailable{errors.New("this system's processes can't be ended with all that they started")}
}
