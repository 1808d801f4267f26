package sandbox

import "strings"

// arn is a resource name, in parts.
type arn struct{ partition, service, region, account, resource string }

// parseARN splits an ARN; false: it is none.
func parseARN(s string) (arn, bool) {
	p := strings.SplitN(s, ":", 6)
	if len(p) != 6 || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return arn{}, false
	}
	return arn{p[1], p[2], p[3], p[4], p[5]}, true
}

// arnOf is the ARN of a resource of the caller's account in the call's Region.
func (c *call) arnOf(service, resource string) string {
	return "arn:aws:" + service + ":" + c.region + ":" + c.who.Account + ":" + resource
}
