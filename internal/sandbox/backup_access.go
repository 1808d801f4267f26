package sandbox

import "strings"

// What AWS Backup's operations are on. Source: Service Authorization Reference,
// "Actions, resources, and condition keys for AWS Backup".
const (
	onVault = "backup-vault:{BackupVaultName}"
	onPlan  = "backup-plan:{BackupPlanId}"
	onPoint = "{RecoveryPointArn}"
)

var backupAccess = serviceAccess{
	arn: "arn:{Partition}:backup:{Region}:{Account}:",
	on: map[string]string{
		"CreateBackupSelection":           onPlan,
		"CreateBackupVault":               onVault,
		"DeleteBackupPlan":                onPlan,
		"DeleteBackupSelection":           onPlan,
		"DeleteBackupVault":               onVault,
		"DeleteBackupVaultNotifications":  onVault,
		"DeleteRecoveryPoint":             onPoint,
		"DescribeBackupVault":             onVault,
		"DescribeRecoveryPoint":           onPoint,
		"GetBackupPlan":                   onPlan,
		"GetBackupSelection":              onPlan,
		"GetBackupVaultNotifications":     onVault,
		"GetRecoveryPointRestoreMetadata": onPoint,
		"ListBackupSelections":            onPlan,
		"ListRecoveryPointsByBackupVault": onVault,
		"ListTags":                        "{ResourceArn}",
		"PutBackupVaultNotifications":     onVault,
		"StartBackupJob":                  onVault,
		"StartCopyJob":                    onPoint,
		"StartRestoreJob":                 onPoint,
		"TagResource":                     "{ResourceArn}",
		"UntagResource":                   "{ResourceArn}",
		"UpdateBackupPlan":                onPlan,
	},
	needs: map[string]func(*call, []need) []need{
		"CreateBackupPlan": func(c *call, own []need) []need {
			own[0].resource = c.planARN("*") // which has no id yet
			return own
		},
		// A vault takes room and a key. Source: AWS Backup Developer Guide, "Access
		// control", under "API permissions".
		"CreateBackupVault": func(c *call, own []need) []need {
			own = append(own, need{action: "backup-storage:MountCapsule", resource: "*"})
			if key := c.str("EncryptionKeyArn"); key != "" {
				own = append(own, keyNeedsOf("backup", c.keyNamed(key), "CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKey", "RetireGrant")...)
			}
			return own
		},
		"CreateBackupSelection": func(c *call, own []need) []need {
			role, _ := c.object("BackupSelection")["IamRoleArn"].(string)
			return append(own, c.passRole(role, "backup.amazonaws.com")...)
		},
		"StartBackupJob":  passBackupRole,
		"StartCopyJob":    passBackupRole,
		"StartRestoreJob": passBackupRole,
	},
	look: func(c *call, n *need) resource {
		a, _ := parseARN(n.resource)
		home := c.home()
		if name, ok := strings.CutPrefix(a.resource, "backup-vault:"); ok {
			_, v, _ := home.Backup.Vaults.live(name, c.now)
			return resource{tags: v.Tags}
		}
		if id, ok := strings.CutPrefix(a.resource, "backup-plan:"); ok {
			_, p, _ := home.Backup.Plans.live(id, c.now)
			return resource{tags: p.Tags}
		}
		_, p, _ := home.Backup.Points.live(n.resource, c.now)
		return resource{tags: p.Tags}
	},
}

func passBackupRole(c *call, own []need) []need {
	return append(own, c.passRole(c.str("IamRoleArn"), "backup.amazonaws.com")...)
}
