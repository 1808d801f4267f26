package sandbox

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knowngood/knowngood/awsapi"
)

// cloudtrailState is what cloudtrail has in one account and Region.
type cloudtrailState struct {
	Records []trailRecord     `json:"records,omitempty"` // by time
	Trails  table[cloudTrail] `json:"trails,omitempty"`  // whose home this is, by name
}

type cloudTrail struct {
	Bucket    string    `json:"bucket"`
	Prefix    string    `json:"prefix,omitempty"`
	Topic     string    `json:"topic,omitempty"`
	Global    bool      `json:"globalServices,omitempty"`
	Multi     bool      `json:"multiRegion,omitempty"`
	Validates bool      `json:"logFileValidation,omitempty"`
	LogGroup  string    `json:"logGroup,omitempty"`
	LogRole   string    `json:"logRole,omitempty"`
	KeyID     string    `json:"kmsKeyId,omitempty"`
	Logging   bool      `json:"logging,omitempty"`
	Started   time.Time `json:"started,omitzero"`
	Stopped   time.Time `json:"stopped,omitzero"`
	Selectors []object  `json:"selectors,omitempty"` // none: all management events
	Advanced  []object  `json:"advancedSelectors,omitempty"`
	Tags      tagSet    `json:"tags,omitempty"`
}

// maxTrails is how many trails an account may have in a Region.
const maxTrails = 5

var (
	trailName    = patternOf(`^[A-Za-z0-9][A-Za-z0-9._-]{1,126}[A-Za-z0-9]$`)
	trailNearby  = patternOf(`[._-]{2}`)
	trailAddress = patternOf(`^\d+\.\d+\.\d+\.\d+$`)
)

// readOnly says whether the call changes nothing.
func (c *call) readOnly() bool { return c.operation.ClassOf(c.in) != awsapi.Write }

// logged says whether one of the account's trails logs such a call in this
// Region. EventBridge has an API call's event only then.
func (c *call) logged() bool {
	for home, region := range c.accountState().Regions {
		for _, t := range region.CloudTrail.Trails.all(c.now) {
			if t.Logging && (t.Multi || home == c.region || t.Global && globalService(c.operation.Service.Name)) && t.selects(c.readOnly()) {
				return true
			}
		}
	}
	return false
}

// selects says whether the trail's selectors take management events that read, or
// that write.
func (t cloudTrail) selects(reads bool) bool {
	if len(t.Selectors)+len(t.Advanced) == 0 {
		return true
	}
	for _, s := range t.Selectors {
		kind, _ := s["ReadWriteType"].(string)
		if s["IncludeManagementEvents"] != false && (kind == "" || kind == "All" || (kind == "ReadOnly") == reads) {
			return true
		}
	}
	for _, s := range t.Advanced {
		management, fits := false, true
		for _, f := range objects(s["FieldSelectors"]) {
			switch want := texts(f["Equals"]); f["Field"] {
			case "eventCategory":
				management = slices.Contains(want, "Management")
			case "readOnly":
				fits = slices.Contains(want, strconv.FormatBool(reads))
			}
		}
		if management && fits {
			return true
		}
	}
	return false
}

func (c *call) trailARN(region, name string) string {
	return "arn:aws:cloudtrail:" + region + ":" + c.who.Account + ":trail/" + name
}

// foundTrail is a trail and where it lives.
type foundTrail struct {
	name, home string
	record     *record[cloudTrail]
	cloudTrail
}

// trails lists the trails that can be seen in the Region: its own, and in its
// shadow the multi-Region ones of others.
func (c *call) trails(at time.Time) []foundTrail {
	var out []foundTrail
	for _, home := range sorted(c.accountState().Regions) {
		for name, t := range c.accountState().Regions[home].CloudTrail.Trails.all(at) {
			if home == c.region || t.Multi {
				out = append(out, foundTrail{name, home, c.accountState().Regions[home].CloudTrail.Trails[name], t})
			}
		}
	}
	return out
}

// findTrail finds a trail by its ARN, or here by its name.
func (c *call) findTrail(member string, at time.Time) (foundTrail, error) {
	text := c.str(member)
	for _, t := range c.trails(at) {
		if text == c.trailARN(t.home, t.name) || text == t.name && t.home == c.region {
			return t, nil
		}
	}
	if !strings.HasPrefix(text, "arn:") {
		text = c.trailARN(c.region, text)
	}
	return foundTrail{}, failure(400, "TrailNotFoundException", "Unknown trail: %s for the user: %s", text, c.who.Account)
}

