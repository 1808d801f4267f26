package sandbox

import (
	"slices"
	"strings"
	"time"
)

// configState is what config has in one account and Region.
type configState struct {
	Recorders    table[recorder]             `json:"recorders,omitempty"`    // by name; there is one at most at a time
	Channels     table[channel]              `json:"channels,omitempty"`     // by name
	Rules        table[configRule]           `json:"rules,omitempty"`        // by name
	Results      table[complianceResult]     `json:"results,omitempty"`      // by rule, resource type and id
	Tokens       map[string]string           `json:"resultTokens,omitempty"` // to the names of rules
	Aggregators  table[aggregator]           `json:"aggregators,omitempty"`  // by name
	Packs        table[conformancePack]      `json:"conformancePacks,omitempty"`
	Remediations table[structure]            `json:"remediations,omitempty"` // by rule
	Exceptions   table[remediationException] `json:"remediationExceptions,omitempty"`
}

// recorder is a configuration recorder.
type recorder struct {
	ID        string    `json:"id"`
	Settings  structure `json:"settings"` // as PutConfigurationRecorder had them
	Recording bool      `json:"recording"`
	Started   time.Time `json:"started,omitzero"`
	Stopped   time.Time `json:"stopped,omitzero"`
}

type channel struct {
	Settings structure `json:"settings"`
}

// wrongParameter is how Config refuses a value.
func wrongParameter(format string, args ...any) error {
	return failure(400, "InvalidParameterValueException", format, args...)
}

// recorder gives the Region's recorder as of a time; false: there is none.
func (c *call) recorder(at time.Time) (string, recorder, bool) {
	for name, r := range c.home().Config.Recorders.all(at) {
		return name, r, true
	}
	return "", recorder{}, false
}

func noRecorder() error {
	return failure(400, "NoAvailableConfigurationRecorderException", "There are no configuration recorders available to provide the role needed to describe your resources. Create a configuration recorder.")
}

// globalTypes are recorded only where the recorder says so.
// Source: AWS Config Developer Guide, "Recording global resources".
var globalTypes = []string{"AWS::IAM::Group", "AWS::IAM::Policy", "AWS::IAM::Role", "AWS::IAM::User"}

// records says whether a recorder records a type.
func (r recorder) records(resourceType string) bool {
	group, _ := r.Settings["recordingGroup"].(object)
	if group == nil { // of the default, global types are no part
		return !slices.Contains(globalTypes, resourceType)
	}
	strategy := lookupText(group, "recordingStrategy.useOnly")
	excluded := texts(lookup(group, "exclusionByResourceTypes.resourceTypes"))
	switch {
	case len(excluded) > 0 || strategy == "EXCLUSION_BY_RESOURCE_TYPES":
		return !slices.Contains(excluded, resourceType)
	case group["allSupported"] == true || strategy == "ALL_SUPPORTED_RESOURCE_TYPES":
		return !slices.Contains(globalTypes, resourceType) || group["includeGlobalResourceTypes"] == true
	}
	return slices.Contains(texts(group["resourceTypes"]), resourceType)
}

// checkGroup refuses a recording group that contradicts itself.
// Source: AWS Config API Reference, RecordingGroup.
func checkGroup(group object) error {
	wrong := func(format string, args ...any) error {
		return failure(400, "InvalidRecordingGroupException", format, args...)
	}
	types := texts(group["resourceTypes"])
	excluded := texts(lookup(group, "exclusionByResourceTypes.resourceTypes"))
	all := group["allSupported"] == true
	strategy := lookupText(group, "recordingStrategy.useOnly")
	switch {
	case all && (len(types) > 0 || len(excluded) > 0):
		return wrong("The recording group provided is not valid: allSupported can't be combined with a list of resource types.")
	case len(types) > 0 && len(excluded) > 0:
		return wrong("The recording group provided is not valid: give either resource types to record or those to leave out.")
	case !all && group["includeGlobalResourceTypes"] == true && len(excluded) == 0:
		return wrong("The recording group provided is not valid: includeGlobalResourceTypes needs allSupported.")
	case !all && len(types) == 0 && len(excluded) == 0 && strategy != "EXCLUSION_BY_RESOURCE_TYPES":
		return wrong("The recording group provided is not valid: it records nothing.")
	case strategy == "INCLUSION_BY_RESOURCE_TYPES" && len(types) == 0, strategy == "ALL_SUPPORTED_RESOURCE_TYPES" && !all:
		return wrong("The recording group provided is not valid: its strategy is %s.", strategy)
	}
	return nil
}

