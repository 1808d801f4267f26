package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The sandbox's patches are made up: each product of an operating system has a
// new version in some months, so whatever the clock says there are old patches
// and new ones, and a node that is compliant today is not for ever. A version
// holds what came before it. Which months, which day and which CVEs follow from
// the product's name alone.

// product is what is patched: a package, or one kind of Windows update.
type product struct {
	name     string // of the package; of a Windows update, its title
	version  string // what versions begin with
	class    string
	severity string
	every    uint64 // about how many months lie between versions
	reboot   bool
}

// catalogue is what can be patched, by operating system. Classifications and
// severities are those that each system's patches have: Source: Systems Manager
// User Guide, "How security patches are selected".
var catalogue = map[string][]product{
	"AMAZON_LINUX_2": {
		{"kernel", "4.14", "Security", "Important", 1, true}, {"openssl", "1.0.2k", "Security", "Critical", 2, false}, {"curl", "8.3", "Security", "Medium", 2, false},
		{"glibc", "2.26", "Security", "Important", 4, true}, {"tzdata", "2026", "Bugfix", "Low", 3, false},
	},
	"AMAZON_LINUX_2023": {
		{"kernel", "6.1", "Security", "Important", 1, true}, {"openssl", "3.2", "Security", "Critical", 2, false}, {"curl-minimal", "8.11", "Security", "Medium", 2, false},
		{"glibc", "2.34", "Security", "Important", 4, true}, {"vim-minimal", "9.1", "Bugfix", "Low", 2, false}, {"system-release", "2023", "Bugfix", "Low", 1, false},
	},
	"REDHAT_ENTERPRISE_LINUX": {
		{"kernel", "5.14", "Security", "Important", 1, true}, {"openssl", "3.2", "Security", "Critical", 2, false}, {"sudo", "1.9", "Security", "Moderate", 3, false},
		{"tuned", "2.25", "Bugfix", "None", 2, false},
	},
	"UBUNTU": {
		{"linux-image-aws", "6.8", "Security", "Optional", 1, true}, {"openssl", "3.0", "Security", "Important", 2, false}, {"libc6", "2.39", "Security", "Required", 3, true},
		{"snapd", "2.68", "Bugfix", "Standard", 2, false},
	},
	"WINDOWS": {
		{"Cumulative Update for Microsoft server operating system version 21H2 for x64-based Systems", "", "SecurityUpdates", "Critical", 1, true},
		{"Cumulative Update for .NET Framework 3.5 and 4.8 for Microsoft server operating system version 21H2 for x64", "", "SecurityUpdates", "Important", 2, true},
		{"Windows Malicious Software Removal Tool x64", "", "UpdateRollups", "Unspecified", 2, false},
		{"Servicing Stack Update for Microsoft server operating system version 21H2", "", "CriticalUpdates", "Critical", 3, false},
	},
}

// patch is one version of a product.
type patch struct {
	product
	os       string
	month    int    // since the year 0
	id       string // what AWS calls KBId
	title    string
	cves     []string
	released time.Time
}

func (p patch) security() bool {
	return p.class == "Security" || p.class == "SecurityUpdates" || p.class == "CriticalUpdates"
}

// release gives the version of a month; false: the product has none then.
func (p product) release(os string, month int) (patch, bool) {
	h := derived(0, os+"/"+p.name, uint64(month))
	n, err := strconv.ParseUint(h[:8], 16, 64)
	if err != nil || n%p.every != 0 {
		return patch{}, false
	}
	first := time.Date(month/12, time.Month(month%12+1), 1, 17, 0, 0, 0, time.UTC)
	out := patch{product: p, os: os, month: month}
	if os == "WINDOWS" { // on the second Tuesday
		out.released = first.AddDate(0, 0, (int(time.Tuesday)-int(first.Weekday())+7)%7+7)
		out.id = fmt.Sprintf("KB5%06d", n%1_000_000)
		out.title = first.Format("2006-01 ") + p.name + " (" + out.id + ")"
	} else {
		out.released = first.AddDate(0, 0, int(n/p.every%28))
		arch := ".x86_64"
		if os == "UBUNTU" {
			arch = ".amd64"
		}
		out.title = p.name + arch
		out.id = out.title + ":0:" + p.version + "." + first.Format("200601") + "-1"
	}
	if out.security() {
		for i := range int(n/7%3) + 1 { // numbers that are high, and of nobody
			out.cves = append(out.cves, fmt.Sprintf("CVE-%d-%05d", first.Year(), 90000+(int(n%9000)+i)))
		}
	}
	return out, true
}

