package sandbox

import "strings"

// What DynamoDB's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon DynamoDB".
const onTable = "{TableName}"

var dynamodbAccess = serviceAccess{
	arn: "arn:{Partition}:dynamodb:{Region}:{Account}:table/",
	on: map[string]string{
		"CreateTable":               onTable,
		"DeleteItem":                onTable,
		"DeleteTable":               onTable,
		"DescribeContinuousBackups": onTable,
		"DescribeTable":             onTable,
		"GetItem":                   onTable,
		"ListTagsOfResource":        "{ResourceArn}",
		"PutItem":                   onTable,
		"Query":                     onTable,
		"RestoreTableToPointInTime": "{SourceTableName} {SourceTableArn}",
		"Scan":                      onTable,
		"TagResource":               "{ResourceArn}",
		"UntagResource":             "{ResourceArn}",
		"UpdateContinuousBackups":   onTable,
		"UpdateItem":                onTable,
		"UpdateTable":               onTable,
	},
	needs: map[string]func(*call, []need) []need{
		"BatchWriteItem": func(c *call, own []need) []need {
			var out []need
			for _, name := range sorted(c.object("RequestItems")) {
				out = append(out, need{action: own[0].action, resource: c.arnOf("dynamodb", "table/"+c.shortTable(name))})
			}
			if len(out) == 0 {
				return own
			}
			return out
		},
		"CreateTable": func(c *call, own []need) []need {
			if len(c.objects("Tags")) > 0 {
				own = append(own, need{action: "dynamodb:TagResource", resource: own[0].resource, tags: own[0].tags})
			}
			return append(own, c.tableKeyNeeds("SSESpecification")...)
		},
		"RestoreTableToPointInTime": restoreTableNeeds,
		"UpdateTable": func(c *call, own []need) []need {
			return append(own, c.tableKeyNeeds("SSESpecification")...)
		},
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.homeOf(a.account, a.region)
		if home == nil {
			return resource{}
		}
		_, t, _ := home.DynamoDB.Tables.live(strings.TrimPrefix(a.resource, "table/"), c.now)
		return resource{tags: t.Tags}
	},
}

// tableKeyNeeds are those of a key of the caller's own. Source: DynamoDB Developer
// Guide, "Authorizing use of your AWS KMS key".
func (c *call) tableKeyNeeds(member string) []need {
	key, _ := c.object(member)["KMSMasterKeyId"].(string)
	if key == "" {
		return nil
	}
	return keyNeedsOf("dynamodb", c.keyNamed(key), "CreateGrant", "DescribeKey")
}

// restoreTableNeeds: DynamoDB writes the restored table on the caller's behalf.
// Source: DynamoDB Developer Guide, "Restoring a DynamoDB table to a point in
// time".
func restoreTableNeeds(c *call, own []need) []need {
	target := c.arnOf("dynamodb", "table/"+c.str("TargetTableName"))
	for _, action := range []string{"BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"} {
		own = append(own, need{action: "dynamodb:" + action, resource: target})
	}
	return append(own, c.tableKeyNeeds("SSESpecificationOverride")...)
}