func putRecorder(c *call) (map[string]any, error) {
	settings := copied(c.object("ConfigurationRecorder")).(object)
	name, _ := settings["name"].(string)
	if name == "" {
		name = "default"
	}
	settings["name"] = name
	if old, _, ok := c.recorder(c.now); ok && old != name {
		return nil, failure(400, "MaxNumberOfConfigurationRecordersExceededException", "Failed to put configuration recorder '%s' because the maximum number of configuration recorders: 1 is reached.", name)
	}
	if role, _ := settings["roleARN"].(string); !functionRole.MatchString(role) {
		return nil, failure(400, "InvalidRoleException", "You have provided an invalid role: '%s'.", role)
	}
	if group, ok := settings["recordingGroup"].(object); ok {
		if err := checkGroup(group); err != nil {
			return nil, err
		}
	}
	if r, _, ok := c.home().Config.Recorders.live(name, c.now); ok {
		r.change(c.now, func(r *recorder) { r.Settings = settings })
		return object{}, nil
	}
	c.home().Config.Recorders.put(name, c.now, recorder{ID: c.id("", 16), Settings: settings})
	return object{}, nil
}

func (c *call) recorderOut(r recorder) object {
	out := copied(r.Settings).(object)
	name, _ := out["name"].(string)
	out["arn"] = "arn:aws:config:" + c.region + ":" + c.who.Account + ":configuration-recorder/" + name + "/" + r.ID
	if out["recordingGroup"] == nil {
		out["recordingGroup"] = object{"allSupported": true, "includeGlobalResourceTypes": false, "resourceTypes": []any{}, "exclusionByResourceTypes": object{"resourceTypes": []any{}},
			"recordingStrategy": object{"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"}}
	}
	if out["recordingMode"] == nil {
		out["recordingMode"] = object{"recordingFrequency": "CONTINUOUS", "recordingModeOverrides": []any{}}
	}
	out["recordingScope"] = "PAID"
	return out
}

// eachRecorder answers for the recorders that a call names, or for all.
func eachRecorder(key string, look func(*call, string, recorder) object) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		out, names := []any{}, c.strings("ConfigurationRecorderNames")
		for name, r := range c.home().Config.Recorders.all(c.view) {
			if len(names) == 0 || slices.Contains(names, name) {
				out = append(out, look(c, name, r))
			}
		}
		if len(out) < len(names) {
			return nil, failure(400, "NoSuchConfigurationRecorderException", "Cannot find configuration recorder with the specified name '%s'.", strings.Join(names, ", "))
		}
		return object{key: out}, nil
	}
}

func recorderStatus(c *call, name string, r recorder) object {
	out := object{"name": name, "arn": c.recorderOut(r)["arn"], "recording": r.Recording}
	last := r.Started
	if !r.Started.IsZero() {
		out["lastStartTime"] = r.Started
	}
	if !r.Stopped.IsZero() {
		out["lastStopTime"] = r.Stopped
		if r.Stopped.After(last) {
			last = r.Stopped
		}
	}
	if !last.IsZero() {
		out["lastStatus"], out["lastStatusChangeTime"] = "Success", last
		if r.Recording && c.view.Before(r.Started.Add(recordingDelay)) {
			out["lastStatus"] = "Pending"
		}
	}
	return out
}

// setRecording starts or stops a recorder.
func setRecording(on bool) func(*call) (map[string]any, error) {
	return func(c *call) (map[string]any, error) {
		name := c.str("ConfigurationRecorderName")
		r, v, ok := c.home().Config.Recorders.live(name, c.now)
		if !ok {
			return nil, failure(400, "NoSuchConfigurationRecorderException", "Cannot find configuration recorder with the specified name '%s'.", name)
		}
		if _, has := c.channel(c.now); on && !has {
			return nil, failure(400, "NoAvailableDeliveryChannelException", "Delivery channel is not available to start configuration recorder.")
		}
		if v.Recording == on {
			return object{}, nil
		}
		r.change(c.now, func(r *recorder) {
			if r.Recording = on; on {
				r.Started = c.now
			} else {
				r.Stopped = c.now
			}
		})
		return object{}, nil
	}
}

func deleteRecorder(c *call) (map[string]any, error) {
	name := c.str("ConfigurationRecorderName")
	r, _, ok := c.home().Config.Recorders.live(name, c.now)
	if !ok {
		return nil, failure(400, "NoSuchConfigurationRecorderException", "Cannot find configuration recorder with the specified name '%s'.", name)
	}
	r.end(c.now)
	return object{}, nil
}

func (c *call) channel(at time.Time) (string, bool) {
	for name := range c.home().Config.Channels.all(at) {
		return name, true
	}
	return "", false
}

