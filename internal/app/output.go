package app

import (
	"encoding/json"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/knowngood/knowngood"
)

// The forms in which results are written.
const (
	outputTable = "table"
	outputJSON  = "json"
)

func registerOutput(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "output", outputTable, "table or json")
}

func checkOutput(form string) error {
	if form != outputTable && form != outputJSON {
		return knowngood.E(knowngood.Usage, "", "--output %s: expected table or json", form)
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// onTerminal says whether a person sits at the other end.
func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
