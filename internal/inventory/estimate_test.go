package inventory

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/knowngood/knowngood/library"
)

// With what a survey has counted, the estimate is what the next one calls.
func TestAnEstimateIsWhatASurveyCalls(t *testing.T) {
	rates, err := LoadRates(library.FS, models(t))
	if err != nil {
		t.Fatal(err)
	}
	e := newDemo(t)
	for i := range 1200 {
		e.bucket(fmt.Sprintf("acme-%04d", i), "us-east-1")
	}
	e.Reads = map[string][]string{
		"AWS::S3::Bucket": {"supplementaryConfiguration.PublicAccessBlockConfiguration"}, "AWS::EC2::Volume": {"configuration.encrypted"}, "AWS::IAM::User": {"configuration.userName"},
		"AWS::KMS::Key": {"configuration.keyRotationStatus"}, "AWS::::Account": {"supplementaryConfiguration.EbsEncryptionByDefault", "configuration.accountMFAEnabled"},
	}
	v := e.survey("AWS::S3::Bucket", "AWS::EC2::Volume", "AWS::IAM::User", "AWS::KMS::Key", "AWS::::Account")
	cold := e.Estimate(v, nil, rates)
	if want := []string{"AWS::KMS::Key", "AWS::S3::Bucket"}; !slices.Equal(cold.Uncounted, want) {
		t.Errorf("uncounted %v, want %v", cold.Uncounted, want)
	}
	parts, stats, err := e.Survey(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[[2]string]int{}
	for _, p := range parts {
		counts[[2]string{p.Region, p.Type}] = p.Count
	}
	warm := e.Estimate(v, counts, rates)
	estimated, called := 0, 0
	for _, c := range warm.Calls {
		if got := stats.Calls[c.Service+":"+c.Operation]; got != c.Calls {
			t.Errorf("%s:%s was called %d times, the estimate is %d", c.Service, c.Operation, got, c.Calls)
		}
		estimated += c.Calls
		if (c.Description != "") != (c.Service == "s3" || c.Service == "kms") || (c.USD > 0) != (c.Description != "") {
			t.Errorf("%+v", c)
		}
	}
	for _, n := range stats.Calls {
		called += n
	}
	if estimated != called || len(warm.Uncounted) > 0 {
		t.Errorf("%d calls were estimated, %d were made; uncounted %v", estimated, called, warm.Uncounted)
	}
	// Two pages of buckets and 1,200 reads in one Region, at 20 a second, 20 at once.
	if want := time.Duration(1202-20) * time.Second / 20; warm.Took != want || warm.Slowest != "s3 in us-east-1" {
		t.Errorf("it takes %v for %s, want %v", warm.Took, warm.Slowest, want)
	}
	t.Logf("%d calls estimated, %d made; %v at 20%% of the rates", estimated, called, warm.Took)
}
