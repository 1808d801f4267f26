package app

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/knowngood/knowngood/internal/inventory"
)

// estimateReport is what a scan would call.
type estimateReport struct {
	Account   string                     `json:"account"`
	Principal string                     `json:"principal"`
	Regions   []string                   `json:"regions"`
	Calls     int                        `json:"calls"` // at least
	Minutes   float64                    `json:"minutes"`
	Percent   int                        `json:"percentOfRates"`
	Paced     bool                       `json:"paced"`
	Slowest   string                     `json:"slowest,omitempty"`
	USD       float64                    `json:"usd"`
	Billed    int                        `json:"billedCalls"`
	By        []inventory.EstimatedCalls `json:"byOperation"`
	Uncounted []string                   `json:"uncounted"` // types whose calls for each resource come on top
}

// estimate says what a scan would call, by what the last one counted.
func (ses *session) estimate(ctx context.Context, everywhere *governances, at estate) (*estimateReport, error) {
	reads, err := ses.wanted(everywhere, at)
	if err != nil {
		return nil, err
	}
	last, err := ses.store.Collections(ctx, ses.place.Account)
	if err != nil {
		return nil, err
	}
	counts := map[[2]string]int{}
	for _, c := range last {
		counts[[2]string{c.Region, c.Type}] = c.Count
	}
	var types []string
	for t := range reads {
		types = append(types, t)
	}
	e := ses.collector(reads).Estimate(ses.survey(at, types), counts, ses.rates)
	out := &estimateReport{Account: ses.place.Account, Principal: ses.principal, Regions: at.regions, Percent: ses.percent, Paced: ses.paced, By: append([]inventory.EstimatedCalls{}, e.Calls...), Uncounted: append([]string{}, e.Uncounted...)}
	if ses.paced {
		out.Minutes, out.Slowest = e.Took.Minutes(), e.Slowest
	}
	for _, c := range e.Calls {
		out.Calls += c.Calls
		out.USD += c.USD
		if c.Description != "" {
			out.Billed += c.Calls
		}
	}
	return out, nil
}

func (ses *session) printEstimate(ctx context.Context, s Streams, everywhere *governances, at estate, output string) error {
	e, err := ses.estimate(ctx, everywhere, at)
	if err != nil {
		return err
	}
	if output == outputJSON {
		return writeJSON(s.Out, e)
	}
	e.print(s.Out)
	return nil
}

func (e *estimateReport) print(w io.Writer) {
	rows := [][]string{{"calls", "operation", "of them for each resource", "billed as"}}
	for _, c := range e.By {
		billed := ""
		if c.Description != "" {
			billed = fmt.Sprintf("%s, $%.4f", c.Description, c.USD)
		}
		each := strconv.Itoa(c.PerItem)
		if c.Uncounted {
			each += " and more"
		}
		rows = append(rows, []string{strconv.Itoa(c.Calls), c.Service + ":" + c.Operation, each, billed})
	}
	columns(w, "  ", rows)
	if len(e.Uncounted) > 0 {
		fmt.Fprintf(w, "\nCalls for each resource come on top: no scan in this state folder has counted the resources of\n")
		for _, line := range folded(e.Uncounted, pageWidth-2) {
			fmt.Fprintf(w, "  %s\n", line)
		}
	}
	pace := "without a pace, for every call goes to this machine"
	if e.Paced {
		pace = fmt.Sprintf("%.1f minutes at %d%% of AWS's rates", e.Minutes, e.Percent)
		if e.Slowest != "" {
			pace += " (the longest is " + e.Slowest + ")"
		}
	}
	fmt.Fprintf(w, "\nat least %s in %s, %s; %d billed, $%.4f; nothing was started\n", plural(e.Calls, "call"), plural(len(e.Regions), "Region"), strings.TrimSpace(pace), e.Billed, e.USD)
}
