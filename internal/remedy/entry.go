package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Entry is what a runbook's author says beside the document, in
// library/entries; its README has the meaning of the members. Texts may hold
// the document's references.
type Entry struct {
	SensitiveReads []string      `yaml:"sensitiveReads"`
	Replacement    string        `yaml:"replacement"`
	Downtime       *Downtime     `yaml:"downtime"`
	Before         []Line        `yaml:"before"`
	After          []Line        `yaml:"after"`
	Stages         []Stage       `yaml:"stages"`
	Residual       *KeepOriginal `yaml:"residual"`
	Resource       *ActsOn       `yaml:"resource"`
	// Hosts are those besides AWS's that scripts may speak to, as host:port.
	Hosts []string `yaml:"hosts"`
}

// ActsOn says which resource a runbook acts on: its type, and the parameter that
// holds its id. A run that nothing was found for locks that resource by it. ARN says
// that the parameter takes the resource's ARN: where a remediation gives it the id of
// what was found, as AWS Config does, the ARN takes its place.
type ActsOn struct {
	Type      string `yaml:"type"`
	Parameter string `yaml:"parameter"`
	ARN       bool   `yaml:"arn"`
}

// Downtime estimates for how long a resource is out of service: a range in
// seconds, and one for each of Units.
type Downtime struct {
	Step           string  `yaml:"step"` // none of its calls in the plan: no downtime
	Seconds        []int64 `yaml:"seconds"`
	SecondsPerUnit []int64 `yaml:"secondsPerUnit"`
	Units          string  `yaml:"units"`
}

// Line is a line of a before or after.
type Line struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

// Stage is a part of a run that a person can follow; it is done when its step
// has succeeded.
type Stage struct {
	Name string `yaml:"name"`
	Step string `yaml:"step"`
}

// KeepOriginal says that a replaced resource is left behind, for how many days,
// and which of its tags name its owner.
type KeepOriginal struct {
	KeepDays  int      `yaml:"keepDays"`
	OwnerTags []string `yaml:"ownerTags"`
}

// LoadEntry reads a runbook's entry. A runbook without one, such as one that is
// a user's file, has the zero entry.
func LoadEntry(fsys fs.FS, runbook string) (Entry, error) {
	file := runbook + ".yaml"
	if !fs.ValidPath(file) {
		return Entry{}, nil
	}
	raw, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return Entry{}, nil
	} else if err != nil {
		return Entry{}, err
	}
	return parseEntry(file, raw)
}

func parseEntry(file string, raw []byte) (Entry, error) {
	var e Entry
	if err := strictyaml.Decode(file, raw, &e, "a runbook entry"); err != nil {
		return Entry{}, err
	}
	if d := e.Downtime; d != nil && (len(d.Seconds) != 2 || len(d.SecondsPerUnit) != 2 || d.Step == "") {
		return Entry{}, &knowngood.FileError{Position: knowngood.Position{File: file}, Problem: fmt.Sprintf("downtime is %+v", *d), Want: "a step, and a low and a high of seconds and secondsPerUnit"}
	}
	for i, host := range e.Hosts {
		var ok bool
		if e.Hosts[i], ok = hostAndPort(host); !ok {
			return Entry{}, &knowngood.FileError{Position: strictyaml.Place(file, raw, fmt.Sprintf("$.hosts[%d]", i)), Problem: fmt.Sprintf("hosts has %q", host), Want: "a host's name, and perhaps a port: api.example.com:8443"}
		}
	}
	return e, nil
}

var hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9_-]*[a-z0-9])?)(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*$`)

// hostAndPort gives a host in lower case with its port, HTTPS's where none is said.
func hostAndPort(s string) (string, bool) {
	host, port, err := net.SplitHostPort(strings.ToLower(s))
	if err != nil {
		host, port = strings.ToLower(s), "443"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(host, port), err == nil && n > 0 && hostForm.MatchString(host)
}
