package awsapi

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"reflect"
)

// Pages calls an operation as often as there are pages, and gives each page's
// output. It ends with the first error. An operation that the models know no pages
// of gives its one output.
func (c *Client) Pages(ctx context.Context, service, operation string, in map[string]any, opts ...CallOption) iter.Seq2[map[string]any, error] {
	return Pages(ctx, c, c.cfg.Catalog, service, operation, in, opts...)
}

// Pages is Client.Pages over any Caller. A service that gives the same token
// twice would be asked for ever: that is an error.
func Pages(ctx context.Context, caller Caller, catalog *Catalog, service, operation string, in map[string]any, opts ...CallOption) iter.Seq2[map[string]any, error] {
	return func(yield func(map[string]any, error) bool) {
		op, err := catalog.Operation(service, operation)
		if err != nil {
			yield(nil, err)
			return
		}
		p, paged := op.Service.Paginator(op.Name)
		in := maps.Clone(in)
		if in == nil {
			in = map[string]any{}
		}
		var last []any
		for {
			out, err := caller.Call(ctx, service, op.Name, in, opts...)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(out, nil) || !paged {
				return
			}
			tokens, err := p.next(out)
			if err != nil {
				yield(nil, fmt.Errorf("awsapi: pages of %s %s: %w", service, op.Name, err))
				return
			}
			if tokens == nil {
				return
			}
			if reflect.DeepEqual(tokens, last) {
				yield(nil, fmt.Errorf("awsapi: pages of %s %s: the service gave the same token twice", service, op.Name))
				return
			}
			last = tokens
			for i, name := range p.InputToken {
				if tokens[i] == nil {
					delete(in, name)
				} else {
					in[name] = tokens[i]
				}
			}
		}
	}
}

// next gives the input tokens of the page behind out, nil for the last.
func (p *Paginator) next(out map[string]any) ([]any, error) {
	if p.MoreResults != "" {
		more, err := searchPath(p.MoreResults, out)
		if err != nil || more != true {
			return nil, err
		}
	}
	tokens := make([]any, len(p.InputToken))
	any := false
	for i := range p.InputToken {
		if i >= len(p.OutputToken) {
			break
		}
		v, err := searchPath(p.OutputToken[i], out)
		if err != nil {
			return nil, err
		}
		if isSet(v) {
			tokens[i], any = v, true
		}
	}
	if !any {
		return nil, nil
	}
	return tokens, nil
}

// isSet says whether a token leads on: services end their pages with an absent
// token or an empty one.
func isSet(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != "" && v != "None"
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	case bool:
		return v
	}
	return true
}

// Results gives what a page lists: the values at the paginator's result keys, one
// after the other. Values that are no lists count as one.
func (p *Paginator) Results(out map[string]any) ([]any, error) {
	var all []any
	for _, key := range p.ResultKey {
		v, err := searchPath(key, out)
		if err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case nil:
		case []any:
			all = append(all, v...)
		default:
			all = append(all, v)
		}
	}
	return all, nil
}
