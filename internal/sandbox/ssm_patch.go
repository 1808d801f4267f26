package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// packages is what patching has installed on a node, by product. What it hasn't
// touched is as the node's image had it.
type packages map[string]installed

type installed struct {
	Month  int       `json:"month"` // of the version
	At     time.Time `json:"at"`
	Reboot bool      `json:"reboot,omitempty"` // it takes effect with the node's next start
	Failed int       `json:"failed,omitempty"` // the month of a version that could not be installed
}

// patchState is what a node reported last: what has happened since, no list
// says.
type patchState struct {
	Operation    string      `json:"operation"`
	Baseline     string      `json:"baseline"`
	Group        string      `json:"group"`
	Snapshot     string      `json:"snapshot"`
	Command      string      `json:"command"`
	Reboot       string      `json:"rebootOption"`
	Start        time.Time   `json:"start"`
	End          time.Time   `json:"end"`
	LastNoReboot time.Time   `json:"lastNoReboot,omitzero"`
	Patches      []patchItem `json:"patches"`
}

type patchItem struct {
	ID       string    `json:"id"`
	Title    string    `json:"title"`
	Class    string    `json:"class"`
	Severity string    `json:"severity"`
	State    string    `json:"state"`
	Level    string    `json:"level"` // at which it must be there
	CVEs     []string  `json:"cves,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Security bool      `json:"security,omitempty"`
	Missed   bool      `json:"missed,omitempty"` // that it isn't as it should be breaks compliance
}

// imageAge is how much older than an instance its image is: what was released
// since is missing on it at first.
const imageAge = 90 * 24 * time.Hour

// installedOn is what a node has of a product.
func (c *call) installedOn(n node, p product) installed {
	_, have, _ := c.home().SSM.Packages.live(n.id, c.now)
	if i, ok := have[p.name]; ok && i.Month != 0 {
		if i.Reboot && !n.booted().Before(i.At) {
			i.Reboot = false
		}
		return i
	}
	made := c.home().Instances[n.id].Versions[0].At
	base := made.Add(-imageAge)
	out := installed{Failed: have[p.name].Failed, At: made}
	if l := p.releases(n.os, base); len(l) > 0 {
		out.Month = l[0].month
	}
	return out
}

// booted is when a node's system was last started.
func (n node) booted() time.Time {
	if n.instance.Rebooted.After(n.instance.Launched) {
		return n.instance.Rebooted
	}
	return n.instance.Launched
}

// survey says how a node stands against a baseline.
func (c *call) survey(n node, b baseline) []patchItem {
	var out []patchItem
	for _, product := range catalogue[n.os] {
		have := c.installedOn(n, product)
		add := func(p patch, state, level string) {
			i := patchItem{ID: p.id, Title: p.title, Class: p.class, Severity: p.severity, State: state, Level: cmp.Or(level, "UNSPECIFIED"), CVEs: p.cves, Security: p.security()}
			if strings.HasPrefix(state, "INSTALLED") {
				i.At = have.At
			}
			switch state {
			case "MISSING", "FAILED", "INSTALLED_REJECTED", "INSTALLED_PENDING_REBOOT":
				i.Missed = true
			case "AVAILABLE_SECURITY_UPDATE":
				i.Missed = b.Updates == "NON_COMPLIANT"
			}
			out = append(out, i)
		}
		if p, ok := product.release(n.os, have.Month); ok {
			level, approved := b.approves(p, c.now)
			switch {
			case p.matches(b.Rejected):
				add(p, "INSTALLED_REJECTED", level)
			case have.Reboot:
				add(p, "INSTALLED_PENDING_REBOOT", level)
			case approved:
				add(p, "INSTALLED", level)
			default:
				add(p, "INSTALLED_OTHER", level)
			}
		}
		if p, level, ok := c.wanted(n, b, product, have); ok {
			state := "MISSING"
			if have.Failed == p.month {
				state = "FAILED"
			}
			add(p, state, level)
			have.Month = p.month
		}
		if l := product.releases(n.os, c.now); len(l) > 0 && l[0].month > have.Month && l[0].security() && !l[0].matches(b.Rejected) {
			add(l[0], "AVAILABLE_SECURITY_UPDATE", "")
		}
	}
	return out
}

// wanted is the newest version of a product that a baseline approves, if the
// node has an older one.
func (c *call) wanted(n node, b baseline, of product, have installed) (patch, string, bool) {
	for _, p := range of.releases(n.os, c.now) {
		if p.month <= have.Month {
			break
		}
		if level, ok := b.approves(p, c.now); ok {
			return p, level, true
		}
	}
	return patch{}, "", false
}

// patch is AWS-RunPatchBaseline at its end: it installs, if it is to, and
// reports.
func (c *call) patch(m command, n node, i invocation) Result {
	if i.Result.Code != 0 {
		return i.Result // the operation itself failed, and reports nothing
	}
	for _, name := range []string{"BaselineOverride", "InstallOverrideList"} {
		if l := m.Parameters[name]; len(l) > 0 && l[0] != "" {
			return Result{Code: 1, ErrorOutput: "The sandbox does not simulate " + name + "."}
		}
	}
	b, ok := c.baselineFor(n, c.now)
	if !ok {
		return Result{Code: 1, ErrorOutput: "The sandbox has no patches for " + n.os + "."}
	}
	state := &c.home().SSM
	_, before, _ := state.PatchStates.live(n.id, c.now)
	s := patchState{Operation: m.Parameters["Operation"][0], Baseline: b.ID, Group: n.patchGroup(), Snapshot: m.Parameters["SnapshotId"][0], Command: m.ID,
		Reboot: m.Parameters["RebootOption"][0], Start: i.Started, End: c.now, LastNoReboot: before.LastNoReboot}
	if s.Snapshot == "" {
		s.Snapshot = uuid(derived(c.state.Seed, "patch snapshot "+m.ID, 0))
	}
	failed := 0
	if s.Operation == "Install" {
		failed = c.install(n, b, s.Reboot, i.Result.FailedPatches)
		if s.Reboot == "NoReboot" {
			s.LastNoReboot = c.now
		}
	}
	s.Patches = c.survey(n, b)
	state.PatchStates.put(n.id, c.now, s)
	c.tellCompliance(n.id, "Patch", !slices.ContainsFunc(s.Patches, func(p patchItem) bool { return p.Missed }))
	result := Result{Output: s.summary(b), Duration: i.Result.Duration}
	if failed > 0 {
		result.Code, result.ErrorOutput = 1, fmt.Sprintf("%d patches could not be installed.", failed)
	}
	return result
}

// install brings a node up to its baseline and says how many patches failed.
func (c *call) install(n node, b baseline, reboot string, fail []string) int {
	state, failed := &c.home().SSM, 0
	_, was, _ := state.Packages.live(n.id, c.now)
	now := packages{}
	for k, v := range was {
		now[k] = v
	}
	for _, product := range catalogue[n.os] {
		have := c.installedOn(n, product)
		if have.Reboot && reboot != "NoReboot" {
			have.Reboot = false
			now[product.name] = have
		}
		p, _, ok := c.wanted(n, b, product, have)
		switch {
		case !ok:
		case slices.ContainsFunc(fail, func(s string) bool { return strings.Contains(p.id, s) || strings.Contains(p.title, s) }):
			have.Failed = p.month
			now[product.name] = have
			failed++
		default:
			now[product.name] = installed{Month: p.month, At: c.now, Reboot: p.reboot && reboot == "NoReboot"}
		}
	}
	state.Packages.put(n.id, c.now, now)
	return failed
}

// count is how many patches a node reported in a state.
func (s patchState) count(state string) int64 {
	var n int64
	for _, p := range s.Patches {
		if p.State == state {
			n++
		}
	}
	return n
}

func (s patchState) summary(b baseline) string {
	var t strings.Builder
	fmt.Fprintf(&t, "Operation %s by the baseline %s (%s) in the sandbox.\n", s.Operation, b.ID, b.Name)
	for _, state := range patchStates {
		if n := s.count(state); n > 0 {
			fmt.Fprintf(&t, "%s: %d\n", state, n)
		}
	}
	return t.String()
}

var patchStates = []string{"INSTALLED", "INSTALLED_OTHER", "INSTALLED_PENDING_REBOOT", "INSTALLED_REJECTED", "MISSING", "FAILED", "NOT_APPLICABLE", "AVAILABLE_SECURITY_UPDATE"}

func (s patchState) out(id string) object {
	out := object{"InstanceId": id, "PatchGroup": s.Group, "BaselineId": s.Baseline, "SnapshotId": s.Snapshot, "OwnerInformation": "", "OperationStartTime": s.Start, "OperationEndTime": s.End,
		"Operation": s.Operation, "RebootOption": s.Reboot, "InstalledCount": s.count("INSTALLED"), "InstalledOtherCount": s.count("INSTALLED_OTHER"),
		"InstalledPendingRebootCount": s.count("INSTALLED_PENDING_REBOOT"), "InstalledRejectedCount": s.count("INSTALLED_REJECTED"), "MissingCount": s.count("MISSING"),
		"FailedCount": s.count("FAILED"), "UnreportedNotApplicableCount": int64(0), "NotApplicableCount": int64(0), "AvailableSecurityUpdateCount": s.count("AVAILABLE_SECURITY_UPDATE")}
	critical, security, other := s.noncompliant()
	out["CriticalNonCompliantCount"], out["SecurityNonCompliantCount"], out["OtherNonCompliantCount"] = critical, security, other
	if !s.LastNoReboot.IsZero() {
		out["LastNoRebootInstallOperationTime"] = s.LastNoReboot
	}
	return out
}

// noncompliant counts the patches that a node should have and hasn't: those that
// its baseline calls critical, the other security patches, and the rest.
func (s patchState) noncompliant() (critical, security, other int64) {
	for _, p := range s.Patches {
		switch {
		case !p.Missed:
		case p.Level == "CRITICAL":
			critical++
		case p.Security:
			security++
		default:
			other++
		}
	}
	return critical, security, other
}

func describeInstancePatchStates(c *call) (map[string]any, error) {
	out := []any{}
	for _, id := range c.strings("InstanceIds") {
		if _, s, ok := c.home().SSM.PatchStates.live(id, c.view); ok {
			out = append(out, s.out(id))
		}
	}
	return c.ssmPage("InstancePatchStates", 100, out)
}

// inGroup are the patch states of a group's nodes.
func (c *call) inGroup(group string) map[string]patchState {
	out := map[string]patchState{}
	for id, s := range c.home().SSM.PatchStates.all(c.view) {
		if n, ok := c.node(id, c.view); ok && n.patchGroup() == group {
			out[id] = s
		}
	}
	return out
}

func describePatchStatesForGroup(c *call) (map[string]any, error) {
	out := []any{}
	found := c.inGroup(c.str("PatchGroup"))
	for _, id := range sorted(found) {
		o := found[id].out(id)
		fits := true
		for _, f := range c.objects("Filters") {
			key, _ := f["Key"].(string)
			have, ok := o[key].(int64)
			if !ok {
				return nil, failure(400, "InvalidFilter", "The filter name is not valid: %s.", key)
			}
			kind, _ := f["Type"].(string)
			meets := slices.ContainsFunc(texts(f["Values"]), func(v string) bool {
				var want int64
				if _, err := fmt.Sscan(v, &want); err != nil {
					return false
				}
				return map[string]bool{"Equal": have == want, "NotEqual": have != want, "LessThan": have < want, "GreaterThan": have > want}[kind]
			})
			fits = fits && meets
		}
		if fits {
			out = append(out, o)
		}
	}
	return c.ssmPage("InstancePatchStates", 100, out)
}

func describePatchGroupState(c *call) (map[string]any, error) {
	group, out := c.str("PatchGroup"), object{}
	members := map[string]string{"InstancesWithInstalledPatches": "INSTALLED", "InstancesWithInstalledOtherPatches": "INSTALLED_OTHER", "InstancesWithInstalledPendingRebootPatches": "INSTALLED_PENDING_REBOOT",
		"InstancesWithInstalledRejectedPatches": "INSTALLED_REJECTED", "InstancesWithMissingPatches": "MISSING", "InstancesWithFailedPatches": "FAILED",
		"InstancesWithNotApplicablePatches": "NOT_APPLICABLE", "InstancesWithAvailableSecurityUpdates": "AVAILABLE_SECURITY_UPDATE"}
	found := c.inGroup(group)
	for member, state := range members {
		var n int64
		for _, s := range found {
			n += min(s.count(state), 1)
		}
		out[member] = n
	}
	var all, critical, security, other int64
	for _, n := range c.nodes(c.view) {
		if n.patchGroup() == group {
			all++
		}
	}
	for _, s := range found {
		a, b, o := s.noncompliant()
		critical, security, other = critical+min(a, 1), security+min(b, 1), other+min(o, 1)
	}
	out["Instances"], out["InstancesWithCriticalNonCompliantPatches"], out["InstancesWithSecurityNonCompliantPatches"], out["InstancesWithOtherNonCompliantPatches"] = all, critical, security, other
	out["InstancesWithUnreportedNotApplicablePatches"] = int64(0)
	return out, nil
}

func describeInstancePatches(c *call) (map[string]any, error) {
	id := c.str("InstanceId")
	if !instanceIDPattern.MatchString(id) {
		return nil, failure(400, "InvalidInstanceId", "%s is not a valid instance ID.", id)
	}
	_, s, reported := c.home().SSM.PatchStates.live(id, c.view)
	if _, ok := c.node(id, c.view); !ok && !reported {
		return nil, failure(400, "InvalidInstanceId", "Instance %s is not a managed node.", id)
	}
	out := []any{}
	for _, p := range s.Patches {
		fits, err := passes(ssmFilters(c.in["Filters"]), func(key string) ([]string, bool) {
			if key == "State" { // Missing as in AWS's examples, or MISSING as in the model
				return []string{p.State, camel(p.State)}, true
			}
			v, ok := map[string]string{"Classification": p.Class, "KBId": p.ID, "Severity": p.Severity}[key]
			return []string{v}, ok
		})
		if err != nil {
			return nil, failure(400, "InvalidFilter", "The filter name is not valid.")
		}
		if !fits {
			continue
		}
		at := p.At
		if at.IsZero() {
			at = time.Unix(0, 0).UTC() // as AWS answers for what is not installed
		}
		o := object{"Title": p.Title, "KBId": p.ID, "Classification": p.Class, "Severity": p.Severity, "State": p.State, "InstalledTime": at}
		out = append(out, withTexts(o, map[string]string{"CVEIds": strings.Join(p.CVEs, ",")}))
	}
	return c.ssmPage("Patches", 100, out)
}

var patchHandlers = map[string]handler{
	"DescribeInstancePatchStates":              {"ssm:DescribeInstancePatchStates", checked(describeInstancePatchStates)},
	"DescribeInstancePatchStatesForPatchGroup": {"ssm:DescribeInstancePatchStatesForPatchGroup", checked(describePatchStatesForGroup)},
	"DescribeInstancePatches":                  {"ssm:DescribeInstancePatches", checked(describeInstancePatches)},
	"DescribePatchGroupState":                  {"ssm:DescribePatchGroupState", checked(describePatchGroupState)},
}
