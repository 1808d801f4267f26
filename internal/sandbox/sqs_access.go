package sandbox

import "strings"

// What SQS's operations are on. Calls name a queue by its URL, which lookAtQueue
// makes the ARN of. Source: Service Authorization Reference, "Actions, resources,
// and condition keys for Amazon SQS".
var sqsAccess = serviceAccess{
	arn: "arn:{Partition}:sqs:{Region}:{Account}:",
	on: map[string]string{
		"ChangeMessageVisibility": "{QueueUrl}",
		"CreateQueue":             "{QueueName}",
		"DeleteMessage":           "{QueueUrl}",
		"DeleteMessageBatch":      "{QueueUrl}",
		"DeleteQueue":             "{QueueUrl}",
		"GetQueueAttributes":      "{QueueUrl}",
		"GetQueueUrl":             "{QueueName}",
		"ListQueueTags":           "{QueueUrl}",
		"PurgeQueue":              "{QueueUrl}",
		"ReceiveMessage":          "{QueueUrl}",
		"SendMessage":             "{QueueUrl}",
		"SendMessageBatch":        "{QueueUrl}",
		"SetQueueAttributes":      "{QueueUrl}",
		"TagQueue":                "{QueueUrl}",
		"UntagQueue":              "{QueueUrl}",
	},
	needs: map[string]func(*call, []need) []need{
		"GetQueueUrl": func(c *call, own []need) []need {
			if owner := c.str("QueueOwnerAWSAccountId"); owner != "" {
				own[0].resource = "arn:" + c.partition() + ":sqs:" + c.region + ":" + owner + ":" + c.str("QueueName")
			}
			return own
		},
	},
	look:   lookAtQueue,
	guests: true,
}

func lookAtQueue(c *call, n *need) resource {
	a, ok := parseARN(n.resource)
	if !ok {
		return resource{}
	}
	if parts := strings.Split(strings.TrimSuffix(a.resource, "/"), "/"); len(parts) > 1 {
		a.account, a.resource = parts[len(parts)-2], parts[len(parts)-1]
	}
	if home := c.homeOf(a.account, a.region); home != nil {
		if _, q, ok := home.SQS.Queues.live(a.resource, c.now); ok {
			return resource{arn: a.String(), tags: q.Tags, policy: q.Attributes["Policy"]}
		}
	}
	return resource{arn: a.String(), owner: c.who.Account} // the operation will say that there is none
}
