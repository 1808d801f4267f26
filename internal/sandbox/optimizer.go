package sandbox

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// optimizerState is what compute-optimizer has in one account and Region.
type optimizerState struct {
	Enrollment *record[enrollment] `json:"enrollment,omitempty"`
}

func (s optimizerState) check() error {
	if s.Enrollment == nil {
		return nil
	}
	return whole("enrollment", map[string]*record[enrollment]{"of Compute Optimizer": s.Enrollment})
}

type enrollment struct {
	Status  string    `json:"status"` // Active, Inactive
	Updated time.Time `json:"updated"`
	Members bool      `json:"includeMemberAccounts,omitempty"`
}

// How Compute Optimizer looks at an instance by default. Source: AWS Compute
// Optimizer User Guide, "Resource requirements" and "Rightsizing recommendation
// preferences".
const (
	analysisEvery = 24 * time.Hour // the first comes as long after the enrolment
	lookBack      = 14 * 24 * time.Hour
	leastData     = 30 * time.Hour
	cpuPercentile = 99.5
	headroom      = 0.2
	hoursInMonth  = 730
	maxOptions    = 3
	idlePeak      = 5.0 // per cent of CPU
)

// sizes are the instance types that are weighed as options: vCPUs, MiB, and US
// dollars an hour for Linux on demand in us-east-1. baseline is the share of a
// vCPU that a burstable type may use for long, and 1 for others.
// Sources: Amazon EC2 instance types guide and On-Demand pricing, 2025.
var sizes = map[string]struct {
	vcpus, memory int64
	price         float64
	baseline      float64
}{
	"t3.nano": {2, 512, 0.0052, 0.05}, "t3.micro": {2, 1024, 0.0104, 0.1}, "t3.small": {2, 2048, 0.0208, 0.2}, "t3.medium": {2, 4096, 0.0416, 0.2},
	"t3.large": {2, 8192, 0.0832, 0.3}, "t3.xlarge": {4, 16384, 0.1664, 0.4}, "t3.2xlarge": {8, 32768, 0.3328, 0.4},
	"m5.large": {2, 8192, 0.096, 1}, "m5.xlarge": {4, 16384, 0.192, 1}, "m5.2xlarge": {8, 32768, 0.384, 1}, "m5.4xlarge": {16, 65536, 0.768, 1},
	"m5.8xlarge": {32, 131072, 1.536, 1}, "m5.12xlarge": {48, 196608, 2.304, 1}, "m5d.large": {2, 8192, 0.113, 1}, "i3.large": {2, 15616, 0.156, 1},
	"c5.large": {2, 4096, 0.085, 1}, "c5.xlarge": {4, 8192, 0.17, 1}, "c5.2xlarge": {8, 16384, 0.34, 1}, "c5.4xlarge": {16, 32768, 0.68, 1}, "c5.9xlarge": {36, 73728, 1.53, 1},
	"r5.large": {2, 16384, 0.126, 1}, "r5.xlarge": {4, 32768, 0.252, 1}, "r5.2xlarge": {8, 65536, 0.504, 1}, "r5.4xlarge": {16, 131072, 1.008, 1}, "r5.8xlarge": {32, 262144, 2.016, 1},
}

// withStore are families with instance store volumes, which are no options for
// others.
var withStore = []string{"m5d", "i3"}

func (c *call) enrollment(at time.Time) enrollment {
	if r := c.home().Optimizer.Enrollment; r != nil {
		if e, ok := r.as(at); ok {
			return e
		}
	}
	return enrollment{Status: "Inactive"}
}

func optimizerWrong(format string, args ...any) error {
	return failure(400, "InvalidParameterValueException", format, args...)
}

func getEnrollment(c *call) (map[string]any, error) {
	e := c.enrollment(c.view)
	out := object{"status": e.Status, "memberAccountsEnrolled": e.Members}
	if !e.Updated.IsZero() {
		out["lastUpdatedTimestamp"] = e.Updated
	}
	return out, nil
}

