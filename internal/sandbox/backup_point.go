package sandbox

import (
	"slices"
	"time"
)

// recoveryPoint is a backup in a vault. What it holds is where its service keeps
// it: a snapshot, a table's items as of a time, or objects.
type recoveryPoint struct {
	Vault     string            `json:"vault"`
	Source    string            `json:"sourceVault,omitempty"` // ARN, of a copy
	Resource  string            `json:"resource"`              // ARN
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Status    string            `json:"status"` // CREATING, COMPLETED
	Began     time.Time         `json:"began"`  // what it holds is of this time
	Completed time.Time         `json:"completed"`
	Size      int64             `json:"size"`
	KeyARN    string            `json:"kmsKeyArn,omitempty"`
	Role      string            `json:"role"`
	Tags      tagSet            `json:"tags,omitempty"`
	Lifecycle structure         `json:"lifecycle,omitempty"`
	CreatedBy structure         `json:"createdBy,omitempty"`
	Restored  time.Time         `json:"restored,omitzero"`
	Metadata  map[string]string `json:"metadata,omitempty"`

	Table      *dynamoTable         `json:"table,omitempty"`
	DataRegion string               `json:"dataRegion,omitempty"` // of the table's items
	Objects    map[string]s3Version `json:"objects,omitempty"`
}

// putPoint files a recovery point that is done at a time, and deletes it when its
// lifecycle ends.
func (c *call) putPoint(arn string, done time.Time, p recoveryPoint) {
	p.Completed = done
	r := c.home().Backup.Points.put(arn, c.now, p)
	r.change(done, func(p *recoveryPoint) { p.Status = "COMPLETED" })
	c.backupEvent(done, "Recovery Point State Change", arn, object{"backupVaultName": p.Vault, "backupVaultArn": c.vaultARN(p.Vault), "creationDate": p.Began, "iamRoleArn": p.Role,
		"resourceArn": p.Resource, "resourceType": p.Type, "status": "COMPLETED", "recoveryPointArn": arn})
	if days := p.Lifecycle.int("DeleteAfterDays"); days > 0 {
		c.dropPoint(arn, c.now.Add(time.Duration(days)*24*time.Hour))
	}
}

// dropPoint deletes a recovery point and what it holds, as of a time.
func (c *call) dropPoint(arn string, at time.Time) {
	if r, p, ok := c.home().Backup.Points.live(arn, c.now); ok {
		r.end(at)
		backupKinds[p.Type].drop(c, arn, at)
	}
}

func (c *call) livePoint(at time.Time) (string, *record[recoveryPoint], recoveryPoint, error) {
	if _, _, err := c.liveVault(c.str("BackupVaultName"), at); err != nil {
		return "", nil, recoveryPoint{}, err
	}
	arn := c.str("RecoveryPointArn")
	r, p, ok := c.home().Backup.Points.live(arn, at)
	if !ok || p.Vault != c.str("BackupVaultName") {
		return "", nil, p, failure(400, "ResourceNotFoundException", "Cannot find Recovery point %s in Backup vault %s", arn, c.str("BackupVaultName"))
	}
	return arn, r, p, nil
}

func (c *call) pointOut(arn string, p recoveryPoint) object {
	out := object{"RecoveryPointArn": arn, "BackupVaultName": p.Vault, "BackupVaultArn": c.vaultARN(p.Vault), "VaultType": "BACKUP_VAULT", "ResourceArn": p.Resource, "ResourceType": p.Type,
		"ResourceName": p.Name, "IamRoleArn": p.Role, "Status": p.Status, "CreationDate": p.Began, "InitiationDate": p.Began, "BackupSizeInBytes": p.Size, "IsEncrypted": p.KeyARN != "",
		"IsParent": false, "Lifecycle": object(p.Lifecycle.with(nil)), "CalculatedLifecycle": object(p.calculated())}
	if p.Status == "COMPLETED" {
		out["CompletionDate"] = p.Completed
	}
	withTexts(out, map[string]string{"EncryptionKeyArn": p.KeyARN, "SourceBackupVaultArn": p.Source})
	if p.CreatedBy != nil {
		out["CreatedBy"] = object(p.CreatedBy)
	}
	if !p.Restored.IsZero() {
		out["LastRestoreTime"] = p.Restored
	}
	return out
}

// calculated are the times at which a recovery point moves and goes.
func (p recoveryPoint) calculated() structure {
	out := structure{}
	for member, to := range map[string]string{"MoveToColdStorageAfterDays": "MoveToColdStorageAt", "DeleteAfterDays": "DeleteAt"} {
		if days := p.Lifecycle.int(member); days > 0 {
			out[to] = p.Began.Add(time.Duration(days) * 24 * time.Hour)
		}
	}
	return out
}

func describeRecoveryPoint(c *call) (map[string]any, error) {
	arn, _, p, err := c.livePoint(c.view)
	if err != nil {
		return nil, err
	}
	out := c.pointOut(arn, p)
	out["StorageClass"] = "WARM"
	if at, ok := p.calculated()["MoveToColdStorageAt"].(time.Time); ok && !c.view.Before(at) {
		out["StorageClass"] = "COLD"
	}
	return out, nil
}

func listPointsByVault(c *call) (map[string]any, error) {
	name := c.str("BackupVaultName")
	if _, _, err := c.liveVault(name, c.view); err != nil {
		return nil, err
	}
	out := []any{}
	for arn, p := range c.home().Backup.Points.all(c.view) {
		if p.Vault == name && c.asks("ByResourceArn", p.Resource) && c.asks("ByResourceType", p.Type) && c.asks("ByBackupPlanId", p.CreatedBy.str("BackupPlanId")) &&
			c.between(p.Began, "ByCreatedAfter", "ByCreatedBefore") {
			out = append(out, c.pointOut(arn, p))
		}
	}
	newestFirst(out)
	return c.page("RecoveryPoints", out)
}

