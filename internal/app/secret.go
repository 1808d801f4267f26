package app

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
)

// secretOptions are the secrets that are given on the command line.
type secretOptions struct{ given []string }

func (o *secretOptions) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.given, "secret", nil, "a secret parameter, as NAME=VALUE, or NAME=@FILE so that it is not on the command line; plans and logs don't have its value")
}

// read gives the secrets by parameter. A file's last line feed is not part of it.
func (o *secretOptions) read() (map[string]string, error) {
	out := map[string]string{}
	for _, s := range o.given {
		name, value, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, knowngood.E(knowngood.Usage, "", "--secret: expected NAME=VALUE or NAME=@FILE")
		}
		if file, is := strings.CutPrefix(value, "@"); is {
			raw, err := os.ReadFile(file)
			if err != nil {
				return nil, &knowngood.Error{Kind: knowngood.Usage, Op: "read the secret " + name, Err: err}
			}
			value = strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
		}
		out[name] = value
	}
	return out, nil
}

// printSecrets says of a plan's secrets where apply has their values from.
func printSecrets(w io.Writer, secrets []knowngood.Secret) {
	for _, s := range secrets {
		if s.From != "" {
			fmt.Fprintf(w, "\nSecret: %s, which the run reads again from %s\n", s.Parameter, s.From)
		} else {
			fmt.Fprintf(w, "\nSecret: %s, which is given again: apply --secret %s=…\n", s.Parameter, s.Parameter)
		}
	}
}
