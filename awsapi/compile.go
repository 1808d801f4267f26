package awsapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"sort"
)

// CompilePack makes a pack of an installed botocore: fsys is the folder of the
// Python package. Of each service the newest API version is taken. The same
// botocore gives the same bytes.
func CompilePack(fsys fs.FS) ([]byte, Manifest, error) {
	version, err := botocoreVersion(fsys)
	if err != nil {
		return nil, Manifest{}, err
	}
	partitions, err := readModel(fsys, "data/partitions.json")
	if err != nil {
		return nil, Manifest{}, fmt.Errorf("awsapi: partitions: %w", err)
	}
	dirs, err := fs.ReadDir(fsys, "data")
	if err != nil {
		return nil, Manifest{}, err
	}
	var services []*Service
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		s, err := compileService(fsys, d.Name())
		if err != nil {
			return nil, Manifest{}, err
		}
		if s != nil {
			services = append(services, s)
		}
	}
	var b bytes.Buffer
	if err := WritePack(&b, version, partitions, services); err != nil {
		return nil, Manifest{}, err
	}
	c, err := OpenPack(b.Bytes())
	if err != nil {
		return nil, Manifest{}, err
	}
	return b.Bytes(), c.Manifest(), nil
}

var versionLine = regexp.MustCompile(`(?m)^__version__ = ['"]([^'"]+)['"]`)

func botocoreVersion(fsys fs.FS) (string, error) {
	raw, err := fs.ReadFile(fsys, "__init__.py")
	if err != nil {
		return "", fmt.Errorf("awsapi: not a botocore package: %w", err)
	}
	m := versionLine.FindSubmatch(raw)
	if m == nil {
		return "", errors.New("awsapi: botocore's __init__.py names no version")
	}
	return string(m[1]), nil
}

// compileService gives nil for a folder without a service model.
func compileService(fsys fs.FS, name string) (*Service, error) {
	versions, err := fs.ReadDir(fsys, path.Join("data", name))
	if err != nil {
		return nil, err
	}
	sort.Slice(versions, func(i, j int) bool { return versions[i].Name() > versions[j].Name() })
	for _, v := range versions {
		dir := path.Join("data", name, v.Name())
		service, err := readModel(fsys, dir+"/service-2.json")
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("awsapi: %s: %w", dir, err)
		}
		src := Source{Service: service}
		for _, f := range []struct {
			to   *[]byte
			file string
		}{{&src.Paginators, "paginators-1.json"}, {&src.Waiters, "waiters-2.json"}, {&src.RuleSet, "endpoint-rule-set-1.json"}} {
			*f.to, err = readModel(fsys, dir+"/"+f.file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("awsapi: %s/%s: %w", dir, f.file, err)
			}
		}
		return ParseService(name, src)
	}
	return nil, nil
}

// readModel reads a model file, compressed or not, and merges its extras.
func readModel(fsys fs.FS, name string) ([]byte, error) {
	raw, err := readMaybeGzip(fsys, name)
	if err != nil {
		return nil, err
	}
	extras, err := readMaybeGzip(fsys, name[:len(name)-len(".json")]+".sdk-extras.json")
	if errors.Is(err, fs.ErrNotExist) {
		return raw, nil
	} else if err != nil {
		return nil, err
	}
	var more struct{ Merge json.RawMessage }
	if err := json.Unmarshal(extras, &more); err != nil {
		return nil, fmt.Errorf("its sdk-extras: %w", err)
	}
	if len(more.Merge) == 0 {
		return raw, nil
	}
	return merge(raw, more.Merge)
}

func readMaybeGzip(fsys fs.FS, name string) ([]byte, error) {
	raw, err := fs.ReadFile(fsys, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	f, err := fsys.Open(name + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// merge puts the members of an object into another, objects into objects, and
// keeps the order of what was there.
func merge(base, more json.RawMessage) (json.RawMessage, error) {
	if !isObject(base) || !isObject(more) {
		return more, nil
	}
	var members, added map[string]json.RawMessage
	if err := json.Unmarshal(base, &members); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(more, &added); err != nil {
		return nil, err
	}
	var names []string
	add := func(name string) { names = append(names, name) }
	if err := eachKey(base, add); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		old, ok := members[name]
		if !ok {
			add(name)
		}
		merged, err := merge(old, added[name])
		if err != nil {
			return nil, err
		}
		members[name] = merged
	}
	out := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(append(out, key...), ':'), members[name]...)
	}
	return append(out, '}'), nil
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == '{'
}
