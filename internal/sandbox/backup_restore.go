package sandbox

import (
	"strings"
	"time"
)

// restoreJob makes a resource of a recovery point.
type restoreJob struct {
	Status    string    `json:"status"` // PENDING, RUNNING, COMPLETED, FAILED
	Message   string    `json:"message,omitempty"`
	Point     string    `json:"recoveryPoint"`
	Vault     string    `json:"vault"`
	Resource  string    `json:"resource"` // ARN of what was backed up
	Type      string    `json:"type"`
	Made      string    `json:"created,omitempty"` // ARN
	Role      string    `json:"role,omitempty"`
	Began     time.Time `json:"began"`
	Completed time.Time `json:"completed,omitzero"`
	PointTime time.Time `json:"recoveryPointCreated"`
	Size      int64     `json:"size"`
}

// copyJob copies a recovery point to another vault.
type copyJob struct {
	State       string    `json:"state"` // CREATED, RUNNING, COMPLETED, FAILED
	Message     string    `json:"message,omitempty"`
	Source      string    `json:"recoveryPoint"`
	SourceVault string    `json:"sourceVault"`
	Destination string    `json:"destinationVault"` // ARN
	Point       string    `json:"copied,omitempty"`
	Resource    string    `json:"resource"`
	Type        string    `json:"type"`
	Name        string    `json:"name"`
	Role        string    `json:"role"`
	Began       time.Time `json:"began"`
	Completed   time.Time `json:"completed,omitzero"`
	Size        int64     `json:"size"`
	Lifecycle   structure `json:"lifecycle,omitempty"`
	CreatedBy   structure `json:"createdBy,omitempty"`
	Job         string    `json:"backupJob,omitempty"` // that it follows
}

// How long a restore or a copy waits, and runs at least.
const (
	restoreQueue = 10 * time.Second
	restoreTime  = time.Minute
)

func startRestoreJob(c *call) (map[string]any, error) {
	if id := c.repeated(); id != "" {
		return object{"RestoreJobId": id}, nil
	}
	arn := c.str("RecoveryPointArn")
	r, p, ok := c.home().Backup.Points.live(arn, c.now)
	if !ok {
		return nil, failure(400, "ResourceNotFoundException", "Cannot find recovery point %s", arn)
	}
	if p.Status != "COMPLETED" {
		return nil, failure(400, "InvalidRequestException", "Recovery point %s is %s", arn, p.Status)
	}
	if role := c.str("IamRoleArn"); role != "" {
		if err := c.assumable(role); err != nil {
			return nil, err
		}
	}
	if kind := c.str("ResourceType"); kind != "" && kind != p.Type {
		return nil, badParameter("The recovery point is of type %s, not %s", p.Type, kind)
	}
	how := map[string]string{}
	for k, v := range c.object("Metadata") {
		how[k], _ = v.(string)
	}
	id := strings.ToUpper(uuid(c.id("", 32)))
	j := restoreJob{Status: "PENDING", Point: arn, Vault: p.Vault, Resource: p.Resource, Type: p.Type, Role: c.str("IamRoleArn"), Began: c.now, PointTime: p.Began, Size: p.Size}
	job := c.home().Backup.Restores.put(id, c.now, j)
	c.restoreEvent(c.now, id, j)
	made, takes, err := backupKinds[p.Type].restore(c, arn, p, how)
	running := c.now.Add(restoreQueue)
	done := running.Add(max(takes, restoreTime))
	if err != nil {
		done = running
		job.change(done, func(j *restoreJob) { j.Status, j.Message, j.Completed = "FAILED", err.Error(), done })
	} else {
		job.change(running, func(j *restoreJob) { j.Status = "RUNNING" })
		now, _ := job.as(running)
		c.restoreEvent(running, id, now)
		job.change(done, func(j *restoreJob) { j.Status, j.Made, j.Completed = "COMPLETED", made, done })
		r.change(done, func(p *recoveryPoint) { p.Restored = done })
	}
	now, _ := job.as(done)
	c.restoreEvent(done, id, now)
	c.repeatable(id)
	return object{"RestoreJobId": id}, nil
}

func (c *call) restoreEvent(at time.Time, id string, j restoreJob) {
	detail := object{"restoreJobId": id, "backupSizeInBytes": j.Size, "creationDate": j.Began, "iamRoleArn": j.Role, "resourceType": j.Type, "status": j.Status, "sourceResourceArn": j.Resource, "percentDone": 0}
	if j.Status == "COMPLETED" {
		detail["percentDone"], detail["completionDate"], detail["createdResourceArn"] = 100, j.Completed, j.Made
	}
	if j.Message != "" {
		detail["statusMessage"] = j.Message
	}
	c.backupEvent(at, "Restore Job State Change", j.Point, detail)
}

