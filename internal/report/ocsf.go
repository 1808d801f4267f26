package report

import (
	"cmp"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/knowngood/knowngood"
)

// The parts of OCSF's class Compliance Finding that are written. Source: the Open
// Cybersecurity Schema Framework, version 1.5.0, class 2003 with the profile cloud.
type (
	ocsfFinding struct {
		ActivityID   int             `json:"activity_id"`
		ActivityName string          `json:"activity_name"`
		CategoryUID  int             `json:"category_uid"`
		CategoryName string          `json:"category_name"`
		ClassUID     int             `json:"class_uid"`
		ClassName    string          `json:"class_name"`
		TypeUID      int             `json:"type_uid"`
		TypeName     string          `json:"type_name"`
		Time         int64           `json:"time"`
		SeverityID   int             `json:"severity_id"`
		Severity     string          `json:"severity"`
		StatusID     int             `json:"status_id"`
		Status       string          `json:"status"`
		Message      string          `json:"message"`
		Metadata     ocsfMetadata    `json:"metadata"`
		Cloud        ocsfCloud       `json:"cloud"`
		Info         ocsfInfo        `json:"finding_info"`
		Compliance   ocsfCompliance  `json:"compliance"`
		Resources    []ocsfResource  `json:"resources"`
		Remediation  ocsfRemediation `json:"remediation"`
	}
	ocsfMetadata struct {
		Version   string      `json:"version"`
		Product   ocsfProduct `json:"product"`
		Profiles  []string    `json:"profiles"`
		EventCode string      `json:"event_code"`
		UID       string      `json:"uid"`
	}
	ocsfProduct struct {
		Name    string `json:"name"`
		Vendor  string `json:"vendor_name"`
		Version string `json:"version,omitempty"`
	}
	ocsfCloud struct {
		Provider  string      `json:"provider"`
		Account   ocsfAccount `json:"account"`
		Region    string      `json:"region,omitempty"`
		Partition string      `json:"cloud_partition,omitempty"`
	}
	ocsfAccount struct {
		UID    string `json:"uid"`
		Type   string `json:"type"`
		TypeID int    `json:"type_id"`
	}
	ocsfInfo struct {
		UID       string   `json:"uid"`
		Title     string   `json:"title"`
		Desc      string   `json:"desc,omitempty"`
		Types     []string `json:"types"`
		Created   int64    `json:"created_time,omitempty"`
		FirstSeen int64    `json:"first_seen_time,omitempty"`
		LastSeen  int64    `json:"last_seen_time"`
	}
	ocsfCompliance struct {
		Control      string   `json:"control"`
		Standards    []string `json:"standards,omitempty"`
		Requirements []string `json:"requirements,omitempty"`
		StatusID     int      `json:"status_id"`
		Status       string   `json:"status"`
		Details      []string `json:"status_details,omitempty"`
		Code         string   `json:"status_code,omitempty"`
	}
	ocsfResource struct {
		UID       string `json:"uid"`
		Name      string `json:"name,omitempty"`
		Type      string `json:"type"`
		Region    string `json:"region,omitempty"`
		Partition string `json:"cloud_partition,omitempty"`
	}
	ocsfRemediation struct {
		Desc       string   `json:"desc"`
		References []string `json:"references,omitempty"`
	}
)

// captioned is a number of an enumeration and what it stands for.
type captioned struct {
	id      int
	caption string
}

var (
	ocsfSeverities = map[knowngood.Severity]captioned{
		knowngood.Informational: {1, "Informational"}, knowngood.Low: {2, "Low"}, knowngood.Medium: {3, "Medium"}, knowngood.High: {4, "High"}, knowngood.Critical: {5, "Critical"},
	}
	// A warning says that the check gave no result for want of information.
	ocsfStatuses = map[Status]captioned{Passed: {1, "Pass"}, NotEvaluated: {2, "Warning"}, Failed: {3, "Fail"}}
)

// writeOCSF writes one event for each result, a line each.
func writeOCSF(w io.Writer, r *Report) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for i := range r.Results {
		if err := enc.Encode(ocsfOf(r, &r.Results[i])); err != nil {
			return err
		}
	}
	return nil
}