// changeTrail serves a change of a trail, which is made in its home.
func changeTrail(member string, change func(*call, *cloudTrail) error) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		t, err := c.findTrail(member, c.now)
		if err != nil {
			return nil, err
		}
		if t.home != c.region {
			return nil, failure(400, "InvalidHomeRegionException", "The specified trail %s cannot be changed from the Region %s, for its home Region is %s.", t.name, c.region, t.home)
		}
		v := t.cloudTrail
		if err := change(c, &v); err != nil {
			return nil, err
		}
		t.record.change(c.now, func(now *cloudTrail) { *now = v })
		return c.trailSet(foundTrail{t.name, t.home, t.record, v}), nil
	}
}

func (c *call) trailOut(t foundTrail) object {
	out := object{"Name": t.name, "TrailARN": c.trailARN(t.home, t.name), "S3BucketName": t.Bucket, "IncludeGlobalServiceEvents": t.Global, "IsMultiRegionTrail": t.Multi,
		"HomeRegion": t.home, "LogFileValidationEnabled": t.Validates, "HasCustomEventSelectors": len(t.Selectors)+len(t.Advanced) > 0, "HasInsightSelectors": false,
		"IsOrganizationTrail": false}
	withTexts(out, map[string]string{"S3KeyPrefix": t.Prefix, "CloudWatchLogsLogGroupArn": t.LogGroup, "CloudWatchLogsRoleArn": t.LogRole, "KmsKeyId": t.KeyID})
	if t.Topic != "" {
		name := t.Topic[strings.LastIndexByte(t.Topic, ':')+1:]
		out["SnsTopicName"], out["SnsTopicARN"] = name, "arn:aws:sns:"+t.home+":"+c.who.Account+":"+name
	}
	return out
}

// trailSet is trailOut as those answer that set a trail.
func (c *call) trailSet(t foundTrail) object {
	out := c.trailOut(t)
	delete(out, "HomeRegion")
	delete(out, "HasCustomEventSelectors")
	delete(out, "HasInsightSelectors")
	return out
}

// setTrail takes over what CreateTrail or UpdateTrail says.
func setTrail(c *call, t *cloudTrail) error {
	for member, into := range map[string]*string{"S3BucketName": &t.Bucket, "S3KeyPrefix": &t.Prefix, "SnsTopicName": &t.Topic, "CloudWatchLogsLogGroupArn": &t.LogGroup,
		"CloudWatchLogsRoleArn": &t.LogRole, "KmsKeyId": &t.KeyID} {
		if s, ok := c.in[member].(string); ok {
			*into = s
		}
	}
	for member, into := range map[string]*bool{"IncludeGlobalServiceEvents": &t.Global, "IsMultiRegionTrail": &t.Multi, "EnableLogFileValidation": &t.Validates} {
		if b, ok := c.in[member].(bool); ok {
			*into = b
		}
	}
	switch {
	case t.Multi && !t.Global:
		return failure(400, "InvalidParameterCombinationException", "Multi-Region trail must include global service events.")
	case (t.LogGroup == "") != (t.LogRole == ""):
		return failure(400, "InvalidParameterCombinationException", "CloudWatch Logs needs both a log group and a role.")
	}
	if t.KeyID != "" {
		at, k, err := c.findKey(t.KeyID, c.now)
		if err != nil {
			return failure(400, "KmsKeyNotFoundException", "The KMS key %s does not exist or is not in the Region of the bucket.", t.KeyID)
		}
		if k.State != "Enabled" {
			return failure(400, "KmsKeyDisabledException", "The KMS key %s is not enabled.", t.KeyID)
		}
		t.KeyID = at.String()
	}
	return c.mayLogTo(*t)
}

// bucketNow finds a bucket of any account by its name; false: there is none.
func (c *call) bucketNow(name string) (bucket, bool) {
	r, ok := c.state.Buckets[name]
	if !ok {
		return bucket{}, false
	}
	b, ok := r.as(c.now)
	return b, ok && !b.Deleted && !b.Created.IsZero()
}

// mayLogTo says whether CloudTrail may write to a trail's bucket.
func (c *call) mayLogTo(t cloudTrail) error {
	b, ok := c.bucketNow(t.Bucket)
	if !ok {
		return failure(400, "S3BucketDoesNotExistException", "S3 bucket %s does not exist!", t.Bucket)
	}
	name := cmp.Or(c.str("Name"), "trail")
	ask := access{service: "cloudtrail.amazonaws.com", source: c.trailARN(c.region, name[strings.LastIndexByte(name, '/')+1:]), account: c.who.Account, acl: "bucket-owner-full-control"}
	path := "AWSLogs/" + c.who.Account + "/CloudTrail"
	if t.Prefix != "" {
		path = t.Prefix + "/" + path
	}
	for action, resource := range map[string]string{"s3:GetBucketAcl": "arn:aws:s3:::" + t.Bucket, "s3:PutObject": "arn:aws:s3:::" + t.Bucket + "/" + path} {
		if ask.action, ask.resource = action, resource; !ask.grants(c.policy(b.Policy)) {
			return failure(400, "InsufficientS3BucketPolicyException", "Incorrect S3 bucket policy is detected for bucket: %s", t.Bucket)
		}
	}
	return nil
}

