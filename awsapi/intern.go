package awsapi

// texts keeps the short texts that a decoder has read of late, as values of an
// interface. Lists repeat the same states, types and zones in each of their
// elements; such a text is then one value, not a thousand.
type texts [128]any

// value gives a text as a value.
func (t *texts) value(s string) any {
	n := len(s)
	if n == 0 || n > 32 {
		return s
	}
	slot := &t[(uint(n)^uint(s[0])*3^uint(s[n/2])*5^uint(s[n-1])*7)%uint(len(t))]
	if known, ok := (*slot).(string); ok && known == s {
		return *slot
	}
	*slot = s
	return *slot
}
