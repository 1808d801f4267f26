package sandbox

import "time"

func (c *call) ec2ARN(kind, id string) string {
	return "arn:aws:ec2:" + c.region + ":" + c.who.Account + ":" + kind + "/" + id
}

// instanceEvents sends an instance's next states, each at its time, in place of
// those that were to come.
// Source: Amazon EC2 User Guide, "State change events for your instances".
func (c *call) instanceEvents(id string, at time.Time, state string, later time.Time, then string) {
	arn := c.ec2ARN("instance", id)
	c.retract(arn, at)
	c.emit(at, "aws.ec2", "EC2 Instance State-change Notification", []string{arn}, object{"instance-id": id, "state": state})
	c.emit(later, "aws.ec2", "EC2 Instance State-change Notification", []string{arn}, object{"instance-id": id, "state": then})
}

// volumeEvent sends what EBS says when a volume has been made or deleted. To
// attach one has an event only if it fails, and to detach it has none.
// Source: Amazon EBS User Guide, "Amazon EventBridge events for Amazon EBS".
func (c *call) volumeEvent(at time.Time, id, event, result string) {
	c.emit(at, "aws.ec2", "EBS Volume Notification", []string{c.ec2ARN("volume", id)},
		object{"event": event, "result": result, "cause": "", "request-id": c.request.ID})
}

// snapshotEvent sends what EBS says when a snapshot is complete. source is the
// ARN of what it was made of.
func (c *call) snapshotEvent(at time.Time, id, event, source string, started time.Time) {
	arn := snapshotARN(c.region, id)
	c.emit(at, "aws.ec2", "EBS Snapshot Notification", []string{arn}, object{"event": event, "result": "succeeded", "cause": "", "request-id": c.request.ID,
		"snapshot_id": arn, "source": source, "startTime": started.UTC().Truncate(time.Second), "endTime": at.UTC().Truncate(time.Second)})
}

// snapshotARN has no account, as in EBS's events.
func snapshotARN(region, id string) string { return "arn:aws:ec2:" + region + "::snapshot/" + id }
