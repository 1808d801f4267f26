// Package strictyaml reads YAML files such that each error has its place: keys
// that are not known, keys that are there twice, values of the wrong type. Decode
// fills a Go value; Read gives the file's own values, each with its place.
package strictyaml

import (
	"bytes"
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/token"

	"github.com/knowngood/knowngood"
)

// Decode reads a file's data into a value. want says what the file should have
// been: "a rule's file". The error is a *knowngood.FileError.
func Decode(file string, data []byte, into any, want string) error {
	err := yaml.UnmarshalWithOptions(data, into, yaml.Strict())
	if err == nil {
		return nil
	}
	out := &knowngood.FileError{Position: knowngood.Position{File: file, Line: 1}, Problem: err.Error(), Want: want}
	var placed interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if errors.As(err, &placed) {
		out.Problem = placed.GetMessage()
		if t := placed.GetToken(); t != nil && t.Position != nil {
			out.Line, out.Col = t.Position.Line, t.Position.Column
		}
	}
	return out
}

// Place is where a file has the value at a path of goccy's: "$.scripts". It is the
// file's beginning where there is none.
func Place(file string, data []byte, path string) knowngood.Position {
	at := knowngood.Position{File: file, Line: 1}
	p, err := yaml.PathString(path)
	if err != nil {
		return at
	}
	if n, err := p.ReadNode(bytes.NewReader(data)); err == nil && n.GetToken() != nil && n.GetToken().Position != nil {
		at.Line, at.Col = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	return at
}
