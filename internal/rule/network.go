package rule

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// prefixOf reads an address block, or a single address as the block of it alone.
// Bits below the mask don't count, as they don't in a security group.
func prefixOf(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor an address block", text)
		}
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor an address block", text)
	}
	return p.Masked(), nil
}

// contains says whether all of a block is in another.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// internal are the blocks that the public internet doesn't route to a network of
// someone: private, shared, loopback, link-local, benchmarking, multicast and
// reserved ones. Blocks for documentation are not among them, for they stand for
// public ones. Source: IANA's registries of IPv4 and IPv6 special-purpose
// addresses and of IPv4 and IPv6 address space.
var internal = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "100::/64", "fc00::/7", "fe80::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// isPublic says whether a block has an address of the public internet.
func isPublic(p netip.Prefix) bool {
	for _, block := range internal {
		if contains(block, p) {
			return false
		}
	}
	return true
}

// ports is a range of ports, both ends in it.
type ports struct{ from, to int64 }

// portsOf reads a port, 22, or a range, 1020-1025.
func portsOf(text string) (ports, error) {
	first, last, isRange := strings.Cut(text, "-")
	from, err := strconv.ParseInt(strings.TrimSpace(first), 10, 64)
	if err == nil && !isRange {
		return ports{from, from}, nil
	}
	if err == nil {
		to, err := strconv.ParseInt(strings.TrimSpace(last), 10, 64)
		if err == nil && from <= to {
			return ports{from, to}, nil
		}
	}
	return ports{}, fmt.Errorf("%q is neither a port nor a range such as 1020-1025", text)
}

const maxPort = 65535

// opened is the range that a permission opens: -1 stands for all ports, as EC2
// has it.
func opened(from, to int64) ports {
	if from == -1 {
		from = 0
	}
	if to == -1 {
		to = maxPort
	}
	return ports{from, to}
}

// anyWithin says whether one of the listed ports is in the range.
func (p ports) anyWithin(list []ports) bool {
	for _, l := range list {
		if l.from <= p.to && p.from <= l.to {
			return true
		}
	}
	return false
}

// allWithin says whether each port of the range is listed. It looks for the
// listed range that reaches furthest, again and again.
func (p ports) allWithin(list []ports) bool {
	for next := p.from; next <= p.to; {
		furthest := next - 1
		for _, l := range list {
			if l.from <= next && l.to > furthest {
				furthest = l.to
			}
		}
		if furthest < next {
			return false
		}
		next = furthest + 1
	}
	return true
}
