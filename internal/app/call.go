package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

type callOptions struct {
	profile, region, endpointURL string
	json                         string
	write, check, pages          bool
}

func newCall(s Streams) *cobra.Command {
	var o callOptions
	cmd := &cobra.Command{
		Use:   "call SERVICE OPERATION [MEMBER=VALUE…]",
		Short: "Make one API call, to see what it answers",
		Long: `Makes one API call and prints its output as JSON: an aid for debugging. The input
is MEMBER=VALUE, where a value that begins with { or [ is JSON, or all of it with
--json. It is checked against the model before it is sent. A call that writes
needs --write: it is none that knowngood plans, verifies or takes back.`,
		Args: takes(cobra.MinimumNArgs(2), "a service, an operation, and the operation's input"),
		RunE: func(cmd *cobra.Command, args []string) error { return callOnce(cmd.Context(), s, o, args) },
	}
	cmd.Flags().StringVar(&o.profile, "profile", "", "profile of the AWS configuration; default: AWS_PROFILE")
	cmd.Flags().StringVar(&o.region, "region", "", "Region; default: the profile's, or AWS_REGION")
	cmd.Flags().StringVar(&o.endpointURL, "endpoint-url", "", "endpoint in place of AWS's own; default: AWS_ENDPOINT_URL")
	cmd.Flags().StringVar(&o.json, "json", "", "the input as JSON; @FILE reads a file, - the standard input")
	cmd.Flags().BoolVar(&o.write, "write", false, "make the call although it writes")
	cmd.Flags().BoolVar(&o.check, "check", false, "check the input against the model, and send nothing")
	cmd.Flags().BoolVar(&o.pages, "pages", false, "ask for all pages; one JSON value for each")
	return cmd
}

func callOnce(ctx context.Context, s Streams, o callOptions, args []string) error {
	op, in, err := o.prepare(s, args)
	if err != nil {
		return err
	}
	name := op.Service.Name + ":" + op.Name
	if o.check {
		fmt.Fprintf(s.Out, "%s (%s): the input fits the model\n", name, op.Class())
		return nil
	}
	if op.ClassOf(in) == awsapi.Write && !o.write {
		return knowngood.E(knowngood.Refused, "call "+name, "it writes, or is not known to be a read").WithHint("add --write; to see that the input is right, add --check")
	}
	cfg, err := awsOptions{profile: o.profile, region: o.region, endpointURL: o.endpointURL}.config(ctx)
	if err != nil {
		return err
	}
	client, err := awsapi.New(cfg)
	if err != nil {
		return err
	}
	if !o.pages {
		out, err := client.Call(ctx, op.Service.Name, op.Name, in)
		if err != nil {
			return awsError("call "+name, err, cfg)
		}
		return printOutput(s.Out, out)
	}
	for page, err := range client.Pages(ctx, op.Service.Name, op.Name, in) {
		if err != nil {
			return awsError("call "+name, err, cfg)
		}
		if err := printOutput(s.Out, page); err != nil {
			return err
		}
	}
	return nil
}

// prepare finds the operation and reads its input.
func (o callOptions) prepare(s Streams, args []string) (*awsapi.Operation, map[string]any, error) {
	c, err := catalog()
	if err != nil {
		return nil, nil, err
	}
	op, err := c.Operation(args[0], args[1])
	if err != nil {
		return nil, nil, (&knowngood.Error{Kind: knowngood.Usage, Op: "call " + args[0] + " " + args[1], Err: err}).WithHint("knowngood models show %s", args[0])
	}
	in := map[string]any{}
	if o.json != "" {
		if in, err = readInput(s.In, o.json); err != nil {
			return nil, nil, err
		}
	}
	for _, a := range args[2:] {
		member, value, ok := strings.Cut(a, "=")
		if !ok || member == "" {
			return nil, nil, knowngood.E(knowngood.Usage, "call "+args[0]+" "+args[1], "%q is not MEMBER=VALUE", a)
		}
		in[member] = value
		if strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[") {
			if in[member], err = decodeValue([]byte(value)); err != nil {
				return nil, nil, knowngood.E(knowngood.Usage, "call "+args[0]+" "+args[1], "the value of %s is no JSON: %w", member, err)
			}
		}
	}
	if in, err = op.Coerce(in); err == nil {
		err = op.Validate(in)
	}
	if err != nil {
		return nil, nil, (&knowngood.Error{Kind: knowngood.Usage, Op: "call " + op.Service.Name + ":" + op.Name, Err: err}).WithHint("knowngood models show %s %s", op.Service.Name, op.Name)
	}
	return op, in, nil
}

func readInput(stdin io.Reader, from string) (map[string]any, error) {
	raw := []byte(from)
	var err error
	switch {
	case from == "-":
		raw, err = io.ReadAll(stdin)
	case strings.HasPrefix(from, "@"):
		raw, err = os.ReadFile(from[1:])
	}
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Usage, Op: "read the input", Err: err}
	}
	v, err := decodeValue(raw)
	if err != nil {
		return nil, &knowngood.Error{Kind: knowngood.Usage, Op: "read the input", Err: err}
	}
	in, ok := v.(map[string]any)
	if !ok {
		return nil, knowngood.E(knowngood.Usage, "read the input", "it is no JSON object")
	}
	return in, nil
}

func decodeValue(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("something follows the value")
	}
	return v, nil
}

// printOutput writes an output as JSON: timestamps as RFC 3339, blobs and
// streams as text where they are text, else in base64.
func printOutput(w io.Writer, out map[string]any) error {
	v, err := printable(out)
	if err != nil {
		return err
	}
	return writeJSON(w, v)
}

func printable(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			p, err := printable(e)
			if err != nil {
				return nil, err
			}
			out[k] = p
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			p, err := printable(e)
			if err != nil {
				return nil, err
			}
			out[i] = p
		}
		return out, nil
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano), nil
	case []byte:
		if utf8.Valid(v) {
			return string(v), nil
		}
		return base64.StdEncoding.EncodeToString(v), nil
	case io.Reader:
		raw, err := io.ReadAll(v)
		if c, ok := v.(io.Closer); ok {
			c.Close()
		}
		if err != nil {
			return nil, err
		}
		return printable(raw)
	}
	return v, nil
}
