package sandbox

import (
	"slices"
	"strings"
	"time"
)

type backupJob struct {
	State     string    `json:"state"` // CREATED, RUNNING, COMPLETED, FAILED, ABORTED
	Message   string    `json:"message,omitempty"`
	Vault     string    `json:"vault"`
	Resource  string    `json:"resource"` // ARN
	Type      string    `json:"type"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	Point     string    `json:"recoveryPoint,omitempty"`
	Created   time.Time `json:"created"`
	Completed time.Time `json:"completed,omitzero"`
	StartBy   time.Time `json:"startBy"`
	Size      int64     `json:"size"`
	Key       string    `json:"kmsKeyArn,omitempty"`
	Lifecycle structure `json:"lifecycle,omitempty"`
	CreatedBy structure `json:"createdBy,omitempty"`
	Options   structure `json:"options,omitempty"`
}

// startJob starts a backup. What goes wrong from here on is the job's failure.
func (c *call) startJob(of protected, j backupJob, tags tagSet) (id string, done time.Time) {
	id = uuid(c.id("", 32))
	j.State, j.Created, j.Resource, j.Type, j.Name, j.Size, j.Key = "CREATED", c.now, of.arn, of.kind, of.name, of.size, of.key
	p := recoveryPoint{Vault: j.Vault, Resource: of.arn, Type: of.kind, Name: of.name, Status: "CREATING", Began: c.now, Size: of.size, KeyARN: of.key, Role: j.Role, Tags: of.tags.with(tags),
		Lifecycle: j.Lifecycle, CreatedBy: j.CreatedBy}
	_, vault, err := c.liveVault(j.Vault, c.now)
	var arn string
	var takes time.Duration
	if err == nil {
		if of.kind == "DynamoDB" || of.kind == "S3" { // which the vault's key encrypts
			p.KeyARN, j.Key = vault.KeyARN, vault.KeyARN
		}
		arn, takes, err = backupKinds[of.kind].take(c, of, &p, id)
	}
	j.Point = arn
	r := c.home().Backup.Jobs.put(id, c.now, j)
	running := c.now.Add(backupQueue)
	c.jobEvent(c.now, id, j)
	if err != nil {
		r.change(running, func(j *backupJob) { j.State, j.Message, j.Completed, j.Point = "FAILED", err.Error(), running, "" })
		now, _ := r.as(running)
		c.jobEvent(running, id, now)
		return id, running
	}
	done = running.Add(max(takes, backupTime))
	r.change(running, func(j *backupJob) { j.State = "RUNNING" })
	now, _ := r.as(running)
	c.jobEvent(running, id, now)
	r.change(done, func(j *backupJob) { j.State, j.Completed = "COMPLETED", done })
	now, _ = r.as(done)
	c.jobEvent(done, id, now)
	c.putPoint(arn, done, p)
	return id, done
}

func (c *call) jobEvent(at time.Time, id string, j backupJob) {
	resource := orElse(j.Point, j.Resource)
	detail := object{"backupJobId": id, "backupVaultArn": c.vaultARN(j.Vault), "backupVaultName": j.Vault, "backupSizeInBytes": j.Size, "creationDate": j.Created, "iamRoleArn": j.Role,
		"resourceArn": j.Resource, "resourceType": j.Type, "state": j.State, "percentDone": 0, "startBy": j.StartBy}
	if j.State == "COMPLETED" {
		detail["percentDone"], detail["completionDate"], detail["recoveryPointArn"], detail["bytesTransferred"] = 100, j.Completed, j.Point, j.Size
	}
	if j.Message != "" {
		detail["statusMessage"] = j.Message
	}
	if j.CreatedBy != nil {
		detail["createdBy"] = object(j.CreatedBy)
	}
	c.emit(at, "aws.backup", "Backup Job State Change", []string{resource}, detail)
}

// repeated gives the job that an idempotency token was used for. Unlike a client
// token it is not compared with the rest of the call.
func (c *call) repeated() string {
	if t := c.str("IdempotencyToken"); t != "" {
		return c.home().Tokens[c.operation.Name+"/"+t].ID
	}
	return ""
}

func (c *call) repeatable(id string) {
	if t := c.str("IdempotencyToken"); t != "" {
		c.home().Tokens[c.operation.Name+"/"+t] = token{ID: id}
	}
}

func (c *call) jobStarted(id string) object {
	_, j, _ := c.home().Backup.Jobs.live(id, c.now)
	out := object{"BackupJobId": id, "CreationDate": j.Created, "IsParent": false}
	if j.Point != "" {
		out["RecoveryPointArn"] = j.Point
	}
	return out
}

func startBackupJob(c *call) (map[string]any, error) {
	if id := c.repeated(); id != "" {
		return c.jobStarted(id), nil
	}
	if _, _, err := c.liveVault(c.str("BackupVaultName"), c.now); err != nil {
		return nil, err
	}
	if err := c.assumable(c.str("IamRoleArn")); err != nil {
		return nil, err
	}
	of, err := c.protect(c.str("ResourceArn"))
	if err != nil {
		return nil, err
	}
	life, err := lifecycle(c.in["Lifecycle"])
	if err != nil {
		return nil, err
	}
	tags, err := backupTags(c.object("RecoveryPointTags"))
	if err != nil {
		return nil, err
	}
	window, given := c.int("StartWindowMinutes")
	if !given {
		window = 480
	}
	if window < 60 {
		return nil, badParameter("Invalid start window: %d. It must be at least 60 minutes.", window)
	}
	j := backupJob{Vault: c.str("BackupVaultName"), Role: c.str("IamRoleArn"), StartBy: c.now.Add(time.Duration(window) * time.Minute), Lifecycle: life, Options: structure(c.object("BackupOptions"))}
	id, _ := c.startJob(of, j, tags)
	c.repeatable(id)
	return c.jobStarted(id), nil
}

func (c *call) jobOut(id string, j backupJob) object {
	out := object{"AccountId": c.who.Account, "BackupJobId": id, "BackupVaultName": j.Vault, "BackupVaultArn": c.vaultARN(j.Vault), "VaultType": "BACKUP_VAULT", "ResourceArn": j.Resource,
		"ResourceType": j.Type, "ResourceName": j.Name, "CreationDate": j.Created, "State": j.State, "PercentDone": "0.0", "IamRoleArn": j.Role, "StartBy": j.StartBy, "BackupSizeInBytes": j.Size,
		"IsParent": false, "IsEncrypted": j.Key != ""}
	withTexts(out, map[string]string{"StatusMessage": j.Message, "RecoveryPointArn": j.Point, "EncryptionKeyArn": j.Key})
	if !j.Completed.IsZero() {
		out["CompletionDate"] = j.Completed
	}
	if j.State == "COMPLETED" {
		out["PercentDone"], out["BytesTransferred"], out["MessageCategory"] = "100.0", j.Size, "SUCCESS"
	}
	for name, v := range map[string]structure{"RecoveryPointLifecycle": j.Lifecycle, "CreatedBy": j.CreatedBy, "BackupOptions": j.Options} {
		if v != nil {
			out[name] = object(v)
		}
	}
	return out
}

func describeBackupJob(c *call) (map[string]any, error) {
	_, j, ok := c.home().Backup.Jobs.live(c.str("BackupJobId"), c.view)
	if !ok {
		return nil, failure(400, "ResourceNotFoundException", "Backup job %s does not exist", c.str("BackupJobId"))
	}
	return c.jobOut(c.str("BackupJobId"), j), nil
}

// between says whether a time passes two members of a call, each of which may be
// missing.
func (c *call) between(at time.Time, after, before string) bool {
	if t, ok := c.in[after].(time.Time); ok && !at.After(t) {
		return false
	}
	t, ok := c.in[before].(time.Time)
	return !ok || at.Before(t)
}

// asks says whether a member of a call is missing, or is what there is.
func (c *call) asks(member, have string) bool {
	want := c.str(member)
	return want == "" || want == "*" || want == have
}

// newestFirst orders answers by their creation.
func newestFirst(out []any) {
	slices.SortStableFunc(out, func(a, b any) int {
		x, _ := a.(object)["CreationDate"].(time.Time)
		y, _ := b.(object)["CreationDate"].(time.Time)
		return y.Compare(x)
	})
}

func listBackupJobs(c *call) (map[string]any, error) {
	out := []any{}
	for id, j := range c.home().Backup.Jobs.all(c.view) {
		if c.asks("ByState", j.State) && c.asks("ByResourceArn", j.Resource) && c.asks("ByResourceType", j.Type) && c.asks("ByBackupVaultName", j.Vault) && c.asks("ByAccountId", c.who.Account) &&
			c.between(j.Created, "ByCreatedAfter", "ByCreatedBefore") && c.between(j.Completed, "ByCompleteAfter", "ByCompleteBefore") {
			out = append(out, c.jobOut(id, j))
		}
	}
	newestFirst(out)
	return c.page("BackupJobs", out)
}

func stopBackupJob(c *call) (map[string]any, error) {
	id := c.str("BackupJobId")
	r, j, ok := c.home().Backup.Jobs.live(id, c.now)
	if !ok {
		return nil, failure(400, "ResourceNotFoundException", "Backup job %s does not exist", id)
	}
	if j.State != "CREATED" && j.State != "RUNNING" {
		return nil, failure(400, "InvalidRequestException", "Backup job %s is %s and can't be stopped", id, j.State)
	}
	r.forget(c.now)
	c.retract(orElse(j.Point, j.Resource), c.now)
	r.change(c.now, func(j *backupJob) { j.State, j.Completed, j.Point = "ABORTED", c.now, "" })
	if j.Point != "" {
		c.dropPoint(j.Point, c.now)
	}
	j, _ = r.as(c.now)
	c.jobEvent(c.now, id, j)
	return object{}, nil
}

// checkSchedule: AWS Backup runs a rule at most once an hour.
func checkSchedule(expression string) error {
	t, err := parseTimetable(expression)
	if err != nil {
		return err
	}
	one, ok := t.next(time.Unix(0, 0))
	if two, more := t.next(one); ok && more && two.Sub(one) < time.Hour {
		return badParameter("a backup can't run more often than each hour")
	}
	return nil
}

// scheduleRules lets the next times of a plan's rules come about, in place of
// those that were to.
func (c *call) scheduleRules(id string, p backupPlan) {
	c.state.Due = slices.DeleteFunc(c.state.Due, func(d due) bool { return strings.HasPrefix(d.Plan, id+"/") })
	for _, rule := range p.rules() {
		c.scheduleRule(id, rule)
	}
}

func (c *call) scheduleRule(plan string, rule object) {
	t, err := parseTimetable(structure(rule).str("ScheduleExpression"))
	if err != nil {
		return // was checked when the plan was made
	}
	if at, ok := t.next(c.now); ok {
		c.schedule(due{At: at, Account: c.who.Account, Region: c.region, Plan: plan + "/" + structure(rule).str("RuleId")})
	}
}

// runPlan runs a rule of a plan whose time has come: a job for each resource that
// the plan's selections choose, and the copies that the rule asks for.
func (c *call) runPlan(name string) {
	id, ruleID, _ := strings.Cut(name, "/")
	r, p, ok := c.home().Backup.Plans.live(id, c.now)
	if !ok || !p.Deleted.IsZero() {
		return
	}
	i := slices.IndexFunc(p.rules(), func(r object) bool { return r["RuleId"] == ruleID })
	if i < 0 {
		return
	}
	rule := structure(p.rules()[i])
	r.change(c.now, func(p *backupPlan) { p.Run = c.now })
	by := structure{"BackupPlanId": id, "BackupPlanArn": c.planARN(id), "BackupPlanVersion": p.Version, "BackupRuleId": ruleID}
	life, _ := rule["Lifecycle"].(object)
	given, _ := rule["RecoveryPointTags"].(object)
	tags, _ := backupTags(given) // of AWS's own there are none in a plan's
	for _, s := range c.home().Backup.Selections.all(c.now) {
		if s.Plan != id {
			continue
		}
		for _, of := range c.protectable() {
			if !s.chooses(of) {
				continue
			}
			j := backupJob{Vault: rule.str("TargetBackupVaultName"), Role: s.Settings.str("IamRoleArn"), StartBy: c.now.Add(time.Duration(rule.int("StartWindowMinutes")) * time.Minute), Lifecycle: structure(life), CreatedBy: by}
			job, done := c.startJob(of, j, tags)
			c.planCopies(job, done, rule, by)
		}
	}
	c.scheduleRule(id, rule)
}

// planCopies starts the copies of a rule, each when its backup is done.
func (c *call) planCopies(job string, done time.Time, rule, by structure) {
	_, j, _ := c.home().Backup.Jobs.live(job, done)
	if j.State != "COMPLETED" {
		return
	}
	later := *c
	later.now, later.view = done, done
	for _, action := range objects(rule["CopyActions"]) {
		life, _ := action["Lifecycle"].(object)
		_, p, _ := c.home().Backup.Points.live(j.Point, done)
		later.startCopy(copyJob{Source: j.Point, SourceVault: j.Vault, Destination: structure(action).str("DestinationBackupVaultArn"), Role: j.Role, Lifecycle: structure(life), CreatedBy: by, Job: job}, p)
	}
}

// chooses says whether a selection takes a resource: one that an ARN pattern
// names and all conditions fit, or that has one of the tags; but none that
// NotResources names.
func (s backupSelection) chooses(of protected) bool {
	named := func(member string) bool {
		return slices.ContainsFunc(texts(s.Settings[member]), func(p string) bool { return wildcard(p, of.arn) })
	}
	if named("NotResources") {
		return false
	}
	for _, t := range objects(s.Settings["ListOfTags"]) {
		key, _ := t["ConditionKey"].(string)
		if v, ok := of.tags[key]; ok && v == t["ConditionValue"] {
			return true
		}
	}
	return named("Resources") && s.conditions(of.tags)
}

func (s backupSelection) conditions(tags tagSet) bool {
	all, _ := s.Settings["Conditions"].(object)
	for operator, list := range all {
		for _, c := range objects(list) {
			key, _ := c["ConditionKey"].(string)
			want, _ := c["ConditionValue"].(string)
			have, ok := tags[strings.TrimPrefix(key, "aws:ResourceTag/")]
			fits := ok && have == want
			if strings.HasSuffix(operator, "Like") {
				fits = ok && wildcard(want, have)
			}
			if fits == strings.Contains(operator, "Not") {
				return false
			}
		}
	}
	return true
}

var backupJobHandlers = map[string]handler{
	"DescribeBackupJob": {"backup:DescribeBackupJob", describeBackupJob},
	"ListBackupJobs":    {"backup:ListBackupJobs", listBackupJobs},
	"StartBackupJob":    {"backup:StartBackupJob", startBackupJob},
	"StopBackupJob":     {"backup:StopBackupJob", stopBackupJob},
}
