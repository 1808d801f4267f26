package knowngood_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/knowngood/knowngood"

// floors are the rooms of ARCHITECTURE.md. Imports only go down, and rooms on
// one floor don't import each other, save those that beside names.
var floors = map[string]int{
	"":                    0,
	"awsapi":              1,
	"guard":               1,
	"eventpattern":        1,
	"iampolicy":           1,
	"internal/document":   1,
	"internal/strictyaml": 1,
	"internal/mototest":   0,
	"internal/planned":    1,
	"internal/template":   2,
	"internal/runbook":    2,
	"internal/rule":       2,
	"internal/store":      2,
	"internal/sandbox":    2,
	"internal/script":     2,
	"internal/inventory":  3,
	"internal/finding":    3,
	"internal/remedy":     3,
	"internal/patch":      4,
	"internal/backup":     4,
	"internal/rightsize":  4,
	"internal/bus":        4,
	"internal/report":     4,
	"internal/web":        5,
	"internal/app":        6,
	"cmd/knowngood":       6,
	"library":             0,
}

// beside are the imports on one floor that the design allows.
var beside = map[[2]string]bool{
	{"cmd/knowngood", "internal/app"}: true,
}

// public rooms are for others too and know nothing of this project.
var public = map[string]bool{"awsapi": true, "guard": true, "eventpattern": true, "iampolicy": true}

// only says which rooms may import a module, by the beginning of its path.
var only = map[string][]string{
	"database/sql":                  {"internal/store"},
	"modernc.org/sqlite":            {"internal/store"},
	"github.com/jackc/pgx":          {"internal/store"},
	"github.com/riverqueue/river":   {"internal/store"},
	"github.com/aws/aws-sdk-go-v2/": {"awsapi"},
}

// roomOf gives the room that a package's folder belongs to.
func roomOf(dir string) (string, bool) {
	for d := dir; ; d = path.Dir(d) {
		if d == "." {
			d = ""
		}
		if _, ok := floors[d]; ok {
			return d, d != "" || dir == "" || dir == "."
		}
		if d == "" {
			return "", false
		}
	}
}

// TestRoomsAreThere reads the table of ARCHITECTURE.md: each room must be on the
// floor that it says, and hold code, unless the table calls it still to come.
func TestRoomsAreThere(t *testing.T) {
	raw, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(raw)) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		floor, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil {
			continue // the table's head
		}
		for _, room := range roomsOf(cells[2]) {
			listed++
			if want, ok := floors[room]; !ok || want != floor {
				t.Errorf("ARCHITECTURE.md has %q on floor %d; the house has it on %d (known: %v)", room, floor, want, ok)
			}
			if !strings.Contains(cells[2], "(to come)") && !holdsGo(room) {
				t.Errorf("the room %q is gone", room)
			}
		}
	}
	if listed < 12 {
		t.Errorf("ARCHITECTURE.md lists only %d rooms", listed)
	}
}

// roomsOf gives the rooms that a cell of the table names.
func roomsOf(cell string) []string {
	var rooms []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			rooms = append(rooms, part)
		}
	}
	if rooms == nil {
		return []string{""} // the root has no folder name
	}
	return rooms
}

// holdsGo says whether a room's folder, or one below it, has Go files.
func holdsGo(room string) bool {
	found := false
	err := filepath.WalkDir("./"+filepath.FromSlash(room), func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(file, ".go") {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return err == nil && found
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func TestImportsOnlyGoDown(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata" || d.Name() == "tools"):
			return filepath.SkipDir
		case d.IsDir() && file != "." && isModule(file):
			return filepath.SkipDir // it compares us with others, and is not part of the program
		case !strings.HasSuffix(file, ".go"):
			return nil
		}
		checked++
		dir := path.Dir(filepath.ToSlash(file))
		room, ok := roomOf(dir)
		if !ok {
			t.Errorf("%s is in no room", file)
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if why := forbidden(room, imported, test); why != "" {
				t.Errorf("%s imports %s: %s", file, imported, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 10 {
		t.Errorf("only %d files were checked", checked)
	}
}

// forbidden says why a room may not import a package, or "". Tests may reach
// rooms on any floor, for they prove how rooms work together.
func forbidden(room, imported string, test bool) string {
	for _, prefix := range sortedPrefixes() {
		if strings.HasPrefix(imported, prefix) && !test && !contains(only[prefix], room) {
			return "only " + strings.Join(only[prefix], ", ") + " may"
		}
	}
	if room == "" && !test && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
		return "the root imports the standard library only"
	}
	if imported != module && !strings.HasPrefix(imported, module+"/") {
		return ""
	}
	to, ok := roomOf(strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"))
	switch {
	case !ok:
		return "it is in no room"
	case to == room || test:
		return ""
	case public[room] && !public[to]:
		return "a public room knows nothing of this project"
	case room == "internal/store" && to != "":
		return "the store imports the root and its drivers only"
	case floors[to] == floors[room] && !beside[[2]string{room, to}]:
		return "it is on the same floor"
	case floors[to] > floors[room]:
		return "it is on a higher floor"
	}
	return ""
}

func TestFloorsWouldCatchAWrongImport(t *testing.T) {
	for _, c := range []struct{ room, imported string }{
		{"", "github.com/spf13/cobra"},
		{"awsapi", module},
		{"internal/runbook", module + "/internal/remedy"},
		{"internal/rule", module + "/internal/template"},
		{"internal/store", module + "/awsapi"},
		{"internal/remedy", "database/sql"},
		{"internal/remedy", module + "/internal/inventory"},
		{"internal/app", module + "/nowhere"},
	} {
		if forbidden(c.room, c.imported, false) == "" {
			t.Errorf("%q may import %s", c.room, c.imported)
		}
	}
	for _, c := range []struct{ room, imported string }{
		{"internal/remedy", module + "/internal/runbook"},
		{"internal/store/sqlite", "database/sql"},
		{"cmd/knowngood", module + "/internal/app"},
	} {
		room, _ := roomOf(c.room)
		if why := forbidden(room, c.imported, false); why != "" {
			t.Errorf("%s may not import %s: %s", c.room, c.imported, why)
		}
	}
}

func sortedPrefixes() []string {
	var out []string
	for p := range only {
		out = append(out, p)
	}
	sort.Strings(out)
	return out
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