func updateEnrollment(c *call) (map[string]any, error) {
	status := c.str("status")
	if status != "Active" && status != "Inactive" {
		return nil, optimizerWrong("The status %s is not one that can be set: Active, Inactive", status)
	}
	e := enrollment{Status: status, Updated: c.now, Members: c.bool("includeMemberAccounts")}
	if old := c.enrollment(c.now); old.Status == status && status == "Active" {
		e.Updated = old.Updated // the analyses go on
	}
	if r := c.home().Optimizer.Enrollment; r != nil {
		r.change(c.now, func(now *enrollment) { *now = e })
	} else {
		c.home().Optimizer.Enrollment = newRecord(c.now, e)
	}
	return object{"status": status}, nil
}

// analysed is when the resources were last looked at; false: not yet.
func (c *call) analysed() (time.Time, bool, error) {
	e := c.enrollment(c.view)
	if e.Status != "Active" {
		return time.Time{}, false, failure(403, "OptInRequiredException", "Account: %s is not registered for recommendations.", c.who.Account)
	}
	n := c.view.Sub(e.Updated) / analysisEvery
	return e.Updated.Add(n * analysisEvery), n > 0, nil
}

// wantedARNs are the resources that a call names, which must be of its Region.
func (c *call) wantedARNs(member, kind string) ([]string, error) {
	list := c.strings(member)
	for _, text := range list {
		if a, ok := parseARN(text); !ok || a.service != "ec2" || a.region != c.region || !strings.HasPrefix(a.resource, kind+"/") {
			return nil, optimizerWrong("The %s ARN %s is not valid in %s.", kind, text, c.region)
		}
	}
	return list, nil
}

// optimizerPage answers with a page of recommendations that pass the call's
// filters.
func (c *call) optimizerPage(key string, list []object) (map[string]any, error) {
	fields := map[string]string{"Finding": "finding", "FindingReasonCodes": "findingReasonCodes", "RecommendationSourceType": "recommendationSources.recommendationSourceType"}
	for _, f := range c.objects("filters") {
		path := fields[textOf(f["name"])]
		if path == "" {
			return nil, failure(501, "NotImplemented", "The sandbox does not simulate the filter %s of Compute Optimizer.", textOf(f["name"]))
		}
		list = slices.DeleteFunc(list, func(o object) bool {
			return !slices.ContainsFunc(texts(lookup(o, path)), func(have string) bool {
				return slices.ContainsFunc(texts(f["values"]), func(want string) bool { return strings.EqualFold(want, have) })
			})
		})
	}
	if accounts := c.strings("accountIds"); len(accounts) > 0 && !slices.Contains(accounts, c.who.Account) {
		list = nil
	}
	limit, ok := c.int("maxResults")
	if !ok || limit == 0 {
		limit = 100
	}
	if limit < 0 || limit > 1000 {
		return nil, optimizerWrong("maxResults must be from 0 to 1000")
	}
	page, next, ok := slicePage(anys(list), c.str("nextToken"), limit)
	if !ok {
		return nil, optimizerWrong("nextToken is not valid")
	}
	out := object{key: page, "errors": []any{}}
	if next != "" {
		out["nextToken"] = next
	}
	return out, nil
}

func instanceRecommendations(c *call) (map[string]any, error) {
	at, ready, err := c.analysed()
	if err != nil {
		return nil, err
	}
	want, err := c.wantedARNs("instanceArns", "instance")
	if err != nil {
		return nil, err
	}
	var list []object
	for id, i := range table[instance](c.home().Instances).all(at) {
		if !ready || len(want) > 0 && !slices.Contains(want, c.arnOf("ec2", "instance/"+id)) || i.State != "running" && i.State != "stopped" {
			continue
		}
		if o := c.recommend(id, i, at); o != nil {
			list = append(list, o)
		}
	}
	return c.optimizerPage("instanceRecommendations", list)
}

// usage is what an instance's metrics say of the time before an analysis.
type usage struct {
	cpu, peak  float64 // the percentile, and the maximum
	memory     float64 // per cent, the percentile; 0: it has no agent
	memoryPeak float64
	data       time.Duration
}

func (c *call) usage(id string, at time.Time) usage {
	var u usage
	p := statistic{"p99.5", cpuPercentile, true}
	period := int64(lookBack / time.Second)
	from := at.Unix() - period
	for _, b := range c.bins(cpuOf(id), "", period, from, at.Unix(), true) {
		u.cpu, _ = b.value(p)
		u.peak = b.high
	}
	u.data = time.Duration(len(c.bins(cpuOf(id), "", 300, from, at.Unix(), false))) * 5 * time.Minute
	agent := newMetricName("CWAgent", "mem_used_percent", []dimension{{"InstanceId", id}})
	for _, b := range c.bins(agent, "", period, from, at.Unix(), true) {
		u.memory, _ = b.value(p)
		u.memoryPeak = b.high
	}
	return u
}