func createTrail(c *call) (map[string]any, error) {
	name := c.str("Name")
	if !trailName.MatchString(name) || trailNearby.MatchString(name) || trailAddress.MatchString(name) {
		return nil, failure(400, "InvalidTrailNameException", "Trail name must have 3 to 128 characters: letters, digits, periods, underscores and dashes, no two of these in a row.")
	}
	trails := &c.home().CloudTrail.Trails
	if _, _, ok := trails.live(name, c.now); ok {
		return nil, failure(400, "TrailAlreadyExistsException", "Trail %s already exists for customer: %s", name, c.who.Account)
	}
	if len(c.trails(c.now)) >= maxTrails {
		return nil, failure(400, "MaximumNumberOfTrailsExceededException", "User: %s already has %d trails in %s.", c.who.Account, maxTrails, c.region)
	}
	t := cloudTrail{Global: true}
	var err error
	if t.Tags, err = parseTags(c.in["TagsList"]); err != nil {
		return nil, err
	}
	if err := setTrail(c, &t); err != nil {
		return nil, err
	}
	r := trails.put(name, c.now, t)
	return c.trailSet(foundTrail{name, c.region, r, t}), nil
}

func deleteTrail(c *call) (map[string]any, error) {
	out, err := changeTrail("Name", func(*call, *cloudTrail) error { return nil })(c)
	if err != nil {
		return nil, err
	}
	c.home().CloudTrail.Trails[out["Name"].(string)].end(c.now)
	return object{}, nil
}

// setLogging starts or stops a trail.
func setLogging(on bool) func(*call) (map[string]any, error) {
	change := changeTrail("Name", func(c *call, t *cloudTrail) error {
		if t.Logging = on; on {
			t.Started = c.now
		} else {
			t.Stopped = c.now
		}
		return nil
	})
	return func(c *call) (map[string]any, error) {
		_, err := change(c)
		return object{}, err
	}
}

func describeTrails(c *call) (map[string]any, error) {
	want := c.strings("trailNameList")
	shadows, given := c.in["includeShadowTrails"].(bool)
	out := []any{}
	for _, t := range c.trails(c.view) {
		arn := c.trailARN(t.home, t.name)
		switch {
		case len(want) > 0 && !slices.Contains(want, arn) && (t.home != c.region || !slices.Contains(want, t.name)):
		case len(want) == 0 && given && !shadows && t.home != c.region:
		default:
			out = append(out, c.trailOut(t))
		}
	}
	return object{"trailList": out}, nil
}

func getTrail(c *call) (map[string]any, error) {
	t, err := c.findTrail("Name", c.view)
	if err != nil {
		return nil, err
	}
	return object{"Trail": c.trailOut(t)}, nil
}

func listTrails(c *call) (map[string]any, error) {
	out := []any{}
	for _, home := range sorted(c.accountState().Regions) {
		for name := range c.accountState().Regions[home].CloudTrail.Trails.all(c.view) {
			out = append(out, object{"Name": name, "TrailARN": c.trailARN(home, name), "HomeRegion": home})
		}
	}
	return object{"Trails": out}, nil
}

func getTrailStatus(c *call) (map[string]any, error) {
	t, err := c.findTrail("Name", c.view)
	if err != nil {
		return nil, err
	}
	out := object{"IsLogging": t.Logging, "LatestDeliveryAttemptTime": "", "LatestNotificationAttemptTime": "", "LatestNotificationAttemptSucceeded": "",
		"LatestDeliveryAttemptSucceeded": "", "TimeLoggingStarted": "", "TimeLoggingStopped": ""}
	if !t.Started.IsZero() {
		out["StartLoggingTime"], out["TimeLoggingStarted"] = t.Started, t.Started.UTC().Format("2006-01-02T15:04:05Z")
	}
	if !t.Stopped.IsZero() {
		out["StopLoggingTime"], out["TimeLoggingStopped"] = t.Stopped, t.Stopped.UTC().Format("2006-01-02T15:04:05Z")
	}
	if at := t.delivered(c.view); !at.IsZero() {
		text := at.UTC().Format("2006-01-02T15:04:05Z")
		out["LatestDeliveryTime"], out["LatestDeliveryAttemptTime"], out["LatestDeliveryAttemptSucceeded"] = at, text, text
	}
	return out, nil
}

