package sandbox

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// How long AWS Backup takes, on the sandbox's clock, besides what the resource's
// own service does. AWS publishes no figures.
const (
	backupQueue = 30 * time.Second // until a job runs
	backupTime  = 2 * time.Minute  // at least, that it runs
)

// defaultVault needs nobody to make it; see liveVault.
const defaultVault = "Default"

// backupState is what backup has in one account and Region.
type backupState struct {
	Vaults     table[backupVault]     `json:"vaults"`         // by name
	Plans      table[backupPlan]      `json:"plans"`          // by id
	Selections table[backupSelection] `json:"selections"`     // by id
	Points     table[recoveryPoint]   `json:"recoveryPoints"` // by ARN
	Jobs       table[backupJob]       `json:"jobs"`
	Restores   table[restoreJob]      `json:"restoreJobs"`
	Copies     table[copyJob]         `json:"copyJobs"`
}

func (s backupState) check() error {
	return first(whole("backup vault", s.Vaults), whole("backup plan", s.Plans), whole("backup selection", s.Selections), whole("recovery point", s.Points),
		whole("backup job", s.Jobs), whole("restore job", s.Restores), whole("copy job", s.Copies))
}

type backupVault struct {
	Created time.Time `json:"created"`
	KeyARN  string    `json:"kmsKeyArn"`
	Creator string    `json:"creatorRequestId,omitempty"`
	Tags    tagSet    `json:"tags,omitempty"`
	Notices structure `json:"notifications,omitempty"`
}

type backupPlan struct {
	Name     string               `json:"name"`
	Created  time.Time            `json:"created"`
	Deleted  time.Time            `json:"deleted,omitzero"`
	Run      time.Time            `json:"lastRun,omitzero"`
	Creator  string               `json:"creatorRequestId,omitempty"`
	Version  string               `json:"version"`
	Versions map[string]structure `json:"versions"` // BackupPlan, by version id
	Tags     tagSet               `json:"tags,omitempty"`
}

func (p backupPlan) rules() []object { return objects(p.Versions[p.Version]["Rules"]) }

type backupSelection struct {
	Plan     string    `json:"plan"`
	Created  time.Time `json:"created"`
	Creator  string    `json:"creatorRequestId,omitempty"`
	Settings structure `json:"settings"` // BackupSelection
}

func noVault(name string) error {
	return failure(400, "ResourceNotFoundException", "Backup vault %s does not exist", name)
}

func badParameter(format string, args ...any) error {
	return failure(400, "InvalidParameterValueException", format, args...)
}

// liveVault finds a vault. AWS makes the default one when its console is first
// opened; here it comes when it is first named.
func (c *call) liveVault(name string, at time.Time) (*record[backupVault], backupVault, error) {
	t := &c.home().Backup.Vaults
	if name == defaultVault && (*t)[name] == nil {
		key, err := c.serviceKey("", "alias/aws/backup")
		if err != nil {
			return nil, backupVault{}, err
		}
		t.put(name, c.view, backupVault{Created: c.view, KeyARN: key})
	}
	r, v, ok := t.live(name, at)
	if !ok {
		return nil, backupVault{}, noVault(name)
	}
	return r, v, nil
}

func (c *call) vaultARN(name string) string { return c.arnOf("backup", "backup-vault:"+name) }

func (c *call) vaultOut(name string, v backupVault, at time.Time) object {
	points := int64(0)
	for _, p := range c.home().Backup.Points.all(at) {
		if p.Vault == name {
			points++
		}
	}
	out := object{"BackupVaultName": name, "BackupVaultArn": c.vaultARN(name), "VaultType": "BACKUP_VAULT", "VaultState": "AVAILABLE", "EncryptionKeyArn": v.KeyARN,
		"CreationDate": v.Created, "NumberOfRecoveryPoints": points, "Locked": false}
	if v.Creator != "" {
		out["CreatorRequestId"] = v.Creator
	}
	return out
}

var vaultName = patternOf(`^[a-zA-Z0-9_-]{2,50}$`)