func putChannel(c *call) (map[string]any, error) {
	settings := copied(c.object("DeliveryChannel")).(object)
	name, _ := settings["name"].(string)
	if name == "" {
		name = "default"
	}
	settings["name"] = name
	if _, _, ok := c.recorder(c.now); !ok {
		return nil, failure(400, "NoAvailableConfigurationRecorderException", "Configuration recorder is not available to put delivery channel.")
	}
	if old, ok := c.channel(c.now); ok && old != name {
		return nil, failure(400, "MaxNumberOfDeliveryChannelsExceededException", "Failed to put delivery channel '%s' because the maximum number of delivery channels: 1 is reached.", name)
	}
	bucketName, _ := settings["s3BucketName"].(string)
	if r, ok := c.state.Buckets[bucketName]; ok {
		b, there := r.as(c.now)
		ok = there && !b.Deleted
		if ok && (b.Owner != c.who.Account) && b.Policy == "" {
			return nil, failure(400, "InsufficientDeliveryPolicyException", "Insufficient delivery policy to s3 bucket: %s, unable to write to bucket.", bucketName)
		}
		if !ok {
			return nil, failure(400, "NoSuchBucketException", "Cannot find a S3 bucket with an empty bucket name or the bucket %s does not exist.", bucketName)
		}
	} else {
		return nil, failure(400, "NoSuchBucketException", "Cannot find a S3 bucket with an empty bucket name or the bucket %s does not exist.", bucketName)
	}
	if r, _, ok := c.home().Config.Channels.live(name, c.now); ok {
		r.change(c.now, func(ch *channel) { ch.Settings = settings })
		return object{}, nil
	}
	c.home().Config.Channels.put(name, c.now, channel{settings})
	return object{}, nil
}

func describeChannels(c *call) (map[string]any, error) {
	out, names := []any{}, c.strings("DeliveryChannelNames")
	for name, ch := range c.home().Config.Channels.all(c.view) {
		if len(names) == 0 || slices.Contains(names, name) {
			out = append(out, copied(ch.Settings))
		}
	}
	if len(out) < len(names) {
		return nil, failure(400, "NoSuchDeliveryChannelException", "Cannot find delivery channel with specified name '%s'.", strings.Join(names, ", "))
	}
	return object{"DeliveryChannels": out}, nil
}

func deleteChannel(c *call) (map[string]any, error) {
	name := c.str("DeliveryChannelName")
	r, _, ok := c.home().Config.Channels.live(name, c.now)
	if !ok {
		return nil, failure(400, "NoSuchDeliveryChannelException", "Cannot find delivery channel with specified name '%s'.", name)
	}
	if _, rec, ok := c.recorder(c.now); ok && rec.Recording {
		return nil, failure(400, "LastDeliveryChannelDeleteFailedException", "Failed to delete last specified delivery channel with name '%s', because there, because there is a running configuration recorder.", name)
	}
	r.end(c.now)
	return object{}, nil
}

// configPage cuts a list by Limit and NextToken; 0 of Limit is the default.
func (c *call) configPage(list []any, usual, most int64) (page []any, next string, err error) {
	limit, token := usual, c.str("NextToken")
	for _, name := range []string{"Limit", "limit", "MaxResults"} {
		if n, ok := c.int(name); ok && n != 0 {
			if n < 0 || n > most {
				return nil, "", failure(400, "InvalidLimitException", "Limit must be from 0 to %d.", most)
			}
			limit = n
		}
	}
	if t := c.str("nextToken"); t != "" {
		token = t
	}
	page, next, ok := slicePage(list, token, limit)
	if !ok {
		return nil, "", failure(400, "InvalidNextTokenException", "The nextToken provided is invalid")
	}
	return page, next, nil
}

var configHandlers = merged(map[string]handler{
	"DeleteConfigurationRecorder": {"config:DeleteConfigurationRecorder", deleteRecorder},
	"DeleteDeliveryChannel":       {"config:DeleteDeliveryChannel", deleteChannel},
	"DescribeConfigurationRecorders": {"config:DescribeConfigurationRecorders", eachRecorder("ConfigurationRecorders",
		func(c *call, _ string, r recorder) object { return c.recorderOut(r) })},
	"DescribeConfigurationRecorderStatus": {"config:DescribeConfigurationRecorderStatus", eachRecorder("ConfigurationRecordersStatus", recorderStatus)},
	"DescribeDeliveryChannels":            {"config:DescribeDeliveryChannels", describeChannels},
	"PutConfigurationRecorder":            {"config:PutConfigurationRecorder", putRecorder},
	"PutDeliveryChannel":                  {"config:PutDeliveryChannel", putChannel},
	"StartConfigurationRecorder":          {"config:StartConfigurationRecorder", setRecording(true)},
	"StopConfigurationRecorder":           {"config:StopConfigurationRecorder", setRecording(false)},
}, configAggregateHandlers, configItemHandlers, configQueryHandlers, configRuleHandlers, configComplianceHandlers, configRemediationHandlers, configPackHandlers)

// check refuses a snapshot with holes.
func (s configState) check() error {
	return first(whole("configuration recorder", s.Recorders), whole("delivery channel", s.Channels), whole("Config rule", s.Rules), whole("compliance result", s.Results),
		whole("aggregator", s.Aggregators), whole("conformance pack", s.Packs), whole("remediation", s.Remediations), whole("remediation exception", s.Exceptions))
}
