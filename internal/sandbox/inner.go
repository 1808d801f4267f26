package sandbox

// inner is a call that a service makes on the caller's behalf, for it to be
// handed to another handler. It is neither authorized nor logged. The catalog has
// every operation that is simulated.
func (c *call) inner(region, service, operation string, in structure) *call {
	out := *c
	out.region, out.in = region, object(in)
	if op, err := c.catalog.Operation(service, operation); err == nil {
		out.operation = op
	}
	return &out
}