func createBackupVault(c *call) (map[string]any, error) {
	name := c.str("BackupVaultName")
	if !vaultName.MatchString(name) {
		return nil, badParameter("Invalid backup vault name: %s", name)
	}
	vaults := &c.home().Backup.Vaults
	if _, v, ok := vaults.live(name, c.now); ok {
		if v.Creator != "" && v.Creator == c.str("CreatorRequestId") {
			return object{"BackupVaultName": name, "BackupVaultArn": c.vaultARN(name), "CreationDate": v.Created}, nil
		}
		return nil, failure(400, "AlreadyExistsException", "Backup vault with the same name already exists")
	}
	key, err := c.serviceKey(c.str("EncryptionKeyArn"), "alias/aws/backup")
	if err != nil {
		return nil, badParameter("The encryption key can't be used: %v", err)
	}
	tags, err := backupTags(c.object("BackupVaultTags"))
	if err != nil {
		return nil, err
	}
	vaults.put(name, c.now, backupVault{Created: c.now, KeyARN: key, Creator: c.str("CreatorRequestId"), Tags: tags})
	c.backupEvent(c.now, "Backup Vault State Change", c.vaultARN(name), object{"backupVaultName": name, "state": "CREATED"})
	return object{"BackupVaultName": name, "BackupVaultArn": c.vaultARN(name), "CreationDate": c.now}, nil
}

func describeBackupVault(c *call) (map[string]any, error) {
	_, v, err := c.liveVault(c.str("BackupVaultName"), c.view)
	if err != nil {
		return nil, err
	}
	return c.vaultOut(c.str("BackupVaultName"), v, c.view), nil
}

func listBackupVaults(c *call) (map[string]any, error) {
	out := []any{}
	for name, v := range c.home().Backup.Vaults.all(c.view) {
		if kind := c.str("ByVaultType"); kind == "" || kind == "BACKUP_VAULT" {
			out = append(out, c.vaultOut(name, v, c.view))
		}
	}
	return c.page("BackupVaultList", out)
}

func deleteBackupVault(c *call) (map[string]any, error) {
	name := c.str("BackupVaultName")
	r, v, err := c.liveVault(name, c.now)
	if err != nil {
		return nil, err
	}
	if c.vaultOut(name, v, c.now)["NumberOfRecoveryPoints"] != int64(0) {
		return nil, failure(400, "InvalidRequestException", "Backup vault cannot be deleted because it contains recovery points.")
	}
	r.end(c.now)
	c.backupEvent(c.now, "Backup Vault State Change", c.vaultARN(name), object{"backupVaultName": name, "state": "DELETED"})
	return object{}, nil
}

func putVaultNotifications(c *call) (map[string]any, error) {
	r, _, err := c.liveVault(c.str("BackupVaultName"), c.now)
	if err != nil {
		return nil, err
	}
	notices := structure{"SNSTopicArn": c.str("SNSTopicArn"), "BackupVaultEvents": c.in["BackupVaultEvents"]}
	r.change(c.now, func(v *backupVault) { v.Notices = notices })
	return object{}, nil
}

func getVaultNotifications(c *call) (map[string]any, error) {
	name := c.str("BackupVaultName")
	_, v, err := c.liveVault(name, c.view)
	if err != nil {
		return nil, err
	}
	if v.Notices == nil {
		return nil, failure(400, "ResourceNotFoundException", "Failed reading notifications from database for Backup vault %s", name)
	}
	return v.Notices.with(structure{"BackupVaultName": name, "BackupVaultArn": c.vaultARN(name)}), nil
}

func deleteVaultNotifications(c *call) (map[string]any, error) {
	r, _, err := c.liveVault(c.str("BackupVaultName"), c.now)
	if err != nil {
		return nil, err
	}
	r.change(c.now, func(v *backupVault) { v.Notices = nil })
	return object{}, nil
}

// backupTags reads tags in the form that AWS Backup has for them.
func backupTags(v object) (tagSet, error) {
	out := tagSet{}
	for k, e := range v {
		if strings.HasPrefix(strings.ToLower(k), "aws:") || k == "" {
			return nil, badParameter("Tag keys starting with 'aws:' are reserved for internal use")
		}
		out[k], _ = e.(string)
	}
	return out, nil
}

func (t tagSet) asMap() object {
	out := object{}
	for k, v := range t {
		out[k] = v
	}
	return out
}

