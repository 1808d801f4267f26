package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// securityhubState is what securityhub has in one account and Region.
type securityhubState struct {
	Hubs     table[hub]             `json:"hubs,omitempty"`     // one, named default
	Findings map[string]*hubFinding `json:"findings,omitempty"` // by product's ARN and id
}

func (s securityhubState) check() error {
	for key, f := range s.Findings {
		if f == nil || f.Finding == nil {
			return fmt.Errorf("sandbox: the snapshot's Security Hub finding %q is empty", key)
		}
	}
	return whole("hub", s.Hubs)
}

type hub struct {
	Subscribed time.Time `json:"subscribed"`
	Generator  string    `json:"controlFindingGenerator"`
	Tags       tagSet    `json:"tags,omitempty"`
}

// hubFinding is a finding in ASFF.
type hubFinding struct {
	Finding  structure `json:"finding"`
	Imported time.Time `json:"imported"`
	// Changed are the members that BatchUpdateFindings set; from then on its
	// provider can't.
	Changed []string `json:"changed,omitempty"`
}

const theHub = "default"

func (c *call) hubARN() string { return c.arnOf("securityhub", "hub/"+theHub) }

// hub gives the Region's hub, without which Security Hub answers nothing.
func (c *call) hub(at time.Time) (*record[hub], hub, error) {
	if r, h, ok := c.home().SecurityHub.Hubs.live(theHub, at); ok {
		return r, h, nil
	}
	return nil, hub{}, failure(401, "InvalidAccessException", "Account %s is not subscribed to AWS Security Hub", c.who.Account)
}

func hubInvalid(format string, args ...any) error {
	return failure(400, "InvalidInputException", format, args...)
}

func enableHub(c *call) (map[string]any, error) {
	if _, _, err := c.hub(c.now); err == nil {
		return nil, failure(409, "ResourceConflictException", "Account is already subscribed to Security Hub")
	}
	h := hub{Subscribed: c.now, Generator: c.str("ControlFindingGenerator"), Tags: textMap(c.in["Tags"])}
	if h.Generator == "" {
		h.Generator = "SECURITY_CONTROL"
	}
	c.home().SecurityHub.Hubs.put(theHub, c.now, h)
	return object{}, nil
}

func describeHub(c *call) (map[string]any, error) {
	_, h, err := c.hub(c.view)
	if err != nil {
		return nil, err
	}
	if arn := c.str("HubArn"); arn != "" && arn != c.hubARN() {
		return nil, failure(404, "ResourceNotFoundException", "Hub %s is not found.", arn)
	}
	return object{"HubArn": c.hubARN(), "SubscribedAt": stamp(h.Subscribed), "AutoEnableControls": true, "ControlFindingGenerator": h.Generator}, nil
}

