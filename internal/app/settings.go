package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// settings are what AWS's formats have no word for, of the file knowngood.yaml. A
// key that is not known, or is there twice, is an error.
type settings struct {
	// Scripts says whether the scripts of runbooks may run where they can't be
	// contained.
	Scripts scriptMode `yaml:"scripts"`
}

// scriptMode is how scripts are run.
type scriptMode string

// The ways to run scripts.
const (
	scriptsContained   scriptMode = "contained" // or not at all
	scriptsUncontained scriptMode = "uncontained"
)

// settingsFile is in the folder where knowngood is started; settingsVariable names
// another one.
const (
	settingsFile     = "knowngood.yaml"
	settingsVariable = "KNOWNGOOD_SETTINGS"
)

// settingsPath is the file that is read.
func settingsPath() string {
	if file := os.Getenv(settingsVariable); file != "" {
		return file
	}
	return settingsFile
}

// readSettings reads the settings. That there is no file is no error, unless the
// variable names it; others are of kind Invalid, with the place.
func readSettings() (settings, error) {
	var s settings
	file := settingsPath()
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && file == settingsFile {
		raw, err = nil, nil
	}
	if err == nil {
		err = s.decode(file, raw)
	}
	if err != nil {
		return s, &knowngood.Error{Kind: knowngood.Invalid, Op: "read the settings", Err: err}
	}
	return s, nil
}

func (s *settings) decode(file string, raw []byte) error {
	if err := strictyaml.Decode(file, raw, s, "settings of knowngood: scripts"); err != nil {
		return err
	}
	s.Scripts = cmp.Or(s.Scripts, scriptsContained)
	if s.Scripts != scriptsContained && s.Scripts != scriptsUncontained {
		return &knowngood.FileError{Position: strictyaml.Place(file, raw, "$.scripts"), Problem: fmt.Sprintf("scripts is %q", s.Scripts), Want: "contained or uncontained"}
	}
	return nil
}

type warnKey struct{}

// withWarnings gives a context in which there is somebody to be warned.
func withWarnings(ctx context.Context, warn func(string)) context.Context {
	return context.WithValue(ctx, warnKey{}, warn)
}

// warner gives what warns the person, if there is somebody.
func warner(ctx context.Context) func(string) {
	if warn, ok := ctx.Value(warnKey{}).(func(string)); ok {
		return warn
	}
	return func(string) {}
}