// lifecycle reads a Lifecycle. Source: AWS Backup API Reference, Lifecycle: what
// goes to cold storage stays there for 90 days.
func lifecycle(v any) (structure, error) {
	l, _ := v.(object)
	cold, hasCold := l["MoveToColdStorageAfterDays"].(int64)
	gone, hasGone := l["DeleteAfterDays"].(int64)
	switch {
	case hasGone && gone != -1 && gone < 1, hasCold && cold != -1 && cold < 1:
		return nil, badParameter("Invalid lifecycle. The days must be 1 or more, or -1.")
	case hasCold && cold > 0 && hasGone && gone > 0 && gone < cold+90:
		return nil, badParameter("Invalid lifecycle. DeleteAfterDays cannot be less than 90 days apart from MoveToColdStorageAfterDays")
	}
	return structure(l), nil
}

// assumable checks that AWS Backup can assume a role. The role that its console
// makes counts as there.
func (c *call) assumable(name string) error {
	a, ok := parseARN(name)
	if !ok || a.service != "iam" || !strings.HasPrefix(a.resource, "role/") || a.account != c.who.Account {
		return badParameter("Invalid IAM role ARN: %s", name)
	}
	if a.resource == "role/service-role/AWSBackupDefaultServiceRole" {
		return nil
	}
	_, r, ok := c.accountState().Roles.live(last(a.resource), c.now)
	if !ok || !strings.Contains(r.Trust, "backup.amazonaws.com") {
		return badParameter("IAM Role %s cannot be assumed by AWS Backup", name)
	}
	return nil
}

func (c *call) planARN(id string) string { return c.arnOf("backup", "backup-plan:"+id) }

// planDocument reads the plan that a call gives, with ids for its rules.
func (c *call) planDocument() (structure, error) {
	given := c.object("BackupPlan")
	rules := []any{}
	for _, r := range objects(given["Rules"]) {
		if _, err := lifecycle(r["Lifecycle"]); err != nil {
			return nil, err
		}
		expression, _ := r["ScheduleExpression"].(string)
		if expression == "" {
			expression = "cron(0 5 ? * * *)"
		}
		if err := checkSchedule(expression); err != nil {
			return nil, badParameter("Invalid schedule expression %s: %v", expression, err)
		}
		whole := structure{"ScheduleExpressionTimezone": "Etc/UTC", "StartWindowMinutes": int64(480), "CompletionWindowMinutes": int64(10080), "EnableContinuousBackup": false}.
			with(structure(r)).with(structure{"ScheduleExpression": expression, "RuleId": uuid(c.id("", 32))})
		rules = append(rules, object(whole))
	}
	if len(rules) == 0 {
		return nil, badParameter("Backup plan must have at least one rule")
	}
	return structure(given).with(structure{"Rules": rules}), nil
}

// sameDocument compares plans but for the ids of their rules.
func sameDocument(a, b structure) bool {
	without := func(p structure) []object {
		var out []object
		for _, r := range objects(p["Rules"]) {
			one := structure(r).with(nil)
			delete(one, "RuleId")
			out = append(out, object(one))
		}
		return out
	}
	return a.str("BackupPlanName") == b.str("BackupPlanName") && reflect.DeepEqual(without(a), without(b))
}

func createBackupPlan(c *call) (map[string]any, error) {
	document, err := c.planDocument()
	if err != nil {
		return nil, err
	}
	tags, err := backupTags(c.object("BackupPlanTags"))
	if err != nil {
		return nil, err
	}
	plans := &c.home().Backup.Plans
	for id, p := range plans.all(c.now) {
		if !p.Deleted.IsZero() {
			continue
		}
		if p.Creator != "" && p.Creator == c.str("CreatorRequestId") {
			return c.planMade(id, p), nil
		}
		if sameDocument(document, p.Versions[p.Version]) {
			return nil, failure(400, "AlreadyExistsException", "Backup plan with the same plan document already exists")
		}
	}
	id, version := uuid(c.id("", 32)), c.id("", 48)
	p := backupPlan{Name: document.str("BackupPlanName"), Created: c.now, Creator: c.str("CreatorRequestId"), Version: version, Versions: map[string]structure{version: document}, Tags: tags}
	plans.put(id, c.now, p)
	c.backupEvent(c.now, "Backup Plan State Change", c.planARN(id), object{"backupPlanId": id, "state": "CREATED", "versionId": version})
	c.scheduleRules(id, p)
	return c.planMade(id, p), nil
}

func (c *call) planMade(id string, p backupPlan) object {
	return object{"BackupPlanId": id, "BackupPlanArn": c.planARN(id), "CreationDate": p.Created, "VersionId": p.Version}
}

