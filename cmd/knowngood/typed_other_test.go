//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

func typed(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("terminals are made as Linux does it: skip this script elsewhere")
}