// recommend says what Compute Optimizer says of an instance; nil: it has not
// enough data of it, or doesn't know its type.
func (c *call) recommend(id string, i instance, at time.Time) object {
	now, ok := sizes[i.Type]
	u := c.usage(id, at)
	if !ok || u.data < leastData {
		return nil
	}
	needed := float64(now.vcpus) * u.cpu / 100 / (1 - headroom)
	memory := float64(now.memory) // without an agent nothing says that less would do
	if u.memory > 0 {
		memory *= u.memory / 100 / (1 - headroom)
	}
	options := fitting(i.Type, needed, memory)
	finding, reasons := "Optimized", []any{}
	switch {
	case needed > float64(now.vcpus) || memory > float64(now.memory):
		finding = "Underprovisioned"
		if needed > float64(now.vcpus) {
			reasons = append(reasons, "CPUUnderprovisioned")
		}
		if memory > float64(now.memory) {
			reasons = append(reasons, "MemoryUnderprovisioned")
		}
	case len(options) > 0 && sizes[options[0]].price < now.price:
		best := sizes[options[0]]
		if best.vcpus < now.vcpus || best.baseline < now.baseline {
			reasons = append(reasons, "CPUOverprovisioned")
		}
		if best.memory < now.memory {
			reasons = append(reasons, "MemoryOverprovisioned")
		}
		if len(reasons) > 0 {
			finding = "Overprovisioned"
		}
	}
	if finding == "Optimized" {
		options = []string{i.Type}
	}
	list := []any{}
	for rank, name := range options[:min(len(options), maxOptions)] {
		list = append(list, optionOut(rank+1, name, i.Type, u))
	}
	metrics := []any{object{"name": "Cpu", "statistic": "Maximum", "value": u.peak}}
	if u.memory > 0 {
		metrics = append(metrics, object{"name": "Memory", "statistic": "Maximum", "value": u.memoryPeak})
	}
	idle := "False"
	if u.peak < idlePeak {
		idle = "True"
	}
	arn := c.arnOf("ec2", "instance/"+id)
	return object{"instanceArn": arn, "accountId": c.who.Account, "instanceName": i.Tags["Name"], "currentInstanceType": i.Type, "finding": finding, "findingReasonCodes": reasons, "utilizationMetrics": metrics,
		"lookBackPeriodInDays": lookBack.Hours() / 24, "recommendationOptions": list, "recommendationSources": []any{object{"recommendationSourceArn": arn, "recommendationSourceType": "Ec2Instance"}},
		"lastRefreshTimestamp": at, "currentPerformanceRisk": riskWord(u.cpu), "instanceState": i.State, "tags": lowered(i.Tags.list()), "idle": idle,
		"effectiveRecommendationPreferences": object{"cpuVendorArchitectures": []any{"CURRENT"}, "enhancedInfrastructureMetrics": "Inactive", "inferredWorkloadTypes": "Active", "lookBackPeriod": "DAYS_14",
			"utilizationPreferences": []any{object{"metricName": "CpuUtilization", "metricParameters": object{"threshold": "P99_5", "headroom": "PERCENT_20"}}, object{"metricName": "MemoryUtilization", "metricParameters": object{"headroom": "PERCENT_20"}}},
			"savingsEstimationMode":  object{"source": "PublicPricing"}}}
}

// fitting are the types that are enough, cheapest first.
func fitting(current string, vcpus, memory float64) []string {
	var out []string
	for _, name := range sorted(sizes) {
		t := sizes[name]
		family, _, _ := strings.Cut(name, ".")
		if slices.Contains(withStore, family) && !strings.HasPrefix(current, family+".") {
			continue
		}
		if float64(t.vcpus)*t.baseline >= vcpus && float64(t.memory) >= memory {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(sizes[a].price, sizes[b].price) })
	return out
}

