package sandbox

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ECS's task definitions: families of revisions, which never change.

var taskFamily = patternOf(`^[A-Za-z0-9_-]{1,255}$`)

func registerTaskDefinition(c *call) (map[string]any, error) {
	family, containers := c.str("family"), c.objects("containerDefinitions")
	switch {
	case !taskFamily.MatchString(family):
		return nil, failure(400, "ClientException", "Family contains invalid characters.")
	case len(containers) == 0:
		return nil, failure(400, "ClientException", "Container list cannot be empty.")
	}
	for _, o := range containers {
		if o["name"] == nil || o["image"] == nil {
			return nil, failure(400, "ClientException", "Container.image and Container.name should not be null or empty.")
		}
	}
	list := make([]any, len(containers))
	for i, o := range containers {
		list[i] = object(structure{"cpu": int64(0), "portMappings": []any{}, "essential": true, "environment": []any{}, "mountPoints": []any{}, "volumesFrom": []any{}}.with(o))
	}
	revision := latestRevision(c, family) + 1
	id := family + ":" + strconv.Itoa(revision)
	v := structure{"volumes": []any{}, "placementConstraints": []any{}}.with(c.as("taskDefinition")).with(structure{"containerDefinitions": list, "revision": int64(revision), "status": "ACTIVE",
		"taskDefinitionArn": c.arnOf("ecs", "task-definition/"+id), "registeredAt": c.now, "registeredBy": c.who.ARN,
		"compatibilities": anys(slices.Compact(append([]string{"EC2"}, c.strings("requiresCompatibilities")...)))})
	tags := c.objects("tags")
	taskDefinitions.put(c, id, v.with(structure{tagsMember: anys(tags)}))
	return object{"taskDefinition": object(v), "tags": anys(tags)}, nil
}

// tagsMember is where a task definition has its tags, which are not part of its
// description.
const tagsMember = "tags"

// latestRevision is the highest revision of a family; 0: there is none.
func latestRevision(c *call, family string) int {
	most := 0
	for id := range taskDefinitions.table(c).all(c.now) {
		if f, n, _ := strings.Cut(id, ":"); f == family {
			if i, err := strconv.Atoi(n); err == nil {
				most = max(most, i)
			}
		}
	}
	return most
}

func describeTaskDefinition(c *call) (map[string]any, error) {
	id := last(c.str("taskDefinition"))
	if !strings.Contains(id, ":") {
		id = fmt.Sprintf("%s:%d", id, latestRevision(c, id))
	}
	_, v, err := taskDefinitions.live(c, id, c.view)
	if err != nil {
		return nil, err
	}
	out := object(v.with(nil))
	tags := out[tagsMember]
	delete(out, tagsMember)
	answer := object{"taskDefinition": out}
	if slices.Contains(c.strings("include"), "TAGS") {
		answer["tags"] = tags
	}
	return answer, nil
}

func listTaskDefinitions(c *call) (map[string]any, error) {
	var ids []string
	for id := range taskDefinitions.table(c).all(c.view) {
		if strings.HasPrefix(id, c.str("familyPrefix")) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { // by family, then by revision
		f, m, _ := strings.Cut(a, ":")
		g, n, _ := strings.Cut(b, ":")
		return cmp.Or(strings.Compare(f, g), cmp.Compare(len(m), len(n)), strings.Compare(m, n))
	})
	out := []any{}
	for _, id := range ids {
		out = append(out, c.arnOf("ecs", "task-definition/"+id))
	}
	return object{"taskDefinitionArns": out}, nil
}

var ecsHandlers = map[string]handler{
	"DescribeTaskDefinition": {"ecs:DescribeTaskDefinition", describeTaskDefinition},
	"ListTaskDefinitions":    {"ecs:ListTaskDefinitions", listTaskDefinitions},
	"RegisterTaskDefinition": {"ecs:RegisterTaskDefinition", registerTaskDefinition},
}

// Source: Service Authorization Reference, "Actions, resources, and condition keys
// for Amazon Elastic Container Service".
var ecsAccess = serviceAccess{
	needs: map[string]func(*call, []need) []need{
		"RegisterTaskDefinition": func(c *call, own []need) []need {
			own = append(own, c.passRole(c.str("taskRoleArn"), "ecs-tasks.amazonaws.com")...)
			return append(own, c.passRole(c.str("executionRoleArn"), "ecs-tasks.amazonaws.com")...)
		},
	},
}
