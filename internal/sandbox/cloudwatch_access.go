package sandbox

// What CloudWatch's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for Amazon CloudWatch".
var cloudwatchAccess = serviceAccess{
	arn: "arn:{Partition}:cloudwatch:{Region}:{Account}:",
	on: map[string]string{
		"DeleteAlarms":   "alarm:{AlarmNames}",
		"DescribeAlarms": "alarm:{AlarmNames}",
		"PutMetricAlarm": "alarm:{AlarmName}",
		"SetAlarmState":  "alarm:{AlarmName}",
	},
	needs: map[string]func(*call, []need) []need{
		"DescribeAlarms": func(c *call, own []need) []need {
			if len(c.strings("AlarmNames")) == 0 {
				own[0].resource = c.arnOf("cloudwatch", "alarm:*")
			}
			return own
		},
	},
	keys: func(c *call, _ *need, set func(string, ...string)) {
		if c.operation.Name == "PutMetricData" {
			set("cloudwatch:namespace", c.str("Namespace"))
		}
	},
}
