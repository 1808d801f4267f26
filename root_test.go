package knowngood_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestKindOfIsTheOutermost(t *testing.T) {
	inner := knowngood.E(knowngood.NotFound, "read volume", "vol-1 is gone")
	outer := &knowngood.Error{Kind: knowngood.Incomplete, Op: "scan", Err: fmt.Errorf("one type: %w", inner)}
	if got := knowngood.KindOf(fmt.Errorf("main: %w", outer)); got != knowngood.Incomplete {
		t.Errorf("kind %d, want Incomplete", got)
	}
	if got := knowngood.KindOf(errors.New("plain")); got != knowngood.Other {
		t.Errorf("kind %d, want Other", got)
	}
}

func TestFileErrorSaysWhereAndWhatWasExpected(t *testing.T) {
	e := &knowngood.FileError{
		Position: knowngood.Position{File: "pack.yaml", Line: 7, Col: 3},
		Problem:  "MaximumAutomaticAttempts is 26", Want: "1 to 25",
	}
	if got, want := e.Error(), "pack.yaml:7:3: MaximumAutomaticAttempts is 26; expected 1 to 25"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