func ocsfOf(r *Report, res *Result) ocsfFinding {
	partition := partitionOf(r, res.Resource)
	severity, status, life := ocsfSeverities[knowngood.Informational], ocsfStatuses[res.Status], ocsfLife(res)
	if res.Status == Failed {
		severity = ocsfSeverities[res.Severity()]
	}
	activity := captioned{1, "Create"}
	info := ocsfInfo{UID: res.ID(), Title: res.Title(), Desc: res.Annotation, Types: []string{findingType}, LastSeen: milli(r.Began)}
	if f := res.Finding; f != nil {
		info.Created, info.FirstSeen = milli(f.Opened), milli(f.Opened)
		if f.Opened.Before(r.Began) {
			activity = captioned{2, "Update"}
		}
	}
	compliance := ocsfCompliance{Control: res.Rule.Name, StatusID: status.id, Status: status.caption, Code: res.Code}
	for _, c := range res.Rule.Controls {
		standard, _, isStandard := strings.Cut(c, "/")
		if !isStandard {
			standard = "AWS Security Hub"
		}
		if n := len(compliance.Standards); n == 0 || compliance.Standards[n-1] != standard {
			compliance.Standards = append(compliance.Standards, standard)
		}
		compliance.Requirements = append(compliance.Requirements, c)
	}
	if res.Annotation != "" {
		compliance.Details = []string{res.Annotation}
	}
	out := ocsfFinding{
		ActivityID: activity.id, ActivityName: activity.caption, CategoryUID: 2, CategoryName: "Findings", ClassUID: 2003, ClassName: "Compliance Finding",
		TypeUID: 200300 + activity.id, TypeName: "Compliance Finding: " + activity.caption, Time: milli(cmpTime(res.Time, r.Began)),
		SeverityID: severity.id, Severity: severity.caption, StatusID: life.id, Status: life.caption, Message: cmp.Or(res.Annotation, res.Title()),
		Metadata: ocsfMetadata{Version: "1.5.0", Product: ocsfProduct{"knowngood", "knowngood", r.Version}, Profiles: []string{"cloud"}, EventCode: res.Rule.Name, UID: res.ID()},
		Cloud:    ocsfCloud{Provider: "AWS", Account: ocsfAccount{res.Resource.Account, "AWS Account", 10}, Region: res.Resource.Region, Partition: partition},
		Info:     info, Compliance: compliance,
		Resources:   []ocsfResource{{UID: res.Name(), Name: res.Resource.ID, Type: res.Resource.Type, Region: res.Resource.Region, Partition: partition}},
		Remediation: ocsfRemediation{Desc: adviceOn(res)},
	}
	if page := res.Rule.page(); page != "" {
		out.Remediation.References = []string{page}
	}
	return out
}

// ocsfLife is where the finding stands in the hands of people.
func ocsfLife(res *Result) captioned {
	switch {
	case res.Suppressed():
		return captioned{3, "Suppressed"}
	case res.Status == Passed:
		return captioned{4, "Resolved"}
	case res.Finding != nil && (res.Finding.State == knowngood.FindingWaiting || res.Finding.State == knowngood.FindingRemediating):
		return captioned{2, "In Progress"}
	}
	return captioned{1, "New"}
}

// adviceOn says what to do about a result.
func adviceOn(res *Result) string {
	switch {
	case res.Status == NotEvaluated && res.Code != "":
		return "Let the scan's principal make the call that failed, and scan again."
	case res.Status == NotEvaluated:
		return "Nothing is known of it; look at the reason, and scan again."
	case res.Status == Failed:
		return "knowngood plan " + res.ID() + " shows the calls that would fix it."
	}
	return "Nothing is to be done."
}

func milli(t time.Time) int64 { return t.UnixMilli() }

func cmpTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

// partitionOf is the partition of a resource's Region, as far as one was scanned in it.
func partitionOf(r *Report, k knowngood.ResourceKey) string {
	partition := "aws"
	for i, p := range r.Places {
		if i == 0 || p.Region == k.Region {
			partition = cmp.Or(p.Partition, partition)
		}
	}
	return partition
}