func listPointsByResource(c *call) (map[string]any, error) {
	out := []any{}
	for arn, p := range c.home().Backup.Points.all(c.view) {
		if p.Resource != c.str("ResourceArn") {
			continue
		}
		one := object{"RecoveryPointArn": arn, "CreationDate": p.Began, "Status": p.Status, "BackupSizeBytes": p.Size, "BackupVaultName": p.Vault, "IsParent": false, "ResourceName": p.Name, "VaultType": "BACKUP_VAULT"}
		if p.KeyARN != "" {
			one["EncryptionKeyArn"] = p.KeyARN
		}
		out = append(out, one)
	}
	newestFirst(out)
	return c.page("RecoveryPoints", out)
}

func listProtectedResources(c *call) (map[string]any, error) {
	last := map[string]object{}
	for arn, p := range c.home().Backup.Points.all(c.view) {
		if p.Status != "COMPLETED" {
			continue
		}
		if was, ok := last[p.Resource]; ok && p.Began.Before(was["LastBackupTime"].(time.Time)) {
			continue
		}
		last[p.Resource] = object{"ResourceArn": p.Resource, "ResourceType": p.Type, "ResourceName": p.Name, "LastBackupTime": p.Began, "LastBackupVaultArn": c.vaultARN(p.Vault), "LastRecoveryPointArn": arn}
	}
	out := []any{}
	for _, arn := range sorted(last) {
		out = append(out, last[arn])
	}
	return c.page("Results", out)
}

func restoreMetadata(c *call) (map[string]any, error) {
	arn, _, p, err := c.livePoint(c.view)
	if err != nil {
		return nil, err
	}
	how := object{}
	for k, v := range p.Metadata {
		how[k] = v
	}
	return object{"BackupVaultArn": c.vaultARN(p.Vault), "RecoveryPointArn": arn, "ResourceType": p.Type, "RestoreMetadata": how}, nil
}

func deleteRecoveryPoint(c *call) (map[string]any, error) {
	arn, _, p, err := c.livePoint(c.now)
	if err != nil {
		return nil, err
	}
	if p.Status != "COMPLETED" {
		return nil, failure(400, "InvalidResourceStateException", "Recovery point %s is %s", arn, p.Status)
	}
	c.retract(arn, c.now)
	c.dropPoint(arn, c.now)
	c.backupEvent(c.now, "Recovery Point State Change", arn, object{"backupVaultName": p.Vault, "backupVaultArn": c.vaultARN(p.Vault), "resourceArn": p.Resource, "resourceType": p.Type, "status": "DELETED", "recoveryPointArn": arn})
	return object{}, nil
}

// backupTagged finds the tags of a vault, a plan or a recovery point.
func (c *call) backupTagged(at time.Time) (tagSet, func(tagSet), error) {
	arn := c.str("ResourceArn")
	state := &c.home().Backup
	for name, v := range state.Vaults.all(at) {
		if c.vaultARN(name) == arn {
			return v.Tags, func(t tagSet) { state.Vaults[name].change(c.now, func(v *backupVault) { v.Tags = t }) }, nil
		}
	}
	for id, p := range state.Plans.all(at) {
		if c.planARN(id) == arn {
			return p.Tags, func(t tagSet) { state.Plans[id].change(c.now, func(p *backupPlan) { p.Tags = t }) }, nil
		}
	}
	if r, p, ok := state.Points.live(arn, at); ok {
		return p.Tags, func(t tagSet) { r.change(c.now, func(p *recoveryPoint) { p.Tags = t }) }, nil
	}
	return nil, nil, failure(400, "ResourceNotFoundException", "Resource %s does not exist", arn)
}

func listBackupTags(c *call) (map[string]any, error) {
	tags, _, err := c.backupTagged(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Tags": tags.asMap()}, nil
}

func tagBackup(c *call) (map[string]any, error) {
	tags, change, err := c.backupTagged(c.now)
	if err != nil {
		return nil, err
	}
	more, err := backupTags(c.object("Tags"))
	if err != nil {
		return nil, err
	}
	change(tags.with(more))
	return object{}, nil
}

func untagBackup(c *call) (map[string]any, error) {
	tags, change, err := c.backupTagged(c.now)
	if err != nil {
		return nil, err
	}
	left := tagSet{}
	for k, v := range tags {
		if !slices.Contains(c.strings("TagKeyList"), k) {
			left[k] = v
		}
	}
	change(left)
	return object{}, nil
}

var backupPointHandlers = map[string]handler{
	"DeleteRecoveryPoint":             {"backup:DeleteRecoveryPoint", deleteRecoveryPoint},
	"DescribeRecoveryPoint":           {"backup:DescribeRecoveryPoint", describeRecoveryPoint},
	"GetRecoveryPointRestoreMetadata": {"backup:GetRecoveryPointRestoreMetadata", restoreMetadata},
	"ListProtectedResources":          {"backup:ListProtectedResources", listProtectedResources},
	"ListRecoveryPointsByBackupVault": {"backup:ListRecoveryPointsByBackupVault", listPointsByVault},
	"ListRecoveryPointsByResource":    {"backup:ListRecoveryPointsByResource", listPointsByResource},
	"ListTags":                        {"backup:ListTags", listBackupTags},
	"TagResource":                     {"backup:TagResource", tagBackup},
	"UntagResource":                   {"backup:UntagResource", untagBackup},
}