func optionOut(rank int, name, current string, u usage) object {
	now, t := sizes[current], sizes[name]
	cpu := u.cpu * float64(now.vcpus) / float64(t.vcpus)
	projected := []any{object{"name": "Cpu", "statistic": "Maximum", "value": min(u.peak*float64(now.vcpus)/float64(t.vcpus), 100)}}
	if u.memory > 0 {
		projected = append(projected, object{"name": "Memory", "statistic": "Maximum", "value": min(u.memoryPeak*float64(now.memory)/float64(t.memory), 100)})
	}
	out := object{"instanceType": name, "rank": int64(rank), "performanceRisk": risk(cpu), "platformDifferences": []any{}, "migrationEffort": "VeryLow", "projectedUtilizationMetrics": projected}
	if saved := now.price - t.price; saved > 0 {
		out["savingsOpportunity"] = savings(saved*hoursInMonth, now.price*hoursInMonth)
	}
	return out
}

func savings(saved, of float64) object {
	return object{"savingsOpportunityPercentage": saved / of * 100, "estimatedMonthlySavings": object{"currency": "USD", "value": saved}}
}

// risk is how likely a type is not enough, from 0 to 4, by the utilisation that
// it would have.
func risk(cpu float64) float64 {
	switch {
	case cpu <= 100*(1-headroom):
		return 1
	case cpu <= 90:
		return 2
	case cpu <= 100:
		return 3
	}
	return 4
}

func riskWord(cpu float64) string {
	return []string{"VeryLow", "VeryLow", "Low", "Medium", "High"}[int(risk(cpu))]
}

// volumePrices are US dollars for a GiB in a month in us-east-1.
// Source: Amazon EBS pricing, 2025.
var volumePrices = map[string]float64{"gp2": 0.10, "gp3": 0.08}

// volumeRecommendations tells of the attached volumes of general purpose: gp3
// gives for less what gp2 does.
func volumeRecommendations(c *call) (map[string]any, error) {
	at, ready, err := c.analysed()
	if err != nil {
		return nil, err
	}
	want, err := c.wantedARNs("volumeArns", "volume")
	if err != nil {
		return nil, err
	}
	var list []object
	for id, v := range table[volume](c.home().Volumes).all(at) {
		arn := c.arnOf("ec2", "volume/"+id)
		if !ready || len(want) > 0 && !slices.Contains(want, arn) || len(v.Attachments) == 0 || volumePrices[v.Type] == 0 || at.Sub(v.Attachments[0].At) < leastData {
			continue
		}
		on := v.Attachments[0]
		_, i, _ := table[instance](c.home().Instances).live(on.Instance, at)
		configuration := func(kind string, iops, throughput int64) object {
			return object{"volumeType": kind, "volumeSize": v.Size, "volumeBaselineIOPS": iops, "volumeBaselineThroughput": throughput, "rootVolume": on.Device == i.Root}
		}
		o := object{"volumeArn": arn, "accountId": c.who.Account, "finding": "Optimized", "utilizationMetrics": []any{}, "lookBackPeriodInDays": lookBack.Hours() / 24, "lastRefreshTimestamp": at, "currentPerformanceRisk": "VeryLow",
			"currentConfiguration": configuration(v.Type, v.Iops, max(v.Throughput, 128)), "volumeRecommendationOptions": []any{}, "tags": lowered(v.Tags.list())}
		if v.Type == "gp2" && v.Iops <= 3000 { // what gp3 has without extra pay
			o["finding"] = "NotOptimized"
			o["volumeRecommendationOptions"] = []any{object{"configuration": configuration("gp3", 3000, 125), "performanceRisk": 1.0, "rank": int64(1),
				"savingsOpportunity": savings((volumePrices["gp2"]-volumePrices["gp3"])*float64(v.Size), volumePrices["gp2"]*float64(v.Size))}}
		}
		list = append(list, o)
	}
	return c.optimizerPage("volumeRecommendations", list)
}

var optimizerHandlers = map[string]handler{
	"GetEBSVolumeRecommendations":   {"compute-optimizer:GetEBSVolumeRecommendations", volumeRecommendations},
	"GetEC2InstanceRecommendations": {"compute-optimizer:GetEC2InstanceRecommendations", instanceRecommendations},
	"GetEnrollmentStatus":           {"compute-optimizer:GetEnrollmentStatus", getEnrollment},
	"UpdateEnrollmentStatus":        {"compute-optimizer:UpdateEnrollmentStatus", updateEnrollment},
}
