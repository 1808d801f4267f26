package awsapi

import (
	"reflect"
	"testing"
)

// What botocore's users call a member is taken for the model's name.
func TestAliases(t *testing.T) {
	cat, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	filters := []any{map[string]any{"Name": "resource-id", "Values": []any{"vpc-1"}}}
	for _, c := range []struct {
		service, operation string
		in, want           map[string]any
		valid              bool
	}{
		{"ec2", "DescribeFlowLogs", map[string]any{"Filters": filters}, map[string]any{"Filter": filters}, true},
		{"ec2", "DescribeFlowLogs", map[string]any{"Filter": filters}, map[string]any{"Filter": filters}, true},
		{"ec2", "DescribeFlowLogs", map[string]any{"Filter": filters, "Filters": filters}, map[string]any{"Filter": filters, "Filters": filters}, false},
		{"ec2", "DescribeVolumes", map[string]any{"Filters": filters}, map[string]any{"Filters": filters}, true},
		{"ec2", "DescribeVolumes", map[string]any{"Filter": filters}, map[string]any{"Filter": filters}, false},
		{
			"logs", "CreateExportTask",
			map[string]any{"fromTime": 1, "to": 2, "logGroupName": "g", "destination": "b"},
			map[string]any{"from": int64(1), "to": int64(2), "logGroupName": "g", "destination": "b"}, true,
		},
	} {
		op, err := cat.Operation(c.service, c.operation)
		if err != nil {
			t.Fatal(err)
		}
		got, err := op.Coerce(c.in)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:%s: %v, %v; want %v", c.service, c.operation, got, err, c.want)
		}
		if err := op.Validate(got); (err == nil) != c.valid {
			t.Errorf("%s:%s %v: %v", c.service, c.operation, c.in, err)
		}
	}
}