// deliveryEvery is how often CloudTrail writes to a bucket, about.
const deliveryEvery = 5 * time.Minute

// delivered is when the trail last wrote to its bucket, since it was started.
func (t cloudTrail) delivered(now time.Time) time.Time {
	if !t.Logging && t.Stopped.Before(now) {
		now = t.Stopped
	}
	rounds := now.Sub(t.Started) / deliveryEvery
	if t.Started.IsZero() || rounds < 1 {
		return time.Time{}
	}
	return t.Started.Add(rounds * deliveryEvery)
}

func getEventSelectors(c *call) (map[string]any, error) {
	t, err := c.findTrail("TrailName", c.view)
	if err != nil {
		return nil, err
	}
	out := object{"TrailARN": c.trailARN(t.home, t.name)}
	switch {
	case len(t.Advanced) > 0:
		out["AdvancedEventSelectors"] = anys(t.Advanced)
	case len(t.Selectors) > 0:
		out["EventSelectors"] = anys(t.Selectors)
	default:
		out["EventSelectors"] = []any{object{"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": []any{}, "ExcludeManagementEventSources": []any{}}}
	}
	return out, nil
}

func putEventSelectors(c *call) (map[string]any, error) {
	simple, advanced := c.objects("EventSelectors"), c.objects("AdvancedEventSelectors")
	if (len(simple) == 0) == (len(advanced) == 0) || len(simple) > 5 {
		return nil, failure(400, "InvalidEventSelectorsException", "Give up to five event selectors, or advanced event selectors, and not both.")
	}
	for i, s := range simple {
		simple[i] = object{"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": []any{}, "ExcludeManagementEventSources": []any{}}
		maps.Copy(simple[i], s)
	}
	if _, err := changeTrail("TrailName", func(_ *call, t *cloudTrail) error { t.Selectors, t.Advanced = simple, advanced; return nil })(c); err != nil {
		return nil, err
	}
	return getEventSelectors(c)
}

// trailTags serves the operations on a trail's tags.
func trailTags(change func(have, given tagSet) tagSet) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		given := tagSet{}
		for _, o := range c.objects("TagsList") {
			k, _ := o["Key"].(string)
			given[k], _ = o["Value"].(string)
		}
		_, err := changeTrail("ResourceId", func(_ *call, t *cloudTrail) error { t.Tags = change(t.Tags, given); return nil })(c)
		return object{}, err
	}
}

func listTrailTags(c *call) (map[string]any, error) {
	out := []any{}
	for _, id := range c.strings("ResourceIdList") {
		sub := *c
		sub.in = object{"Name": id}
		t, err := sub.findTrail("Name", c.view)
		if err != nil {
			return nil, err
		}
		out = append(out, object{"ResourceId": id, "TagsList": t.Tags.list()})
	}
	return object{"ResourceTagList": out}, nil
}

var cloudtrailHandlers = map[string]handler{
	"AddTags":           {"cloudtrail:AddTags", trailTags(func(have, given tagSet) tagSet { return have.with(given) })},
	"CreateTrail":       {"cloudtrail:CreateTrail", createTrail},
	"DeleteTrail":       {"cloudtrail:DeleteTrail", deleteTrail},
	"DescribeTrails":    {"cloudtrail:DescribeTrails", describeTrails},
	"GetEventSelectors": {"cloudtrail:GetEventSelectors", getEventSelectors},
	"GetTrail":          {"cloudtrail:GetTrail", getTrail},
	"GetTrailStatus":    {"cloudtrail:GetTrailStatus", getTrailStatus},
	"ListTags":          {"cloudtrail:ListTags", listTrailTags},
	"ListTrails":        {"cloudtrail:ListTrails", listTrails},
	"LookupEvents":      {"cloudtrail:LookupEvents", lookupEvents},
	"PutEventSelectors": {"cloudtrail:PutEventSelectors", putEventSelectors},
	"RemoveTags": {"cloudtrail:RemoveTags", trailTags(func(have, given tagSet) tagSet {
		out := have.with(nil)
		for k := range given {
			delete(out, k)
		}
		return out
	})},
	"StartLogging": {"cloudtrail:StartLogging", setLogging(true)},
	"StopLogging":  {"cloudtrail:StopLogging", setLogging(false)},
	"UpdateTrail":  {"cloudtrail:UpdateTrail", changeTrail("Name", setTrail)},
}
