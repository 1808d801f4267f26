package app

import (
	"os"
	"testing"

	"github.com/knowngood/knowngood/internal/script"
)

// TestMain lets runs start the scripts of runbooks, whose first process is this
// binary again.
func TestMain(m *testing.M) {
	script.Init()
	os.Exit(m.Run())
}