func (c *call) livePlan(at time.Time) (string, *record[backupPlan], backupPlan, error) {
	id := c.str("BackupPlanId")
	r, p, ok := c.home().Backup.Plans.live(id, at)
	if !ok {
		return "", nil, p, failure(400, "ResourceNotFoundException", "Failed reading Backup plan with provided planId %s", id)
	}
	return id, r, p, nil
}

func updateBackupPlan(c *call) (map[string]any, error) {
	id, r, p, err := c.livePlan(c.now)
	if err != nil {
		return nil, err
	}
	if !p.Deleted.IsZero() {
		return nil, failure(400, "ResourceNotFoundException", "Backup plan %s is deleted", id)
	}
	document, err := c.planDocument()
	if err != nil {
		return nil, err
	}
	version := c.id("", 48)
	r.change(c.now, func(p *backupPlan) {
		versions := map[string]structure{version: document}
		for k, v := range p.Versions {
			versions[k] = v
		}
		p.Name, p.Version, p.Versions = document.str("BackupPlanName"), version, versions
	})
	p, _ = r.as(c.now)
	c.scheduleRules(id, p)
	c.backupEvent(c.now, "Backup Plan State Change", c.planARN(id), object{"backupPlanId": id, "state": "MODIFIED", "versionId": version})
	return c.planMade(id, p), nil
}

func getBackupPlan(c *call) (map[string]any, error) {
	id, _, p, err := c.livePlan(c.view)
	if err != nil {
		return nil, err
	}
	version := orElse(c.str("VersionId"), p.Version)
	document, ok := p.Versions[version]
	if !ok {
		return nil, badParameter("Invalid version id %s", version)
	}
	out := c.planMade(id, p)
	out["BackupPlan"], out["VersionId"] = object(document), version
	for name, at := range map[string]time.Time{"DeletionDate": p.Deleted, "LastExecutionDate": p.Run} {
		if !at.IsZero() {
			out[name] = at
		}
	}
	if p.Creator != "" {
		out["CreatorRequestId"] = p.Creator
	}
	return out, nil
}

func listBackupPlans(c *call) (map[string]any, error) {
	out := []any{}
	for id, p := range c.home().Backup.Plans.all(c.view) {
		if !p.Deleted.IsZero() && !c.bool("IncludeDeleted") {
			continue
		}
		one := c.planMade(id, p)
		one["BackupPlanName"] = p.Name
		for name, at := range map[string]time.Time{"DeletionDate": p.Deleted, "LastExecutionDate": p.Run} {
			if !at.IsZero() {
				one[name] = at
			}
		}
		out = append(out, one)
	}
	return c.page("BackupPlansList", out)
}

func deleteBackupPlan(c *call) (map[string]any, error) {
	id, r, p, err := c.livePlan(c.now)
	if err != nil {
		return nil, err
	}
	if !p.Deleted.IsZero() {
		return nil, failure(400, "ResourceNotFoundException", "Backup plan %s is deleted", id)
	}
	for _, s := range c.home().Backup.Selections.all(c.now) {
		if s.Plan == id {
			return nil, failure(400, "InvalidRequestException", "Related backup plan selections must be deleted prior to backup plan deletion")
		}
	}
	r.change(c.now, func(p *backupPlan) { p.Deleted = c.now })
	c.backupEvent(c.now, "Backup Plan State Change", c.planARN(id), object{"backupPlanId": id, "state": "DELETED", "versionId": p.Version})
	return object{"BackupPlanId": id, "BackupPlanArn": c.planARN(id), "DeletionDate": c.now, "VersionId": p.Version}, nil
}

