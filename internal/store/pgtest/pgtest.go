// Package pgtest gives tests a PostgreSQL server of their own.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL server that only this process's tests use, behind a
// socket in a folder of theirs. It writes to the disk as a real one does.
type Server struct {
	dir  string
	cmd  *exec.Cmd
	made atomic.Int64
}

// errNotInstalled says that there is no PostgreSQL on this machine.
var errNotInstalled = errors.New("PostgreSQL's server (initdb, postgres) is not installed")

// Main runs a package's tests with a server that begins with the first test that
// asks for it, and gives the exit code. Where PostgreSQL is not installed, such
// tests skip, and say so.
func Main(m *testing.M, get *func(testing.TB) *Server) int {
	var server *Server
	var failed error
	*get = func(t testing.TB) *Server {
		t.Helper()
		if server == nil && failed == nil {
			server, failed = Start()
		}
		switch {
		case errors.Is(failed, errNotInstalled):
			t.Skip("skipped: " + failed.Error())
		case failed != nil:
			t.Fatal(failed)
		}
		return server
	}
	code := m.Run()
	if server != nil {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// program finds one of PostgreSQL's programs: Debian has them off the path, a
// folder a version.
func program(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		slices.Sort(found)
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errNotInstalled
	}
	return path, nil
}

// Start starts a server; who does it stops it.
func Start() (*Server, error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := program("postgres")
	if err != nil {
		return nil, err
	}
	// A socket's path has room for about a hundred bytes.
	dir, err := os.MkdirTemp("/tmp", "kgpg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	as, err := s.unprivileged()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	initialize := exec.Command(initdb, "-D", filepath.Join(dir, "data"), "-U", "knowngood", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions")
	initialize.SysProcAttr, initialize.Dir = &syscall.SysProcAttr{Credential: as}, dir
	if out, err := initialize.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w\n%s", err, out), os.RemoveAll(dir))
	}
	var log bytes.Buffer
	s.cmd = exec.Command(postgres, "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200")
	s.cmd.SysProcAttr, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGTERM}, dir, &log, &log
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for range 600 {
		conn, err := pgx.Connect(context.Background(), s.URL("postgres"))
		if err == nil {
			return s, conn.Close(context.Background())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.Join(fmt.Errorf("the server does not answer\n%s", log.String()), s.Stop())
}

// unprivileged is a user who may run a server, which root may not: the one that
// PostgreSQL's package makes, or nobody. nil: whoever runs the tests.
func (s *Server) unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(s.dir, uid, gid)
}

// Stop ends the server and takes away what it wrote.
func (s *Server) Stop() error {
	err := s.cmd.Process.Signal(syscall.SIGINT) // a fast shutdown
	if err == nil {
		_ = s.cmd.Wait() // how it ends is of no account
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// URL is where a database of the server is.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("host=%s user=knowngood dbname=%s", s.dir, database)
}

// Database makes a new database for a test, and gives its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	url, err := s.NewDatabase(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return url
}

// NewDatabase makes a new database, and gives its URL.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	name := "t" + strconv.FormatInt(s.made.Add(1), 10)
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return s.URL(name), err
}
