package report_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/mototest"
	"github.com/knowngood/knowngood/internal/report"
)

// TestASFFOnMoto imports the findings into an AWS by others.
func TestASFFOnMoto(t *testing.T) {
	url := mototest.Start(t)
	catalog, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range scans() {
		sent, imported := 0, int64(0)
		for _, line := range bytes.Split(bytes.TrimSuffix(written(t, report.ASFF, s), []byte("\n")), []byte("\n")) {
			var in map[string]any
			if err := json.Unmarshal(line, &in); err != nil {
				t.Fatal(err)
			}
			list := in["Findings"].([]any)
			sent += len(list)
			client, err := awsapi.New(awsapi.Config{Catalog: catalog, EndpointURL: url, Region: list[0].(map[string]any)["Region"].(string), Credentials: awsapi.StaticCredentials("x", "y", "")})
			if err != nil {
				t.Fatal(err)
			}
			out, err := client.Call(t.Context(), "securityhub", "BatchImportFindings", in)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			n, _ := out["SuccessCount"].(int64)
			imported += n
		}
		if imported != int64(sent) || sent != len(report.New(s).Results) {
			t.Errorf("%s: %d imported of %d", name, imported, sent)
		}
		t.Logf("%s: %d of %d findings imported", name, imported, sent)
	}
}
