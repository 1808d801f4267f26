package remedy

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/strictyaml"
)

// Prices are what resources cost in a month, by resource type; library/prices
// has the meaning of the members.
type Prices map[string]Price

// Price is the price of one resource type.
type Price struct {
	ResourceType string                        `yaml:"resourceType"`
	Source       string                        `yaml:"source"`
	AsOf         int                           `yaml:"asOf"`
	Quantity     string                        `yaml:"quantity"`
	Kind         string                        `yaml:"kind"`
	Note         string                        `yaml:"note"`
	USDPerMonth  map[string]map[string]float64 `yaml:"usdPerMonth"`
}

// LoadPrices reads prices/*.yaml. Errors are *knowngood.FileError.
func LoadPrices(library fs.FS) (Prices, error) {
	files, err := fs.Glob(library, "prices/*.yaml")
	if err != nil {
		return nil, err
	}
	out := Prices{}
	for _, file := range files {
		raw, err := fs.ReadFile(library, file)
		if err != nil {
			return nil, err
		}
		var p Price
		if err := strictyaml.Decode(file, raw, &p, "a table of prices"); err != nil {
			return nil, err
		}
		if p.ResourceType == "" || p.Source == "" {
			return nil, &knowngood.FileError{Position: knowngood.Position{File: file}, Problem: "there is no resourceType or no source", Want: "both"}
		}
		out[p.ResourceType] = p
	}
	return out, nil
}

// UnknownCost is the monthly cost of a resource that has no known price.
const UnknownCost = -1.0

// Monthly is what a resource costs in a month, in US dollars, or UnknownCost.
func (p Prices) Monthly(item *knowngood.Resource) float64 {
	price, ok := p[item.Type]
	if !ok {
		return UnknownCost
	}
	kind, ok := member(item, price.Kind).(string)
	if !ok {
		return UnknownCost
	}
	usd, ok := price.USDPerMonth[item.Region][kind]
	if !ok {
		return UnknownCost
	}
	switch n := member(item, price.Quantity).(type) {
	case int64:
		return usd * float64(n)
	case float64:
		return usd * n
	}
	return UnknownCost
}

// member gives a value of an item's configuration by its path.
func member(item *knowngood.Resource, path string) any {
	rest, ok := strings.CutPrefix(path, "configuration.")
	if !ok {
		return nil
	}
	v, _ := at(map[string]any(item.Configuration), rest)
	return v
}

// Dollars writes a monthly cost for people.
func Dollars(usd float64) string {
	if usd < 0 {
		return "unknown"
	}
	return fmt.Sprintf("$%.2f", usd)
}