func (c *call) restoreOut(id string, j restoreJob) object {
	out := object{"AccountId": c.who.Account, "RestoreJobId": id, "RecoveryPointArn": j.Point, "SourceResourceArn": j.Resource, "BackupVaultArn": c.vaultARN(j.Vault), "CreationDate": j.Began, "Status": j.Status,
		"PercentDone": "0.00%", "BackupSizeInBytes": j.Size, "ResourceType": j.Type, "RecoveryPointCreationDate": j.PointTime, "IsParent": false}
	withTexts(out, map[string]string{"IamRoleArn": j.Role, "StatusMessage": j.Message, "CreatedResourceArn": j.Made})
	if !j.Completed.IsZero() {
		out["CompletionDate"] = j.Completed
	}
	if j.Status == "COMPLETED" {
		out["PercentDone"] = "100.00%"
	}
	return out
}

func describeRestoreJob(c *call) (map[string]any, error) {
	_, j, ok := c.home().Backup.Restores.live(c.str("RestoreJobId"), c.view)
	if !ok {
		return nil, failure(400, "ResourceNotFoundException", "Restore job %s does not exist", c.str("RestoreJobId"))
	}
	return c.restoreOut(c.str("RestoreJobId"), j), nil
}

func listRestoreJobs(c *call) (map[string]any, error) {
	out := []any{}
	for id, j := range c.home().Backup.Restores.all(c.view) {
		if c.asks("ByStatus", j.Status) && c.asks("ByResourceType", j.Type) && c.asks("ByAccountId", c.who.Account) && c.between(j.Began, "ByCreatedAfter", "ByCreatedBefore") {
			out = append(out, c.restoreOut(id, j))
		}
	}
	newestFirst(out)
	return c.page("RestoreJobs", out)
}

func startCopyJob(c *call) (map[string]any, error) {
	started := func(id string) object {
		_, j, _ := c.home().Backup.Copies.live(id, c.now)
		return object{"CopyJobId": id, "CreationDate": j.Began, "IsParent": false}
	}
	if id := c.repeated(); id != "" {
		return started(id), nil
	}
	vault := c.str("SourceBackupVaultName")
	p, ok := c.home().Backup.Points[c.str("RecoveryPointArn")], false
	var now recoveryPoint
	if p != nil {
		now, ok = p.as(c.now)
	}
	if !ok || now.Vault != vault {
		return nil, failure(400, "ResourceNotFoundException", "Cannot find Recovery point %s in Backup vault %s", c.str("RecoveryPointArn"), vault)
	}
	if now.Status != "COMPLETED" {
		return nil, failure(400, "InvalidRequestException", "Recovery point %s is %s", c.str("RecoveryPointArn"), now.Status)
	}
	if err := c.assumable(c.str("IamRoleArn")); err != nil {
		return nil, err
	}
	to, ok := parseARN(c.str("DestinationBackupVaultArn"))
	switch {
	case !ok || to.service != "backup" || !strings.HasPrefix(to.resource, "backup-vault:"):
		return nil, badParameter("Invalid destination backup vault ARN: %s", c.str("DestinationBackupVaultArn"))
	case to.account != c.who.Account:
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate copies to other accounts.")
	case c.str("DestinationBackupVaultArn") == c.vaultARN(vault):
		return nil, failure(400, "InvalidRequestException", "Source and destination backup vaults are the same")
	}
	life, err := lifecycle(c.in["Lifecycle"])
	if err != nil {
		return nil, err
	}
	id := c.startCopy(copyJob{Source: c.str("RecoveryPointArn"), SourceVault: vault, Destination: c.str("DestinationBackupVaultArn"), Role: c.str("IamRoleArn"), Lifecycle: life}, now)
	c.repeatable(id)
	return started(id), nil
}