func createBackupSelection(c *call) (map[string]any, error) {
	plan, _, p, err := c.livePlan(c.now)
	if err != nil {
		return nil, err
	}
	given := structure(c.object("BackupSelection"))
	if !p.Deleted.IsZero() {
		return nil, failure(400, "ResourceNotFoundException", "Backup plan %s is deleted", plan)
	}
	if err := c.assumable(given.str("IamRoleArn")); err != nil {
		return nil, err
	}
	chosen := slices.ContainsFunc([]string{"Resources", "ListOfTags"}, func(name string) bool { l, _ := given[name].([]any); return len(l) > 0 })
	if conditions, _ := given["Conditions"].(object); !chosen && len(conditions) == 0 {
		return nil, badParameter("Invalid selection: at least one of Resources, ListOfTags and Conditions is needed")
	}
	for id, s := range c.home().Backup.Selections.all(c.now) {
		if s.Plan != plan {
			continue
		}
		if s.Creator != "" && s.Creator == c.str("CreatorRequestId") {
			return object{"SelectionId": id, "BackupPlanId": plan, "CreationDate": s.Created}, nil
		}
		if s.Settings.str("SelectionName") == given.str("SelectionName") {
			return nil, failure(400, "AlreadyExistsException", "Backup selection with the same name already exists")
		}
	}
	id := uuid(c.id("", 32))
	c.home().Backup.Selections.put(id, c.now, backupSelection{Plan: plan, Created: c.now, Creator: c.str("CreatorRequestId"), Settings: given})
	return object{"SelectionId": id, "BackupPlanId": plan, "CreationDate": c.now}, nil
}

func (c *call) liveSelection(at time.Time) (*record[backupSelection], backupSelection, error) {
	if _, _, _, err := c.livePlan(at); err != nil {
		return nil, backupSelection{}, err
	}
	r, s, ok := c.home().Backup.Selections.live(c.str("SelectionId"), at)
	if !ok || s.Plan != c.str("BackupPlanId") {
		return nil, s, failure(400, "ResourceNotFoundException", "Failed reading backup selection %s", c.str("SelectionId"))
	}
	return r, s, nil
}

func getBackupSelection(c *call) (map[string]any, error) {
	_, s, err := c.liveSelection(c.view)
	if err != nil {
		return nil, err
	}
	return object{"SelectionId": c.str("SelectionId"), "BackupPlanId": s.Plan, "CreationDate": s.Created, "BackupSelection": object(s.Settings)}, nil
}

func listBackupSelections(c *call) (map[string]any, error) {
	plan, _, _, err := c.livePlan(c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for id, s := range c.home().Backup.Selections.all(c.view) {
		if s.Plan == plan {
			out = append(out, object{"SelectionId": id, "SelectionName": s.Settings.str("SelectionName"), "BackupPlanId": plan, "CreationDate": s.Created, "IamRoleArn": s.Settings.str("IamRoleArn")})
		}
	}
	return c.page("BackupSelectionsList", out)
}

func deleteBackupSelection(c *call) (map[string]any, error) {
	r, _, err := c.liveSelection(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{}, nil
}

// backupEvent tells of a change in AWS Backup. Source: AWS Backup Developer Guide,
// "Monitoring AWS Backup events using Amazon EventBridge".
func (c *call) backupEvent(at time.Time, kind, arn string, detail object) {
	c.emit(at, "aws.backup", kind, []string{arn}, detail)
}

var backupPlanHandlers = map[string]handler{
	"CreateBackupPlan":               {"backup:CreateBackupPlan", createBackupPlan},
	"CreateBackupSelection":          {"backup:CreateBackupSelection", createBackupSelection},
	"CreateBackupVault":              {"backup:CreateBackupVault", createBackupVault},
	"DeleteBackupPlan":               {"backup:DeleteBackupPlan", deleteBackupPlan},
	"DeleteBackupSelection":          {"backup:DeleteBackupSelection", deleteBackupSelection},
	"DeleteBackupVault":              {"backup:DeleteBackupVault", deleteBackupVault},
	"DeleteBackupVaultNotifications": {"backup:DeleteBackupVaultNotifications", deleteVaultNotifications},
	"DescribeBackupVault":            {"backup:DescribeBackupVault", describeBackupVault},
	"GetBackupPlan":                  {"backup:GetBackupPlan", getBackupPlan},
	"GetBackupSelection":             {"backup:GetBackupSelection", getBackupSelection},
	"GetBackupVaultNotifications":    {"backup:GetBackupVaultNotifications", getVaultNotifications},
	"ListBackupPlans":                {"backup:ListBackupPlans", listBackupPlans},
	"ListBackupSelections":           {"backup:ListBackupSelections", listBackupSelections},
	"ListBackupVaults":               {"backup:ListBackupVaults", listBackupVaults},
	"PutBackupVaultNotifications":    {"backup:PutBackupVaultNotifications", putVaultNotifications},
	"UpdateBackupPlan":               {"backup:UpdateBackupPlan", updateBackupPlan},
}

var backupHandlers = merged(backupPlanHandlers, backupJobHandlers, backupPointHandlers, backupRestoreHandlers)
