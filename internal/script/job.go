package script

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// folder is where a contained script finds its files.
const folder = "/run/script"

// program is what runs the scripts of a language.
type program struct {
	Executable string   // links followed
	Roots      []string // folders and files without which it does not run
	arguments  []string // before the path of main
	main       string   // name of our own program in the language, which runs the script
	text       []byte   // of main
	script     string   // the name that a script's file is given
	env        []string
	// held says that main reads a line before it runs the script, which comes when
	// the limits are set: it can't set them itself.
	held bool
}

// job is a script as it is handed to the process that runs it.
type job struct {
	program *program
	files   map[string][]byte // by path under the job's folder
	env     []string          // without what depends on folder and proxy
	limits  Limits
	main    mainJob
}

// mainJob is what main.py and main.ps1 are told.
type mainJob struct {
	Path         []string
	Script       string // file
	Folder       string // to work in
	Handler      string
	Payload      any
	Context      map[string]string
	Time         *float64
	Seed         int64
	Dry          bool
	AddressSpace int64
	Processes    int // 0: no limit
}

//go:embed main.py
var mainPython []byte

// maxVariable is how long an environment variable can be, in bytes: Linux's
// MAX_ARG_STRLEN, with its name and its end.
const maxVariable = 128<<10 - 100

// Bounds of what is unpacked of attachments.
const (
	maxUnpacked = 250 << 20 // bytes
	maxMembers  = 10_000
)

// newJob puts a job together. The error says what is wrong with the script's
// files.
func newJob(by *program, path []string, req Request, l Limits, ca []byte, t *token) (*job, error) {
	j := &job{program: by, files: map[string][]byte{by.main: by.text, "ca.pem": ca}, limits: l}
	total := 0
	for name, raw := range req.Files {
		if err := j.add(name, raw, &total); err != nil {
			return nil, err
		}
	}
	j.main = mainJob{
		Path: path, Handler: req.Handler, Payload: req.Payload, Context: req.Context, Seed: req.Seed, Dry: req.Dry,
		// What a process reserves is more than what it takes: threads' stacks and
		// arenas.
		AddressSpace: l.Memory + 512<<20, Processes: l.Processes,
	}
	if req.Attachment == "" || req.Script != "" && by.held {
		j.files[by.script] = []byte(req.Script)
		j.main.Script = by.script
	}
	if !req.Time.IsZero() {
		at := float64(req.Time.UnixMicro()) / 1e6
		j.main.Time = &at
	}
	j.env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
		"AWS_ACCESS_KEY_ID=" + t.keyID, "AWS_SECRET_ACCESS_KEY=" + t.secret, "AWS_SESSION_TOKEN=" + t.session,
		"AWS_REGION=" + req.Region, "AWS_DEFAULT_REGION=" + req.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		// The proxy's caller repeats what should be repeated.
		"AWS_MAX_ATTEMPTS=1",
	}
	j.env = append(j.env, by.env...)
	if !req.Time.IsZero() {
		j.env = append(j.env, "PYTHONHASHSEED="+strconv.FormatUint(uint64(uint32(req.Seed)), 10))
	}
	return j, nil
}

// add puts a file where the script can import it; a zip file is unpacked.
func (j *job) add(name string, raw []byte, total *int) error {
	put := func(name string, raw []byte) error {
		clean := path.Clean(name)
		if !localPath(clean) {
			return fmt.Errorf("the attachment has a file with the path %q", name)
		}
		if *total += len(raw); *total > maxUnpacked {
			return fmt.Errorf("the attachments have more than %d bytes", maxUnpacked)
		}
		j.files["files/"+clean] = raw
		return nil
	}
	if !strings.HasSuffix(strings.ToLower(name), ".zip") {
		return put(name, raw)
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return fmt.Errorf("the attachment %s: %w", name, err)
	}
	if len(z.File) > maxMembers {
		return fmt.Errorf("the attachment %s has more than %d files", name, maxMembers)
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return fmt.Errorf("the attachment %s: %w", name, err)
		}
		member, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
		if err != nil {
			return fmt.Errorf("the attachment %s: %w", name, err)
		}
		if err := put(f.Name, member); err != nil {
			return err
		}
	}
	return nil
}

// localPath says whether a slash-separated path stays where it is put.
func localPath(p string) bool {
	return p != "." && p != ".." && !strings.HasPrefix(p, "../") && !strings.HasPrefix(p, "/") && !strings.ContainsAny(p, "\\\x00")
}

// at gives the files and the environment for a folder, and a proxy's address.
func (j *job) at(dir, scratch, proxy string) (files map[string][]byte, env []string, err error) {
	files = make(map[string][]byte, len(j.files)+1)
	for name, raw := range j.files {
		files[name] = raw
	}
	m := j.main
	m.Folder = scratch
	if m.Script != "" {
		m.Script = dir + "/" + m.Script
	}
	if files["job.json"], err = json.Marshal(m); err != nil {
		return nil, nil, fmt.Errorf("the script's input has no form in JSON: %w", err)
	}
	p := (&url.URL{Scheme: "http", Host: proxy}).String()
	ca := dir + "/ca.pem"
	env = append(j.env[:len(j.env):len(j.env)],
		"HOME="+scratch, "TMPDIR="+scratch,
		"HTTPS_PROXY="+p, "HTTP_PROXY="+p, "https_proxy="+p, "http_proxy="+p,
		"AWS_CA_BUNDLE="+ca, "REQUESTS_CA_BUNDLE="+ca, "SSL_CERT_FILE="+ca, "CURL_CA_BUNDLE="+ca)
	return files, env, nil
}

// argv is the command line that runs main.
func (j *job) argv(dir string) []string {
	return append(append([]string{j.program.Executable}, j.program.arguments...), dir+"/"+j.program.main)
}