func monthOf(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }

// patchHistory is for how long versions are kept in mind: what is older counts
// as there.
const patchHistory = 18

// releases are the versions of a product until a time, the newest first.
func (p product) releases(os string, until time.Time) []patch {
	var out []patch
	for m := monthOf(until); m > monthOf(until)-patchHistory; m-- {
		if v, ok := p.release(os, m); ok && !v.released.After(until) {
			out = append(out, v)
		}
	}
	return out
}

// matches says whether a list of a baseline names the patch: by its id, package
// (with * and ?), or a CVE.
func (p patch) matches(list []string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		return wildcard(s, p.id) || wildcard(s, p.title) || wildcard(s, p.name) || slices.Contains(p.cves, s)
	})
}

// value is what a patch has under the key of a baseline's filter.
func (p patch) value(key string) ([]string, bool) {
	switch key {
	case "PRODUCT":
		return []string{productNames[p.os]}, true
	case "PRODUCT_FAMILY":
		return []string{operatingSystems[p.os].platform}, true
	case "CLASSIFICATION":
		return []string{p.class}, true
	case "SEVERITY", "MSRC_SEVERITY", "PRIORITY":
		return []string{p.severity}, true
	case "PATCH_ID", "NAME":
		return []string{p.id, p.title, p.name}, true
	case "CVE_ID":
		return p.cves, true
	case "PATCH_SET":
		return []string{"OS"}, true
	case "SECURITY":
		return []string{strconv.FormatBool(p.security())}, true
	}
	return nil, false
}

// productNames are the values of the filter PRODUCT.
var productNames = map[string]string{"AMAZON_LINUX_2": "AmazonLinux2", "AMAZON_LINUX_2023": "AmazonLinux2023", "REDHAT_ENTERPRISE_LINUX": "RedhatEnterpriseLinux9.6",
	"UBUNTU": "Ubuntu24.04", "WINDOWS": "WindowsServer2022"}

func (p patch) out() object {
	out := object{"Id": p.id, "ReleaseDate": p.released, "Title": p.title, "Classification": p.class, "Product": productNames[p.os], "ProductFamily": operatingSystems[p.os].platform,
		"CVEIds": anys(p.cves)}
	if p.os == "WINDOWS" {
		out["KbNumber"], out["MsrcSeverity"], out["Vendor"] = p.id, p.severity, "Microsoft"
		return out
	}
	_, version, _ := strings.Cut(p.id, ":0:")
	version, release, _ := strings.Cut(version, "-")
	out["Name"], out["Severity"], out["Version"], out["Release"], out["Epoch"], out["Arch"] = p.name, p.severity, version, release, int64(0), "x86_64"
	return out
}

// describeAvailablePatches lists the versions of the last months, the newest
// last.
func describeAvailablePatches(c *call) (map[string]any, error) {
	list := ssmFilters(c.in["Filters"])
	out := []any{}
	for _, os := range sorted(catalogue) {
		for _, product := range catalogue[os] {
			for _, p := range slices.Backward(product.releases(os, c.view)) {
				fits, err := passes(list, p.value)
				if err != nil {
					return nil, invalid("The filter is not valid: %v", err)
				}
				if fits {
					out = append(out, p.out())
				}
			}
		}
	}
	return c.ssmPage("Patches", 100, out)
}
