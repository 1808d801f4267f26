package inventory

import (
	"io/fs"
	"path"
	"slices"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Rates are what AWS lets an account call in a Region, and which of the calls it
// bills; library/rates has them, each with its source.
type Rates struct {
	services map[string]*serviceRates
}

// serviceRates is a file of library/rates.
type serviceRates struct {
	Service string     `yaml:"service"`
	Source  string     `yaml:"source"`
	Note    string     `yaml:"note"`
	Limits  []apiLimit `yaml:"limits"`
	Billed  []apiPrice `yaml:"billed"`
}

// apiLimit is the limit of some operations: of each, or of all of them together.
type apiLimit struct {
	Operations []string `yaml:"operations"` // patterns as Describe*
	PerSecond  float64  `yaml:"perSecond"`
	Burst      float64  `yaml:"burst"`  // 0: as many as in a second
	Shared     bool     `yaml:"shared"` // of all of them together
	Assumed    bool     `yaml:"assumed"`
}

type apiPrice struct {
	Operations  []string `yaml:"operations"`
	USDPer1000  float64  `yaml:"usdPer1000"`
	Description string   `yaml:"description"`
	Source      string   `yaml:"source"`
}

// Rate is how fast calls may be made.
type Rate struct {
	Name      string // of what shares it: ec2:DescribeVolumes, or lambda
	PerSecond float64
	Burst     float64 // calls at once, where none was made for long
	// Assumed: AWS publishes none, and this is a careful guess.
	Assumed bool
}

// Price is what AWS bills for a call.
type Price struct {
	USDPer1000  float64
	Description string
	Source      string
}

// anyService is the file's service for what no other file has.
const anyService = "*"

// LoadRates reads rates/*.yaml of fsys and checks each operation against the API
// models. Errors are *knowngood.FileError.
func LoadRates(fsys fs.FS, catalog *awsapi.Catalog) (*Rates, error) {
	files, err := fs.Glob(fsys, "rates/*.yaml")
	if err != nil {
		return nil, err
	}
	r := &Rates{services: map[string]*serviceRates{}}
	for _, file := range files {
		raw, err := fs.ReadFile(fsys, file)
		if err != nil {
			return nil, err
		}
		s := &serviceRates{}
		if err := strictyaml.Decode(file, raw, s, "the rates of a service, as library/rates/README.md describes them"); err != nil {
			return nil, err
		}
		if err := s.check(catalog); err != nil {
			return nil, &knowngood.FileError{Position: knowngood.Position{File: file}, Problem: err.Error(), Want: "a service's rates with their source"}
		}
		r.services[s.Service] = s
	}
	if _, ok := r.services[anyService]; !ok {
		return nil, &knowngood.FileError{Position: knowngood.Position{File: "rates"}, Problem: "there is no rate for what has none", Want: `a file with service "*"`}
	}
	return r, nil
}

func (s *serviceRates) check(catalog *awsapi.Catalog) error {
	if s.Source == "" {
		return knowngood.E(knowngood.Invalid, "", "there is no source")
	}
	for _, l := range s.Limits {
		if l.PerSecond <= 0 || l.Burst < 0 || len(l.Operations) == 0 {
			return knowngood.E(knowngood.Invalid, "", "a limit has no operations, or no rate above 0")
		}
	}
	if s.Service == anyService {
		return nil
	}
	service, err := catalog.Service(s.Service)
	if err != nil {
		return err
	}
	var patterns []string
	for _, l := range s.Limits {
		patterns = append(patterns, l.Operations...)
	}
	for _, b := range s.Billed {
		if b.USDPer1000 <= 0 || b.Source == "" || b.Description == "" {
			return knowngood.E(knowngood.Invalid, "", "a price has no amount, no description or no source")
		}
		patterns = append(patterns, b.Operations...)
	}
	for _, p := range patterns {
		if !slices.ContainsFunc(service.Operations(), func(name string) bool { return fits(p, name) }) {
			return knowngood.E(knowngood.Invalid, "", "%s has no operation %s", s.Service, p)
		}
	}
	return nil
}

func fits(pattern, operation string) bool {
	ok, err := path.Match(pattern, operation)
	return ok && err == nil
}

// Of is the rate of an operation, in an account and a Region. The first limit of its
// service that names it holds.
func (r *Rates) Of(service, operation string) Rate {
	for _, name := range []string{service, anyService} {
		s := r.services[name]
		if s == nil {
			continue
		}
		for i, l := range s.Limits {
			if !slices.ContainsFunc(l.Operations, func(p string) bool { return fits(p, operation) }) {
				continue
			}
			out := Rate{Name: service + ":" + operation, PerSecond: l.PerSecond, Burst: max(l.Burst, l.PerSecond), Assumed: l.Assumed}
			if l.Shared {
				out.Name = service
				if i > 0 {
					out.Name += " " + l.Operations[0]
				}
			}
			return out
		}
	}
	return Rate{Name: service} // the check has seen to it that there is a limit for anything
}

// Billed is what a call costs; false: nothing, as far as the table knows.
func (r *Rates) Billed(service, operation string) (Price, bool) {
	if s := r.services[service]; s != nil {
		for _, b := range s.Billed {
			if slices.ContainsFunc(b.Operations, func(p string) bool { return fits(p, operation) }) {
				return Price{b.USDPer1000, b.Description, b.Source}, true
			}
		}
	}
	return Price{}, false
}
