package app

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood/awsapi"
)

func TestEveryRegionHasTheFormOfOne(t *testing.T) {
	c, err := awsapi.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, region := range []string{"eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "us-isof-south-1", "eusc-de-east-1"} {
		p, err := c.Partition(region)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Regions {
			if strings.HasSuffix(r, "-global") {
				continue // stands for all of a partition; nobody's resources are there
			}
			n++
			if !regionName.MatchString(r) {
				t.Errorf("%s is refused", r)
			}
		}
	}
	if n < 40 {
		t.Errorf("%d Regions", n)
	}
	for _, wrong := range []string{"", "nowhere", "eu-west", "eu-west-1a", "EU-WEST-1", "eu_west_1"} {
		if regionName.MatchString(wrong) {
			t.Errorf("%q is taken for a Region", wrong)
		}
	}
}

func TestALoopbackIsOneWhereEveryCallStays(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  awsapi.Config
		want bool
	}{
		{"AWS", awsapi.Config{}, false},
		{"this machine", awsapi.Config{EndpointURL: "http://127.0.0.1:4566"}, true},
		{"by name", awsapi.Config{EndpointURL: "http://localhost:4566"}, true},
		{"IPv6", awsapi.Config{EndpointURL: "http://[::1]:4566"}, true},
		{"another machine", awsapi.Config{EndpointURL: "http://10.0.0.1:4566"}, false},
		{"a name that looks so", awsapi.Config{EndpointURL: "http://127.0.0.1.example.com"}, false},
		{"one service elsewhere", awsapi.Config{EndpointURL: "http://127.0.0.1:4566", ServiceEndpoints: map[string]string{"ec2": "https://ec2.eu-west-1.amazonaws.com"}}, false},
		{"one service only", awsapi.Config{ServiceEndpoints: map[string]string{"ec2": "http://127.0.0.1:4566"}}, false},
	} {
		if got := onLoopback(c.cfg); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
