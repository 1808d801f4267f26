package remedy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
	"github.com/knowngood/knowngood/internal/sandbox"
)

const tagRunbook = `
schemaVersion: '0.3'
parameters: {VolumeId: {type: 'AWS::EC2::Volume::Id'}, Owner: {type: String, default: nobody}}
mainSteps:
  - name: Tag
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: CreateTags, Resources: ['{{ VolumeId }}'], Tags: [{Key: owner, Value: '{{ Owner }}'}]}
`

func manyRunbook(inputs string) string {
	return fmt.Sprintf(`
schemaVersion: '0.3'
mainSteps:
  - name: All
    action: aws:executeAutomation
    inputs: {DocumentName: Tag, %s}
  - name: After
    action: aws:executeAwsApi
    inputs: {Service: ec2, Api: DescribeVolumes}
`, inputs)
}

func (l *loop) volumes(n int, tag string) []string {
	var ids []string
	for range n {
		ids = append(ids, l.attach("", map[string]any{"TagSpecifications": []any{map[string]any{"ResourceType": "volume", "Tags": []any{map[string]any{"Key": "team", "Value": tag}}}}}))
	}
	return ids
}

func (l *loop) owners(ids []string) string {
	var out []string
	for _, id := range ids {
		v := l.one("DescribeVolumes", "Volumes", map[string]any{"VolumeIds": []any{id}})
		owner := "-"
		for _, tag := range v["Tags"].([]any) {
			if m := tag.(map[string]any); m["Key"] == "owner" {
				owner = m["Value"].(string)
			}
		}
		out = append(out, owner)
	}
	return strings.Join(out, " ")
}

func TestAnAutomationWithTargetsIsARunForEach(t *testing.T) {
	for _, c := range []struct {
		name, inputs string
		owners       string
	}{
		{"by tag", `TargetParameterName: VolumeId, Targets: [{Key: 'tag:team', Values: [web]}], RuntimeParameters: {Owner: ann}`, "ann ann ann - -"},
		{"by id", `TargetParameterName: VolumeId, Targets: [{Key: ParameterValues, Values: [V1, V5]}], RuntimeParameters: {Owner: ann}, MaxConcurrency: '1'`, "ann - - - ann"},
		{"both", `TargetParameterName: VolumeId, Targets: [{Key: ParameterValues, Values: [V1, V5]}, {Key: tag-key, Values: [team]}, {Key: 'tag:team', Values: [web]}]`, "nobody - - - -"},
		{"maps", `TargetMaps: [{VolumeId: [V1], Owner: [ann]}, {VolumeId: [V2], Owner: [bob]}]`, "ann bob - - -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoop(t)
			ids := append(l.volumes(3, "web"), l.volumes(2, "db")...)
			inputs := c.inputs
			for i, id := range ids {
				inputs = strings.ReplaceAll(inputs, fmt.Sprintf("V%d", i+1), id)
			}
			dir := documents(t, map[string]string{"Many": manyRunbook(inputs), "Tag": tagRunbook})
			plan, err := l.planFile(filepath.Join(dir, "Many.yaml"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Incomplete) > 0 {
				t.Errorf("%v", plan.Incomplete)
			}
			result, err := l.Apply(t.Context(), plan, nil, knowngood.Retry{})
			if err != nil || result.State != knowngood.RunSuccess {
				t.Fatalf("%+v, %v", result, err)
			}
			if got := l.owners(ids); got != c.owners {
				t.Errorf("owners %s, want %s", got, c.owners)
			}
			n := len(strings.Fields(strings.ReplaceAll(c.owners, "-", "")))
			runs, err := l.store.Runs(t.Context(), knowngood.RunQuery{States: []knowngood.RunState{knowngood.RunSuccess}})
			if err != nil || len(runs) != n+2 {
				t.Errorf("%d runs, %v, want the run, the group's and %d", len(runs), err, n)
			}
		})
	}
}

func TestNoMoreIsBegunOnceMoreHaveFailedThanMay(t *testing.T) {
	for _, c := range []struct{ rates, owners string }{
		{"MaxConcurrency: '1'", "- - - - -"},
		{"MaxConcurrency: '1', MaxErrors: '1'", "- nobody nobody nobody nobody"},
	} {
		l := newLoop(t)
		ids := l.volumes(5, "web")
		dir := documents(t, map[string]string{"Many": manyRunbook(`TargetParameterName: VolumeId, Targets: [{Key: ParameterValues, Values: [` + strings.Join(ids, ", ") + `]}], ` + c.rates), "Tag": tagRunbook})
		plan, err := l.planFile(filepath.Join(dir, "Many.yaml"), nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Inject(sandbox.Fault{Service: "ec2", Operation: "CreateTags", Count: 1, Error: &awsapi.Error{Code: "UnauthorizedOperation", Status: 403}})
		result, err := l.Apply(t.Context(), plan, nil, knowngood.Retry{})
		if err != nil || result.State != knowngood.RunFailed || !strings.Contains(result.Message, "UnauthorizedOperation") {
			t.Errorf("%+v, %v", result, err)
		}
		if got := l.owners(ids); got != c.owners {
			t.Errorf("%s: owners %s, want %s", c.rates, got, c.owners)
		}
	}
}

func TestAGroupBeginsWithOneThenTwoThenFour(t *testing.T) {
	for _, c := range []struct {
		concurrency, errors                 string
		targets, begun, ended, failed, more int
		over                                bool
	}{
		{"10", "0", 20, 0, 0, 0, 1, false}, {"10", "0", 20, 1, 0, 0, 0, false}, {"10", "0", 20, 1, 1, 0, 2, false}, {"10", "0", 20, 3, 2, 0, 1, false},
		{"10", "0", 20, 3, 3, 0, 4, false}, {"10", "0", 20, 15, 15, 0, 5, false}, {"2", "0", 20, 3, 3, 0, 2, false}, {"50%", "0", 4, 3, 3, 0, 1, false},
		{"10", "0", 20, 1, 1, 1, 0, true}, {"10", "1", 20, 1, 1, 1, 2, false}, {"10", "10%", 20, 3, 3, 2, 4, false}, {"10", "10%", 20, 3, 3, 3, 0, true},
		{"1", "0", 2, 2, 1, 0, 0, true},
	} {
		more, over, err := Pace(knowngood.PlanGroup{MaxConcurrency: c.concurrency, MaxErrors: c.errors}, c.targets, c.begun, c.ended, c.failed)
		if err != nil || more != c.more || over != c.over {
			t.Errorf("%+v: %d, %v, %v", c, more, over, err)
		}
	}
}
