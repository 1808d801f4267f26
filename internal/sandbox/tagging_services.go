package sandbox

import (
	"iter"
	"time"
)

// taggedIn gives the resources of a table to the tagging API.
func taggedIn[T any](c *call, t table[T], at time.Time, kind string, arn func(id string, v T) string, tags func(*T) *tagSet) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for id, v := range t.all(at) {
			put := func(next tagSet) { t[id].change(c.now, func(v *T) { *tags(v) = next }) }
			if !yield(taggedResource{arn(id, v), kind, *tags(&v), put}) {
				return
			}
		}
	}
}

// chained gives one sequence after another.
func chained(all ...iter.Seq[taggedResource]) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for _, s := range all {
			for r := range s {
				if !yield(r) {
					return
				}
			}
		}
	}
}

// named is the ARN of what is called by its name alone.
func named[T any](arn func(string) string) func(string, T) string {
	return func(id string, _ T) string { return arn(id) }
}

func (s *backupState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return chained(
		taggedIn(c, s.Vaults, at, "backup:backup-vault", named[backupVault](c.vaultARN), func(v *backupVault) *tagSet { return &v.Tags }),
		taggedIn(c, s.Plans, at, "backup:backup-plan", named[backupPlan](c.planARN), func(p *backupPlan) *tagSet { return &p.Tags }),
		taggedIn(c, s.Points, at, "backup:recovery-point", func(arn string, _ recoveryPoint) string { return arn }, func(p *recoveryPoint) *tagSet { return &p.Tags }))
}

func (s *cloudtrailState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Trails, at, "cloudtrail:trail", func(name string, _ cloudTrail) string { return c.trailARN(c.region, name) }, func(t *cloudTrail) *tagSet { return &t.Tags })
}

func (s *dynamodbState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Tables, at, "dynamodb:table", func(name string, _ dynamoTable) string { return c.arnOf("dynamodb", "table/"+name) }, func(t *dynamoTable) *tagSet { return &t.Tags })
}

func (s *elbState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return chained(
		taggedIn(c, s.Groups, at, "elasticloadbalancing:targetgroup", func(arn string, _ targetGroup) string { return arn }, func(g *targetGroup) *tagSet { return &g.Tags }),
		taggedIn(c, s.Balancers, at, "elasticloadbalancing:loadbalancer", func(arn string, _ loadBalancer) string { return arn }, func(b *loadBalancer) *tagSet { return &b.Tags }))
}

func (s *eventsState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Rules, at, "events:rule", func(_ string, r eventRule) string { return c.ruleARN(r) }, func(r *eventRule) *tagSet { return &r.Tags })
}

func (s *lambdaState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Functions, at, "lambda:function", named[function](c.functionARN), func(f *function) *tagSet { return &f.Tags })
}

func (s *rdsState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return chained(
		taggedIn(c, s.Instances, at, "rds:db", func(_ string, d dbInstance) string { return c.arnOf("rds", "db:"+d.Name) }, func(d *dbInstance) *tagSet { return &d.Tags }),
		taggedIn(c, s.Snapshots, at, "rds:snapshot", func(name string, _ dbSnapshot) string { return c.arnOf("rds", "snapshot:"+name) }, func(d *dbSnapshot) *tagSet { return &d.Tags }))
}

func (s *snsState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Topics, at, "sns:topic", named[topic](c.topicARN), func(t *topic) *tagSet { return &t.Tags })
}

func (s *sqsState) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return taggedIn(c, s.Queues, at, "sqs:queue", named[queue](c.queueARN), func(q *queue) *tagSet { return &q.Tags })
}

// taggedKeys are the keys of the Region that customers manage; AWS's own have no
// tags.
type taggedKeys struct{ table[kmsKey] }

func (s taggedKeys) tagged(c *call, at time.Time) iter.Seq[taggedResource] {
	return func(yield func(taggedResource) bool) {
		for r := range taggedIn(c, s.table, at, "kms:key", func(id string, _ kmsKey) string { return c.arnOf("kms", "key/"+id) }, func(k *kmsKey) *tagSet { return &k.Tags }) {
			if _, k, _ := s.live(last(r.ARN), at); k.Manager != "AWS" && !yield(r) {
				return
			}
		}
	}
}

// tagActions are what it takes to tag and to untag a resource of a service, where
// that isn't TagResource and UntagResource.
var tagActions = map[string][2]string{
	"autoscaling":          {"CreateOrUpdateTags", "DeleteTags"},
	"cloudtrail":           {"AddTags", "RemoveTags"},
	"ec2":                  {"CreateTags", "DeleteTags"},
	"elasticloadbalancing": {"AddTags", "RemoveTags"},
	"rds":                  {"AddTagsToResource", "RemoveTagsFromResource"},
	"s3":                   {"PutBucketTagging", "PutBucketTagging"},
	"sqs":                  {"TagQueue", "UntagQueue"},
}

// tagAction is the IAM action of one of the two.
func tagAction(service string, off int) string {
	if a, ok := tagActions[service]; ok {
		return service + ":" + a[off]
	}
	return service + ":" + [2]string{"TagResource", "UntagResource"}[off]
}
