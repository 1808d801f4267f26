package sandbox

import (
	"slices"
	"strconv"
	"strings"
)

// instanceType is what DescribeInstanceTypes says of a type.
type instanceType struct {
	VCPUs, Cores, Memory int64 // MiB
	Arch                 string
	Baseline, Maximum    int64 // EBS bandwidth in Mbps; 0: the type is not EBS-optimised
	Network              string
	Interfaces           int64
	Disks, DiskSize      int64 // instance store: number, and GB of each
	Rotating             bool  // the disks are HDD
}

// instanceTypes are those that are most used of each family, as
// DescribeInstanceTypes answers. Source: the Amazon EC2 Instance Types guide.
var instanceTypes = map[string]instanceType{
	"t2.micro":       {1, 1, 1024, "x86_64", 0, 0, "Low to Moderate", 2, 0, 0, false},
	"t2.small":       {1, 1, 2048, "x86_64", 0, 0, "Low to Moderate", 3, 0, 0, false},
	"t2.medium":      {2, 2, 4096, "x86_64", 0, 0, "Low to Moderate", 3, 0, 0, false},
	"t2.large":       {2, 2, 8192, "x86_64", 0, 0, "Low to Moderate", 3, 0, 0, false},
	"t3.nano":        {2, 1, 512, "x86_64", 43, 2085, "Up to 5 Gigabit", 2, 0, 0, false},
	"t3.micro":       {2, 1, 1024, "x86_64", 87, 2085, "Up to 5 Gigabit", 2, 0, 0, false},
	"t3.small":       {2, 1, 2048, "x86_64", 174, 2085, "Up to 5 Gigabit", 3, 0, 0, false},
	"t3.medium":      {2, 1, 4096, "x86_64", 347, 2085, "Up to 5 Gigabit", 3, 0, 0, false},
	"t3.large":       {2, 1, 8192, "x86_64", 695, 2780, "Up to 5 Gigabit", 3, 0, 0, false},
	"t3.xlarge":      {4, 2, 16384, "x86_64", 695, 2780, "Up to 5 Gigabit", 4, 0, 0, false},
	"t3.2xlarge":     {8, 4, 32768, "x86_64", 695, 2780, "Up to 5 Gigabit", 4, 0, 0, false},
	"t3a.micro":      {2, 1, 1024, "x86_64", 90, 2085, "Up to 5 Gigabit", 2, 0, 0, false},
	"t3a.medium":     {2, 1, 4096, "x86_64", 350, 2085, "Up to 5 Gigabit", 3, 0, 0, false},
	"t3a.large":      {2, 1, 8192, "x86_64", 695, 2780, "Up to 5 Gigabit", 3, 0, 0, false},
	"t4g.micro":      {2, 2, 1024, "arm64", 87, 2085, "Up to 5 Gigabit", 2, 0, 0, false},
	"t4g.small":      {2, 2, 2048, "arm64", 174, 2085, "Up to 5 Gigabit", 3, 0, 0, false},
	"t4g.medium":     {2, 2, 4096, "arm64", 347, 2085, "Up to 5 Gigabit", 3, 0, 0, false},
	"t4g.large":      {2, 2, 8192, "arm64", 695, 2780, "Up to 5 Gigabit", 3, 0, 0, false},
	"m4.large":       {2, 1, 8192, "x86_64", 450, 450, "Moderate", 2, 0, 0, false},
	"m5.large":       {2, 1, 8192, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"m5.xlarge":      {4, 2, 16384, "x86_64", 1150, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"m5.2xlarge":     {8, 4, 32768, "x86_64", 2300, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"m5.4xlarge":     {16, 8, 65536, "x86_64", 4750, 4750, "Up to 10 Gigabit", 8, 0, 0, false},
	"m5.12xlarge":    {48, 24, 196608, "x86_64", 9500, 9500, "12 Gigabit", 8, 0, 0, false},
	"m5.24xlarge":    {96, 48, 393216, "x86_64", 19000, 19000, "25 Gigabit", 15, 0, 0, false},
	"m5.metal":       {96, 48, 393216, "x86_64", 19000, 19000, "25 Gigabit", 15, 0, 0, false},
	"m5a.large":      {2, 1, 8192, "x86_64", 650, 2880, "Up to 10 Gigabit", 3, 0, 0, false},
	"m5d.large":      {2, 1, 8192, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 1, 75, false},
	"m5d.xlarge":     {4, 2, 16384, "x86_64", 1150, 4750, "Up to 10 Gigabit", 4, 1, 150, false},
	"m6a.large":      {2, 1, 8192, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"m6i.large":      {2, 1, 8192, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"m6i.xlarge":     {4, 2, 16384, "x86_64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"m6i.2xlarge":    {8, 4, 32768, "x86_64", 2500, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"m6id.large":     {2, 1, 8192, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 1, 118, false},
	"m6g.large":      {2, 2, 8192, "arm64", 630, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"m6g.xlarge":     {4, 4, 16384, "arm64", 1188, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"m7i.large":      {2, 1, 8192, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"m7i.xlarge":     {4, 2, 16384, "x86_64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"m7i-flex.large": {2, 1, 8192, "x86_64", 312, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"m7g.large":      {2, 2, 8192, "arm64", 630, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"m7g.xlarge":     {4, 4, 16384, "arm64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"c4.large":       {2, 1, 3840, "x86_64", 500, 500, "Moderate", 3, 0, 0, false},
	"c5.large":       {2, 1, 4096, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"c5.xlarge":      {4, 2, 8192, "x86_64", 1150, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"c5.2xlarge":     {8, 4, 16384, "x86_64", 2300, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"c5d.large":      {2, 1, 4096, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 1, 50, false},
	"c6i.large":      {2, 1, 4096, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"c6i.xlarge":     {4, 2, 8192, "x86_64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"c6g.large":      {2, 2, 4096, "arm64", 630, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"c6g.xlarge":     {4, 4, 8192, "arm64", 1188, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"c7i.large":      {2, 1, 4096, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"c7g.large":      {2, 2, 4096, "arm64", 630, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"c7g.xlarge":     {4, 4, 8192, "arm64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"r5.large":       {2, 1, 16384, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"r5.xlarge":      {4, 2, 32768, "x86_64", 1150, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"r5.2xlarge":     {8, 4, 65536, "x86_64", 2300, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"r5d.large":      {2, 1, 16384, "x86_64", 650, 4750, "Up to 10 Gigabit", 3, 1, 75, false},
	"r6i.large":      {2, 1, 16384, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"r6i.xlarge":     {4, 2, 32768, "x86_64", 1250, 10000, "Up to 12.5 Gigabit", 4, 0, 0, false},
	"r6g.large":      {2, 2, 16384, "arm64", 630, 4750, "Up to 10 Gigabit", 3, 0, 0, false},
	"r6g.xlarge":     {4, 4, 32768, "arm64", 1188, 4750, "Up to 10 Gigabit", 4, 0, 0, false},
	"r7i.large":      {2, 1, 16384, "x86_64", 650, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"r7g.large":      {2, 2, 16384, "arm64", 630, 10000, "Up to 12.5 Gigabit", 3, 0, 0, false},
	"i3.large":       {2, 1, 15616, "x86_64", 425, 425, "Up to 10 Gigabit", 3, 1, 475, false},
	"i3en.large":     {2, 1, 16384, "x86_64", 576, 4750, "Up to 25 Gigabit", 3, 1, 1250, false},
	"i4i.large":      {2, 1, 16384, "x86_64", 625, 10000, "Up to 10 Gigabit", 3, 1, 468, false},
	"d3.xlarge":      {4, 2, 32768, "x86_64", 850, 2800, "Up to 15 Gigabit", 4, 3, 1980, true},
	"x2idn.16xlarge": {64, 32, 1048576, "x86_64", 40000, 40000, "50 Gigabit", 15, 1, 1900, false},
	"g4dn.xlarge":    {4, 2, 16384, "x86_64", 950, 3500, "Up to 25 Gigabit", 3, 1, 125, false},
	"g5.xlarge":      {4, 2, 16384, "x86_64", 700, 3500, "Up to 10 Gigabit", 4, 1, 250, false},
}

// familyOf is what stands before the dot of a type's name.
func familyOf(name string) string {
	family, _, _ := strings.Cut(name, ".")
	return family
}

// previousGenerations, xenFamilies and freeTier hold by the same guide, and the
// AWS Free Tier's page.
var (
	previousGenerations = []string{"m4", "c4"}
	xenFamilies         = []string{"t2", "m4", "c4", "i3"}
	freeTier            = []string{"t3.micro", "t3.small", "t4g.micro", "t4g.small", "m7i-flex.large"}
)

func (t instanceType) hypervisor(name string) string {
	switch {
	case strings.HasSuffix(name, ".metal"):
		return ""
	case slices.Contains(xenFamilies, familyOf(name)):
		return "xen"
	}
	return "nitro"
}

func instanceTypeOut(name string, t instanceType) object {
	hypervisor := t.hypervisor(name)
	ebs := object{"EbsOptimizedSupport": "default", "EncryptionSupport": "supported", "NvmeSupport": "required"}
	if t.Maximum == 0 {
		ebs["EbsOptimizedSupport"] = "unsupported"
	} else {
		ebs["EbsOptimizedInfo"] = object{"BaselineBandwidthInMbps": t.Baseline, "MaximumBandwidthInMbps": t.Maximum,
			"BaselineThroughputInMBps": float64(t.Baseline) / 8, "MaximumThroughputInMBps": float64(t.Maximum) / 8}
	}
	ena := "required"
	if hypervisor == "xen" {
		ebs["NvmeSupport"], ena = "unsupported", "unsupported"
		if familyOf(name) == "i3" {
			ebs["NvmeSupport"], ena = "supported", "supported"
		}
	}
	out := object{
		"InstanceType": name, "CurrentGeneration": !slices.Contains(previousGenerations, familyOf(name)), "BareMetal": hypervisor == "",
		"BurstablePerformanceSupported": strings.HasPrefix(name, "t"), "FreeTierEligible": slices.Contains(freeTier, name), "InstanceStorageSupported": t.Disks > 0,
		"VCpuInfo":                 object{"DefaultVCpus": t.VCPUs, "DefaultCores": t.Cores, "DefaultThreadsPerCore": t.VCPUs / t.Cores},
		"MemoryInfo":               object{"SizeInMiB": t.Memory},
		"ProcessorInfo":            object{"SupportedArchitectures": []any{t.Arch}},
		"EbsInfo":                  ebs,
		"NetworkInfo":              object{"NetworkPerformance": t.Network, "MaximumNetworkInterfaces": t.Interfaces, "EnaSupport": ena, "Ipv6Supported": true},
		"SupportedRootDeviceTypes": []any{"ebs"}, "SupportedUsageClasses": []any{"on-demand", "spot"}, "SupportedVirtualizationTypes": []any{"hvm"},
	}
	if hypervisor != "" {
		out["Hypervisor"] = hypervisor
	}
	if t.Disks > 0 {
		kind := "ssd"
		if t.Rotating {
			kind = "hdd"
		}
		out["InstanceStorageInfo"] = object{"TotalSizeInGB": t.Disks * t.DiskSize, "Disks": []any{object{"Count": t.Disks, "SizeInGB": t.DiskSize, "Type": kind}}}
	}
	return out
}

// instanceTypeFilters are the filters of DescribeInstanceTypes.
var instanceTypeFilters = filterTable[instanceType]{
	"instance-type":                         func(_ *call, name string, _ instanceType) []string { return []string{name} },
	"vcpu-info.default-vcpus":               func(_ *call, _ string, t instanceType) []string { return numeral(t.VCPUs) },
	"vcpu-info.default-cores":               func(_ *call, _ string, t instanceType) []string { return numeral(t.Cores) },
	"memory-info.size-in-mib":               func(_ *call, _ string, t instanceType) []string { return numeral(t.Memory) },
	"processor-info.supported-architecture": func(_ *call, _ string, t instanceType) []string { return []string{t.Arch} },
	"instance-storage-supported":            func(_ *call, _ string, t instanceType) []string { return boolean(t.Disks > 0) },
	"current-generation": func(_ *call, name string, _ instanceType) []string {
		return boolean(!slices.Contains(previousGenerations, familyOf(name)))
	},
	"bare-metal":                       func(_ *call, name string, t instanceType) []string { return boolean(t.hypervisor(name) == "") },
	"burstable-performance-supported":  func(_ *call, name string, _ instanceType) []string { return boolean(strings.HasPrefix(name, "t")) },
	"free-tier-eligible":               func(_ *call, name string, _ instanceType) []string { return boolean(slices.Contains(freeTier, name)) },
	"hypervisor":                       func(_ *call, name string, t instanceType) []string { return present(t.hypervisor(name)) },
	"network-info.network-performance": func(_ *call, _ string, t instanceType) []string { return []string{t.Network} },
	"supported-usage-class":            func(*call, string, instanceType) []string { return []string{"on-demand", "spot"} },
	"supported-root-device-type":       func(*call, string, instanceType) []string { return []string{"ebs"} },
	"supported-virtualization-type":    func(*call, string, instanceType) []string { return []string{"hvm"} },
	"ebs-info.ebs-optimized-support": func(_ *call, _ string, t instanceType) []string {
		if t.Maximum == 0 {
			return []string{"unsupported"}
		}
		return []string{"default"}
	},
}

func numeral(n int64) []string { return []string{strconv.FormatInt(n, 10)} }

func boolean(b bool) []string { return []string{strconv.FormatBool(b)} }

func describeInstanceTypes(c *call) (map[string]any, error) {
	want := c.strings("InstanceTypes")
	for _, t := range want {
		if _, ok := instanceTypes[t]; !ok {
			return nil, failure(400, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", t)
		}
	}
	fits, err := filtering(c, instanceTypeFilters)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, name := range sorted(instanceTypes) {
		if t := instanceTypes[name]; (len(want) == 0 || slices.Contains(want, name)) && fits(name, t, nil) {
			out = append(out, instanceTypeOut(name, t))
		}
	}
	return c.page("InstanceTypes", out)
}

// mustBeType refuses a type that the sandbox doesn't know.
func mustBeType(name string) error {
	if _, ok := instanceTypes[name]; !ok {
		return failure(400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
	}
	return nil
}
