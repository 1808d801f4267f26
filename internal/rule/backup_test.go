package rule

import (
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
)

func TestBackupSelections(t *testing.T) {
	type m = map[string]any
	tag := func(key, v string) []any { return []any{m{"ConditionKey": key, "ConditionValue": v}} }
	const volume = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1"
	for _, c := range []struct {
		name      string
		selection any
		want      string
	}{
		{"the ARN", m{"Resources": []any{volume}}, "true"},
		{"another ARN", m{"Resources": []any{volume + "2"}}, "false"},
		{"a pattern", m{"Resources": []any{"arn:aws:ec2:*:*:volume/*"}}, "true"},
		{"a pattern of another type", m{"Resources": []any{"arn:aws:ec2:*:*:instance/*"}}, "false"},
		{"a pattern's end", m{"Resources": []any{"arn:aws:*/vol-2"}}, "false"},
		{"a pattern's beginning", m{"Resources": []any{"arn:aws-cn:*"}}, "false"},
		{"everything", m{"Resources": []any{"*"}}, "true"},
		{"no criterion", m{"SelectionName": "all"}, "true"},
		{"everything but it", m{"Resources": []any{"*"}, "NotResources": []any{"arn:aws:ec2:*:*:volume/*"}}, "false"},
		{"everything but another", m{"Resources": []any{"*"}, "NotResources": []any{"arn:aws:rds:*"}}, "true"},
		{"one of the tags", m{"ListOfTags": append(tag("team", "a"), tag("backup", "daily")...)}, "true"},
		{"none of the tags", m{"ListOfTags": tag("backup", "weekly")}, "false"},
		{"a tag that is not there", m{"ListOfTags": tag("owner", "")}, "false"},
		{"a tag, though not the ARN", m{"Resources": []any{volume + "2"}, "ListOfTags": tag("backup", "daily")}, "true"},
		{"a tag, but left out", m{"NotResources": []any{volume}, "ListOfTags": tag("backup", "daily")}, "false"},
		{"the ARN, though not the tag", m{"Resources": []any{volume}, "ListOfTags": tag("backup", "weekly")}, "true"},
		{"a condition alone", m{"Conditions": m{"StringEquals": tag("aws:ResourceTag/backup", "daily")}}, "true"},
		{"the ARN and a condition", m{"Resources": []any{volume}, "Conditions": m{"StringEquals": tag("aws:ResourceTag/backup", "weekly")}}, "false"},
		{"two conditions", m{"Resources": []any{"*"}, "Conditions": m{"StringEquals": tag("backup", "daily"), "StringLike": tag("env", "p*d")}}, "true"},
		{"two conditions, one of which fails", m{"Resources": []any{"*"}, "Conditions": m{"StringEquals": tag("backup", "daily"), "StringLike": tag("env", "t*")}}, "false"},
		{"not equal", m{"Resources": []any{"*"}, "Conditions": m{"StringNotEquals": tag("env", "prod")}}, "false"},
		{"not equal, for it is not there", m{"Resources": []any{"*"}, "Conditions": m{"StringNotEquals": tag("owner", "x")}}, "true"},
		{"not like", m{"Resources": []any{"*"}, "Conditions": m{"StringNotLike": tag("env", "p*")}}, "false"},
		{"not like another", m{"Resources": []any{"*"}, "Conditions": m{"StringNotLike": tag("env", "t*")}}, "true"},
		{"no selection", "all", "no such overload"},
		{"a selection that is none", m{"Resources": "all"}, "not a selection"},
	} {
		item := &knowngood.Resource{Type: "AWS::EC2::Volume", ID: "vol-1", ARN: volume, Status: knowngood.ItemOK, Tags: map[string]string{"backup": "daily", "env": "prod"}, Configuration: m{"selection": c.selection}}
		if got := evaluated(t, `backupSelects(resource.configuration.selection, resource.arn, resource.tags)`, item, nil); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
