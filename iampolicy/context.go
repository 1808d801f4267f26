package iampolicy

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Context holds the keys of a request that conditions test and variables name,
// each with its values. Names are without case. The zero Context is empty and
// ready. A Context that nobody sets any more may be read by many goroutines.
//
// Values are texts, as in a policy; the setters for other types write the form
// that the tests of that type read. A key of one value has one; a multivalued key,
// such as aws:TagKeys, any number. A key without values counts as not there.
type Context struct {
	values map[string][]string
}

// Set gives a key its values, in place of those that it had.
func (c *Context) Set(key string, values ...string) {
	if c.values == nil {
		c.values = map[string][]string{}
	}
	c.values[strings.ToLower(key)] = values
}

// SetBool sets a key to true or false.
func (c *Context) SetBool(key string, value bool) { c.Set(key, strconv.FormatBool(value)) }

// SetInt sets a key to a whole number.
func (c *Context) SetInt(key string, value int64) { c.Set(key, strconv.FormatInt(value, 10)) }

// SetTime sets a key to a date, in UTC.
func (c *Context) SetTime(key string, value time.Time) {
	c.Set(key, value.UTC().Format(time.RFC3339Nano))
}

// SetAddr sets a key to an IP address.
func (c *Context) SetAddr(key string, value netip.Addr) { c.Set(key, value.String()) }

// SetBytes sets a key to bytes, which BinaryEquals compares.
func (c *Context) SetBytes(key string, value []byte) {
	c.Set(key, base64.StdEncoding.EncodeToString(value))
}

// Get gives a key's values, nil if it is not there.
func (c *Context) Get(key string) []string {
	if len(c.values) == 0 {
		return nil
	}
	var buf [128]byte
	if len(key) > len(buf) {
		return c.values[strings.ToLower(key)]
	}
	for i := range len(key) {
		if key[i] >= 0x80 {
			return c.values[strings.ToLower(key)]
		}
		buf[i] = lower(key[i])
	}
	return c.values[string(buf[:len(key)])] // which takes no memory
}

// keyIs compares a key's name with one in lower case.
func keyIs(key, folded string) bool {
	if len(key) != len(folded) {
		return false
	}
	for i := range len(key) {
		if lower(key[i]) != folded[i] {
			return false
		}
	}
	return true
}