// startCopy starts a copy. What goes wrong from here on is the job's failure.
func (c *call) startCopy(j copyJob, p recoveryPoint) string {
	id := strings.ToUpper(uuid(c.id("", 32)))
	to, _ := parseARN(j.Destination)
	name := strings.TrimPrefix(to.resource, "backup-vault:")
	there := c.inner(to.region, "backup", "StartCopyJob", structure(c.in))
	j.State, j.Began, j.Resource, j.Type, j.Name, j.Size = "CREATED", c.now, p.Resource, p.Type, p.Name, p.Size
	var takes time.Duration
	_, vault, err := there.liveVault(name, c.now)
	if err == nil && to.account != c.who.Account {
		err = failure(501, "NotImplemented", "The sandbox does not simulate copies to other accounts.")
	}
	if err == nil {
		if p.Table != nil || p.Objects != nil {
			p.KeyARN = vault.KeyARN
		}
		j.Point, takes, err = backupKinds[p.Type].copy(c, there, j.Source, &p, vault.KeyARN, strings.ToLower(id))
	}
	r := c.home().Backup.Copies.put(id, c.now, j)
	c.copyEvent(c.now, id, j)
	running := c.now.Add(restoreQueue)
	done := running.Add(max(takes, restoreTime))
	if err != nil {
		done = running
		r.change(done, func(j *copyJob) { j.State, j.Message, j.Completed, j.Point = "FAILED", err.Error(), done, "" })
	} else {
		r.change(running, func(j *copyJob) { j.State = "RUNNING" })
		now, _ := r.as(running)
		c.copyEvent(running, id, now)
		r.change(done, func(j *copyJob) { j.State, j.Completed = "COMPLETED", done })
		p.Vault, p.Source, p.Status, p.Lifecycle, p.Role, p.Restored = name, c.vaultARN(j.SourceVault), "CREATING", j.Lifecycle, j.Role, time.Time{}
		there.putPoint(j.Point, done, p)
	}
	now, _ := r.as(done)
	c.copyEvent(done, id, now)
	return id
}

func (c *call) copyEvent(at time.Time, id string, j copyJob) {
	detail := object{"copyJobId": id, "backupSizeInBytes": j.Size, "creationDate": j.Began, "iamRoleArn": j.Role, "resourceArn": j.Resource, "resourceType": j.Type, "state": j.State,
		"sourceBackupVaultArn": c.vaultARN(j.SourceVault), "sourceRecoveryPointArn": j.Source, "destinationBackupVaultArn": j.Destination}
	if j.State == "COMPLETED" {
		detail["completionDate"], detail["destinationRecoveryPointArn"] = j.Completed, j.Point
	}
	if j.Message != "" {
		detail["statusMessage"] = j.Message
	}
	c.backupEvent(at, "Copy Job State Change", j.Source, detail)
}

func (c *call) copyOut(id string, j copyJob) object {
	out := object{"AccountId": c.who.Account, "CopyJobId": id, "SourceBackupVaultArn": c.vaultARN(j.SourceVault), "SourceRecoveryPointArn": j.Source, "DestinationBackupVaultArn": j.Destination,
		"ResourceArn": j.Resource, "ResourceType": j.Type, "ResourceName": j.Name, "CreationDate": j.Began, "State": j.State, "BackupSizeInBytes": j.Size, "IamRoleArn": j.Role, "IsParent": false}
	withTexts(out, map[string]string{"StatusMessage": j.Message, "DestinationRecoveryPointArn": j.Point, "CreatedByBackupJobId": j.Job})
	if !j.Completed.IsZero() {
		out["CompletionDate"] = j.Completed
	}
	for name, v := range map[string]structure{"DestinationRecoveryPointLifecycle": j.Lifecycle, "CreatedBy": j.CreatedBy} {
		if v != nil {
			out[name] = object(v)
		}
	}
	return out
}

func describeCopyJob(c *call) (map[string]any, error) {
	_, j, ok := c.home().Backup.Copies.live(c.str("CopyJobId"), c.view)
	if !ok {
		return nil, failure(400, "ResourceNotFoundException", "Copy job %s does not exist", c.str("CopyJobId"))
	}
	return object{"CopyJob": c.copyOut(c.str("CopyJobId"), j)}, nil
}

func listCopyJobs(c *call) (map[string]any, error) {
	out := []any{}
	for id, j := range c.home().Backup.Copies.all(c.view) {
		if c.asks("ByState", j.State) && c.asks("ByResourceArn", j.Resource) && c.asks("ByResourceType", j.Type) && c.asks("ByDestinationVaultArn", j.Destination) && c.between(j.Began, "ByCreatedAfter", "ByCreatedBefore") {
			out = append(out, c.copyOut(id, j))
		}
	}
	newestFirst(out)
	return c.page("CopyJobs", out)
}

var backupRestoreHandlers = map[string]handler{
	"DescribeCopyJob":    {"backup:DescribeCopyJob", describeCopyJob},
	"DescribeRestoreJob": {"backup:DescribeRestoreJob", describeRestoreJob},
	"ListCopyJobs":       {"backup:ListCopyJobs", listCopyJobs},
	"ListRestoreJobs":    {"backup:ListRestoreJobs", listRestoreJobs},
	"StartCopyJob":       {"backup:StartCopyJob", startCopyJob},
	"StartRestoreJob":    {"backup:StartRestoreJob", startRestoreJob},
}