func disableHub(c *call) (map[string]any, error) {
	r, _, err := c.hub(c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	c.home().SecurityHub.Findings = nil
	return object{}, nil
}

const maxHubFindings = 100

func importFindings(c *call) (map[string]any, error) {
	if _, _, err := c.hub(c.now); err != nil {
		return nil, err
	}
	list := c.objects("Findings")
	if len(list) < 1 || len(list) > maxHubFindings {
		return nil, hubInvalid("Invalid parameter 'Findings'. data should have from 1 to %d items", maxHubFindings)
	}
	failed, done := []any{}, int64(0)
	for _, f := range list {
		problem := c.checkFinding(f)
		if problem == "" {
			problem = c.importFinding(f)
		}
		if problem == "" {
			done++
			continue
		}
		failed = append(failed, object{"Id": f["Id"], "ErrorCode": "InvalidInput", "ErrorMessage": problem})
	}
	return object{"FailedCount": int64(len(failed)), "SuccessCount": done, "FailedFindings": failed}, nil
}

var (
	productARN  = patternOf(`^arn:aws[a-z-]*:securityhub:([a-z0-9-]+):(\d{12})?:product/([^/]+)/[^/]+$`)
	findingTime = patternOf(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:?\d\d)$`)
	// findingSpaces are the namespaces of finding types. Source: AWS Security Hub
	// User Guide, "Types taxonomy for ASFF".
	findingSpaces = []string{"Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications"}
)

// maxFindingSize is that of one finding, in bytes.
const maxFindingSize = 240 << 10

// checkFinding says what is wrong with a finding that a customer imports, or "".
// Source: AWS Security Hub API Reference, BatchImportFindings and
// AwsSecurityFinding.
func (c *call) checkFinding(f object) string {
	product, _ := f["ProductArn"].(string)
	m := productARN.FindStringSubmatch(product)
	severity := lookup(f, "Severity")
	if len(severity) == 0 {
		severity = lookup(f, "FindingProviderFields.Severity")
	}
	switch {
	case m == nil:
		return "Invalid parameter 'ProductArn'. data does not match the pattern of a product's ARN"
	case m[1] != c.region:
		return "Invalid parameter 'ProductArn'. The product is of another Region"
	case m[2] != "" && (m[2] != c.who.Account || m[3] != c.who.Account):
		return "Invalid parameter 'ProductArn'. The product is of another account"
	case m[3] == "aws":
		return "Invalid parameter 'ProductArn'. Only AWS may import findings for this product"
	case f["AwsAccountId"] != c.who.Account:
		return "Invalid parameter 'AwsAccountId'. data should be the account that makes the request"
	case f["SchemaVersion"] != "2018-10-08":
		return "Invalid parameter 'SchemaVersion'. data should be equal to one of the allowed values: 2018-10-08"
	case len(severity) == 0:
		return "Invalid parameter 'Severity'. Finding does not adhere to Amazon Finding Format. data.Severity or data.FindingProviderFields.Severity should be present"
	}
	return wrongFinding(f)
}

// wrongFinding says what is wrong with a finding of anybody, or "".
func wrongFinding(f object) string {
	for _, member := range []string{"CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"} {
		if t, ok := f[member].(string); (ok || member == "CreatedAt" || member == "UpdatedAt") && !findingTime.MatchString(t) {
			return "Invalid parameter '" + member + "'. data should match format date-time"
		}
	}
	for _, t := range append(texts(f["Types"]), texts(lookup(f, "FindingProviderFields.Types"))...) {
		space, _, _ := strings.Cut(t, "/")
		if !slices.Contains(findingSpaces, space) || strings.Count(t, "/") > 2 {
			return "Invalid parameter 'Types'. " + t + " is not in the form namespace/category/classifier"
		}
	}
	resources := objects(f["Resources"])
	if len(resources) < 1 || len(resources) > 32 {
		return "Invalid parameter 'Resources'. data should have from 1 to 32 items"
	}
	for _, path := range []string{"Confidence", "Criticality", "Severity.Normalized"} {
		for _, v := range lookup(f, path) {
			if n, _ := asNumber(v); n < 0 || n > 100 {
				return "Invalid parameter '" + path + "'. data should be from 0 to 100"
			}
		}
	}
	if len(jsonText(f)) > maxFindingSize {
		return "The finding is larger than 240 KB"
	}
	return ""
}

func hubKey(product, id string) string { return product + "\n" + id }

// byProvider are members that a provider sets, until a customer does.
var byProvider = []string{"Confidence", "Criticality", "RelatedFindings", "Severity", "Types"}

// byCustomer are members that imports never change.
var byCustomer = []string{"Note", "UserDefinedFields", "VerificationState", "Workflow", "WorkflowState"}

// importFinding adds a finding or an update of one, and says what is wrong with
// it, or "".
func (c *call) importFinding(in object) string {
	f := copied(in).(object)
	fields, _ := f["FindingProviderFields"].(object)
	if fields == nil {
		fields = object{}
		f["FindingProviderFields"] = fields
	}
	for _, member := range byProvider {
		if f[member] == nil && fields[member] != nil {
			f[member] = copied(fields[member])
		}
		if member == "Severity" {
			normalise(f[member])
		}
		if fields[member] == nil && f[member] != nil {
			fields[member] = copied(f[member])
		}
	}
	if s, ok := fields["Severity"].(object); ok { // of which a provider keeps label and original alone
		delete(s, "Normalized")
		delete(s, "Product")
	}
	key := hubKey(lookupText(f, "ProductArn"), lookupText(f, "Id"))
	state := &c.home().SecurityHub
	old := state.Findings[key]
	if old == nil {
		c.completeFinding(f)
		if state.Findings == nil {
			state.Findings = map[string]*hubFinding{}
		}
		old = &hubFinding{Finding: f, Imported: c.now}
		state.Findings[key] = old
		c.importedEvent(old.Finding)
		return ""
	}
	if before, after := instant(old.Finding["UpdatedAt"]), instant(f["UpdatedAt"]); after.Before(before) {
		return "Invalid parameter 'UpdatedAt'. The finding has an update that is newer"
	}
	for _, member := range append(slices.Clone(byCustomer), old.Changed...) {
		if v, ok := old.Finding[member]; ok {
			f[member] = v
		} else {
			delete(f, member)
		}
	}
	c.completeFinding(f)
	if again(old.Finding, f) {
		f["Workflow"], f["WorkflowState"] = object{"Status": "NEW"}, "NEW"
	}
	old.Finding = f
	c.importedEvent(f)
	return ""
}

// again says whether an update brings back what was done with.
// Source: AWS Security Hub User Guide, "Setting the workflow status of findings".
func again(before, after object) bool {
	status := lookupText(before, "Workflow.Status")
	if status != "NOTIFIED" && status != "RESOLVED" {
		return false
	}
	passed, now := lookupText(before, "Compliance.Status"), lookupText(after, "Compliance.Status")
	return before["RecordState"] == "ARCHIVED" && after["RecordState"] == "ACTIVE" || passed == "PASSED" && now != "" && now != "PASSED"
}

// completeFinding fills in what Security Hub does.
func (c *call) completeFinding(f object) {
	company, product := "Personal", "Default"
	if m := productARN.FindStringSubmatch(lookupText(f, "ProductArn")); m != nil && m[2] == "" {
		company, product = m[3], last(lookupText(f, "ProductArn"))
	}
	defaults := object{"RecordState": "ACTIVE", "WorkflowState": "NEW", "Region": c.region, "CompanyName": company, "ProductName": product}
	for member, v := range defaults {
		if f[member] == nil {
			f[member] = v
		}
	}
	if f["Workflow"] == nil {
		f["Workflow"] = object{"Status": "NEW"}
	}
	for _, r := range objects(f["Resources"]) {
		if r["Partition"] == nil {
			r["Partition"] = c.partition()
		}
		if r["Region"] == nil {
			r["Region"] = c.region
		}
	}
	fields, _ := f["ProductFields"].(object)
	if fields == nil {
		fields = object{}
		f["ProductFields"] = fields
	}
	fields["aws/securityhub/FindingId"] = lookupText(f, "ProductArn") + "/" + lookupText(f, "Id")
	fields["aws/securityhub/ProductName"], fields["aws/securityhub/CompanyName"] = f["ProductName"], f["CompanyName"]
	f["ProcessedAt"] = stamp(c.now)
}

// normalise lets a severity's label and number agree; the label wins.
// Source: AWS Security Hub API Reference, Severity.
func normalise(v any) {
	s, ok := v.(object)
	if !ok {
		return
	}
	floors := []struct {
		label string
		from  float64
	}{{"INFORMATIONAL", 0}, {"LOW", 1}, {"MEDIUM", 40}, {"HIGH", 70}, {"CRITICAL", 90}}
	label, _ := s["Label"].(string)
	n, numbered := asNumber(s["Normalized"])
	for i, f := range floors {
		switch {
		case label == f.label:
			if inside := numbered && n >= f.from && (i+1 == len(floors) || n < floors[i+1].from); !inside {
				s["Normalized"] = int64(f.from)
			}
		case label == "" && numbered && n >= f.from:
			s["Label"] = f.label
		}
	}
}

func instant(v any) time.Time {
	t, err := time.Parse(time.RFC3339, strings.ToUpper(textOf(v)))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Source: AWS Security Hub User Guide, "EventBridge event formats for Security
// Hub".
func (c *call) importedEvent(f object) {
	c.emit(c.now, "aws.securityhub", "Security Hub Findings - Imported", []string{lookupText(f, "ProductArn") + "/" + lookupText(f, "Id")}, object{"findings": []any{copied(f)}})
}

// AddHubFinding imports a finding in ASFF as AWS's own products may, which
// BatchImportFindings doesn't let a customer: into the sandbox's own account and
// Region, where Security Hub must be on. It gives the finding's id.
func (s *Sandbox) AddHubFinding(f map[string]any) (string, error) {
	s.mu.Lock()
	c := s.own()
	id, err := c.addHubFinding(f)
	s.settle(c.now)
	s.mu.Unlock()
	s.drain()
	return id, err
}

func (c *call) addHubFinding(f object) (string, error) {
	if _, _, err := c.hub(c.now); err != nil {
		return "", err
	}
	op, err := c.catalog.Operation("securityhub", "BatchImportFindings")
	if err != nil {
		return "", err
	}
	in, err := op.Coerce(object{"Findings": []any{f}})
	if err != nil {
		return "", err
	}
	if err := op.Validate(in); err != nil {
		return "", err
	}
	f = in["Findings"].([]any)[0].(object)
	problem := wrongFinding(f)
	if problem == "" {
		problem = c.importFinding(f)
	}
	if problem != "" {
		return "", fmt.Errorf("%s", problem)
	}
	return lookupText(f, "Id"), nil
}

func updateFindings(c *call) (map[string]any, error) {
	if _, _, err := c.hub(c.now); err != nil {
		return nil, err
	}
	list := c.objects("FindingIdentifiers")
	if len(list) < 1 || len(list) > maxHubFindings {
		return nil, hubInvalid("Invalid parameter 'FindingIdentifiers'. data should have from 1 to %d items", maxHubFindings)
	}
	changes := object{}
	for _, member := range []string{"Confidence", "Criticality", "RelatedFindings", "Severity", "Types", "UserDefinedFields", "VerificationState", "Workflow"} {
		if v, ok := c.in[member]; ok {
			changes[member] = v
		}
	}
	if note, ok := c.in["Note"].(object); ok {
		changes["Note"] = object{"Text": note["Text"], "UpdatedBy": note["UpdatedBy"], "UpdatedAt": stamp(c.now)}
	}
	if len(changes) == 0 {
		return nil, hubInvalid("There is nothing to update.")
	}
	for _, path := range []string{"Confidence", "Criticality", "Severity.Normalized"} {
		for _, v := range lookup(changes, path) {
			if n, _ := asNumber(v); n < 0 || n > 100 {
				return nil, hubInvalid("Invalid parameter '%s'. data should be from 0 to 100", path)
			}
		}
	}
	done, failed := []any{}, []any{}
	for _, id := range list {
		f := c.home().SecurityHub.Findings[hubKey(lookupText(id, "ProductArn"), lookupText(id, "Id"))]
		if f == nil {
			failed = append(failed, object{"FindingIdentifier": id, "ErrorCode": "FindingNotFound", "ErrorMessage": "Finding Not Found"})
			continue
		}
		for _, member := range sorted(changes) {
			f.Finding[member] = copied(changes[member])
			if slices.Contains(byProvider, member) && !slices.Contains(f.Changed, member) {
				f.Changed = append(f.Changed, member)
			}
		}
		if changes["Severity"] != nil {
			normalise(f.Finding["Severity"])
		}
		c.importedEvent(f.Finding)
		done = append(done, id)
	}
	return object{"ProcessedFindings": done, "UnprocessedFindings": failed}, nil
}

var securityhubHandlers = map[string]handler{
	"BatchImportFindings": {"securityhub:BatchImportFindings", importFindings},
	"BatchUpdateFindings": {"securityhub:BatchUpdateFindings", updateFindings},
	"DescribeHub":         {"securityhub:DescribeHub", describeHub},
	"DisableSecurityHub":  {"securityhub:DisableSecurityHub", disableHub},
	"EnableSecurityHub":   {"securityhub:EnableSecurityHub", enableHub},
	"GetFindings":         {"securityhub:GetFindings", getHubFindings},
}
