package eventpattern

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// value is a leaf of an event. What matchers need of it beyond its text is made
// when the first asks.
type value struct {
	kind    kind
	elem    int32  // the innermost array element that holds it, see event.elems
	text    []byte // of a string, decoded; of a number, as written
	made    uint8
	comp    bool // a number that can be compared
	num     float64
	ip      netip.Addr
	foldBuf []byte
}

const (
	madeNumber = 1 << iota
	madeAddress
	madeFold
)

// number gives the value of a number that a double holds exactly.
func (v *value) number() (float64, bool) {
	if v.kind != numberKind {
		return 0, false
	}
	if v.made&madeNumber == 0 {
		v.made |= madeNumber
		v.num, v.comp = exactNumber(string(v.text))
	}
	return v.num, v.comp
}

// address gives the IP address that a string is.
func (v *value) address() (netip.Addr, bool) {
	if v.kind != stringKind {
		return netip.Addr{}, false
	}
	if v.made&madeAddress == 0 {
		v.made |= madeAddress
		v.ip = netip.Addr{}
		if len(v.text) <= maxAddress {
			v.ip, _ = parseAddress(string(v.text))
		}
	}
	return v.ip, v.ip.IsValid()
}

// fold gives a string's text without its case, for the index.
func (v *value) fold() []byte {
	if v.made&madeFold == 0 {
		v.made |= madeFold
		v.foldBuf = appendFold(v.foldBuf[:0], v.text)
	}
	return v.foldBuf
}

// exactNumber gives the double that a number's text stands for, and whether it
// holds the number exactly: whether its own shortest text is the same number.
// event-ruler compares those numbers only.
func exactNumber(text string) (float64, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, false
	}
	if !strings.ContainsAny(text, "eE") && len(text) <= 15 {
		return f, true // a double holds any 15 digits
	}
	digits, exponent, ok := decimal(text)
	if !ok {
		return 0, false
	}
	shortest, same, _ := decimal(strconv.FormatFloat(f, 'e', -1, 64))
	return f, digits == shortest && (exponent == same || digits == "")
}

// decimal takes a number apart: its digits, without zeros at either end, as a
// fraction behind the point, and the power of ten that it is to be multiplied by.
func decimal(text string) (digits string, exponent int, ok bool) {
	mantissa, power, found := strings.Cut(strings.ToLower(strings.TrimPrefix(text, "-")), "e")
	if found {
		n, err := strconv.ParseInt(power, 10, 32)
		if err != nil {
			return "", 0, strings.Trim(mantissa, "0.") == ""
		}
		exponent = int(n)
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits = strings.TrimLeft(whole+fraction, "0")
	exponent += len(whole) - (len(whole) + len(fraction) - len(digits))
	return strings.TrimRight(digits, "0"), exponent, true
}

// maxAddress is the length of the longest text of an address, of IPv6.
const maxAddress = 39

// parseAddress reads an IPv4 address of four decimal numbers, or an IPv6 address
// of hexadecimal digits and colons: the spellings that event-ruler knows. An IPv6
// address that maps an IPv4 one is that.
func parseAddress(s string) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		if strings.Trim(s, "0123456789abcdefABCDEF:") != "" {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(s)
		return a.Unmap(), err == nil
	}
	var b [4]byte
	parts := strings.Split(s, ".")
	if len(s) > 15 || len(parts) != 4 {
		return netip.Addr{}, false
	}
	for i, part := range parts {
		if strings.Trim(part, "0123456789") != "" {
			return netip.Addr{}, false
		}
		n, err := strconv.ParseUint(part, 10, 8) // unlike netip's, with leading zeros
		if err != nil {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

// appendFold appends a text in which letters that differ in case only are equal,
// and some more: it is for the index, which may lead to too much.
func appendFold(dst, text []byte) []byte {
	for len(text) > 0 {
		c := text[0]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst, text = append(dst, c), text[1:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c) // no UTF-8: itself
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(unicode.ToUpper(r)))
		}
		text = text[n:]
	}
	return dst
}

func foldText(s string) string { return string(appendFold(nil, []byte(s))) }
