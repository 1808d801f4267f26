package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
	"testing"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/internal/report"
)

// passing is a scan in which all that was evaluated passed.
func passing() report.Scan {
	s := estate()
	s.Findings, s.Unreadable, s.Verdicts, s.Rules, s.Places = nil, nil, nil, s.Rules[:5], s.Places[:1]
	for rule, k := range map[string]knowngood.ResourceKey{
		"encrypted-volumes": key(here, volume, "vol-1"), "sns-encrypted-kms": key(here, topic, "alarms"), "s3-public": key(here, bucket, "acme"),
		"s3-versioning": key(here, bucket, "acme"), "iam-user-mfa-enabled": key(here, user, "AIDA1"),
	} {
		s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: rule, Resource: k, Compliance: knowngood.Compliant, Time: began})
	}
	return s
}

// gap is something that is not known of one rule.
type gap struct {
	rule, pack, control string
	in                  func(*report.Scan)
}

func gaps() map[string]gap {
	denied := func(e knowngood.ReadError) func(*report.Scan) {
		return func(s *report.Scan) { s.Unreadable = []knowngood.ReadError{e} }
	}
	member := knowngood.ReadError{Place: here, Type: bucket, ID: "acme-2", Path: "supplementaryConfiguration.PublicAccessBlockConfiguration", Service: "s3", Operation: "GetPublicAccessBlock", Code: "AccessDenied"}
	return map[string]gap{
		"a service is denied":  {"sns-encrypted-kms", "encryption", "SNS.1", denied(knowngood.ReadError{Place: here, Type: topic, Service: "sns", Operation: "ListTopics", Code: "AuthorizationError"})},
		"a Region is down":     {"encrypted-volumes", "encryption", "EC2.3", denied(knowngood.ReadError{Place: down, Type: volume, Service: "ec2", Operation: "DescribeVolumes", Code: "NoResponse"})},
		"a resource is denied": {"iam-user-mfa-enabled", "identity", "IAM.19", denied(knowngood.ReadError{Place: here, Type: user, ID: "AIDA2", Service: "iam", Operation: "GetUser", Code: "AccessDenied"})},
		"a member is denied": {"s3-public", "baseline", "S3.8", func(s *report.Scan) {
			denied(member)(s)
			s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: "s3-public", Resource: key(here, bucket, "acme-2"), Compliance: knowngood.InsufficientData, Annotation: "it could not be read", Time: began})
		}},
		"an expression fails": {"s3-versioning", "baseline", "S3.14", func(s *report.Scan) {
			s.Verdicts = append(s.Verdicts, knowngood.Evaluation{Rule: "s3-versioning", Resource: key(here, bucket, "acme-2"), Compliance: knowngood.InsufficientData, Annotation: "no such member", Time: began})
		}},
		"a rule is missing": {"sns-encrypted-kms", "encryption", "SNS.1", func(s *report.Scan) {
			for i := range s.Rules {
				if s.Rules[i].Name == "sns-encrypted-kms" {
					s.Rules[i].Missing = "the library has no such rule"
				}
			}
			for i := range s.Verdicts {
				if s.Verdicts[i].Rule == "sns-encrypted-kms" {
					s.Verdicts[i].Compliance = knowngood.NotApplicable
				}
			}
		}},
	}
}

// Nothing of which something is not known is green, in any format; all else is.
func TestNothingUnknownIsGreen(t *testing.T) {
	for name, g := range gaps() {
		t.Run(name, func(t *testing.T) {
			s := passing()
			g.in(&s)
			for format, green := range greens(t, s) {
				for _, of := range []string{"rule " + g.rule, "pack " + g.pack, "control " + g.control, "all"} {
					if value, known := green[of]; value || !known {
						t.Errorf("%s: %s is green %v, known %v", format, of, value, known)
					}
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		for format, green := range greens(t, passing()) {
			for of, value := range green {
				if !value {
					t.Errorf("%s: %s is not green", format, of)
				}
			}
		}
	})
}

// greens reads from each format what a reader takes for passed.
func greens(t *testing.T, s report.Scan) map[string]map[string]bool {
	t.Helper()
	return map[string]map[string]bool{
		"csv": csvGreens(t, s), "html": htmlGreens(t, s), "sarif": sarifGreens(t, s), "junit": junitGreens(t, s), "ocsf": ocsfGreens(t, s), "asff": asffGreens(t, s), "table": tableGreens(t, s),
	}
}

// seen notes a result of a rule: a group is green until one of it is not.
func seen(green map[string]bool, s report.Scan, rule string, passed bool) {
	for _, r := range s.Rules {
		if r.Name != rule {
			continue
		}
		of := []string{"all", "rule " + r.Name, "pack " + r.Pack}
		for _, c := range r.Controls {
			of = append(of, "control "+c)
		}
		for _, name := range of {
			was, known := green[name]
			green[name] = passed && (was || !known)
		}
	}
}

func csvGreens(t *testing.T, s report.Scan) map[string]bool {
	records, err := csv.NewReader(bytes.NewReader(written(t, report.CSV, s))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	green := map[string]bool{}
	for _, r := range records[1:] {
		seen(green, s, r[2], r[0] == "PASSED")
	}
	return green
}

func htmlGreens(t *testing.T, s report.Scan) map[string]bool {
	page := string(written(t, report.HTML, s))
	green := map[string]bool{"all": strings.Contains(page, "Everything was read and evaluated.") && strings.Contains(page, ">100%<")}
	for _, m := range regexp.MustCompile(`<tr><th scope="row"><bdi>([^<]*)</bdi></th><td><span class="status (\w+)">`).FindAllStringSubmatch(page, -1) {
		green["pack "+m[1]], green["control "+m[1]] = m[2] == "passed", m[2] == "passed"
	}
	for _, m := range regexp.MustCompile(`<tr id="rule-\d+"><th scope="row">(?:<a [^>]*>|<bdi>)([^<]*)<.*?<span class="status (\w+)">`).FindAllStringSubmatch(page, -1) {
		green["rule "+m[1]] = m[2] == "passed"
	}
	return green
}

func sarifGreens(t *testing.T, s report.Scan) map[string]bool {
	var log struct {
		Runs []struct {
			Invocations []struct {
				Successful    bool `json:"executionSuccessful"`
				Notifications []struct {
					Rule struct {
						ID string `json:"id"`
					} `json:"associatedRule"`
				} `json:"toolExecutionNotifications"`
			} `json:"invocations"`
			Tool struct {
				Driver struct {
					Rules []struct {
						ID string `json:"id"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Results []struct {
				RuleID string `json:"ruleId"`
			} `json:"results"`
			Properties struct {
				Posture report.Posture `json:"posture"`
			} `json:"properties"`
		} `json:"runs"`
	}
	if err := json.Unmarshal(written(t, report.SARIF, s), &log); err != nil {
		t.Fatal(err)
	}
	run, green := log.Runs[0], map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		seen(green, s, r.ID, true) // unless something says otherwise
	}
	for _, n := range run.Invocations[0].Notifications {
		seen(green, s, n.Rule.ID, false)
	}
	for _, r := range run.Results {
		seen(green, s, r.RuleID, false)
	}
	for _, g := range run.Properties.Posture.Packs {
		green["pack "+g.Name] = green["pack "+g.Name] && g.Status == report.Passed
	}
	for _, g := range run.Properties.Posture.Controls {
		green["control "+g.Name] = green["control "+g.Name] && g.Status == report.Passed
	}
	green["all"] = green["all"] && run.Invocations[0].Successful
	return green
}

func junitGreens(t *testing.T, s report.Scan) map[string]bool {
	var doc struct {
		Suites []struct {
			Name  string `xml:"name,attr"`
			Cases []struct {
				Class   string    `xml:"classname,attr"`
				Failure *struct{} `xml:"failure"`
				Error   *struct{} `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(written(t, report.JUnit, s), &doc); err != nil {
		t.Fatal(err)
	}
	green := map[string]bool{}
	for _, suite := range doc.Suites {
		for _, c := range suite.Cases {
			seen(green, s, strings.TrimPrefix(c.Class, suite.Name+"."), c.Failure == nil && c.Error == nil)
		}
	}
	return green
}

func ocsfGreens(t *testing.T, s report.Scan) map[string]bool {
	green := map[string]bool{}
	for _, doc := range documents(t, report.OCSF, s) {
		c := doc.(map[string]any)["compliance"].(map[string]any)
		seen(green, s, c["control"].(string), c["status"] == "Pass")
	}
	return green
}

func asffGreens(t *testing.T, s report.Scan) map[string]bool {
	green := map[string]bool{}
	for _, doc := range documents(t, report.ASFF, s) {
		for _, f := range doc.(map[string]any)["Findings"].([]any) {
			f := f.(map[string]any)
			rule := f["ProductFields"].(map[string]any)["ConfigRuleName"].(string)
			seen(green, s, rule, f["Compliance"].(map[string]any)["Status"] == "PASSED")
		}
	}
	return green
}

// tableGreens reads the groups and the lines of what is not known; a rule is green
// where none names it or its type.
func tableGreens(t *testing.T, s report.Scan) map[string]bool {
	text := table(t, s, report.Look{})
	green := map[string]bool{"all": strings.HasSuffix(text, ", 0 failed, 0 not evaluated, 0 unreadable\n")}
	for _, m := range regexp.MustCompile(`(?m)^  (?:by \w+)? +(\S+) +(passed|failed|not evaluated|not wholly evaluated|no resources)\b`).FindAllStringSubmatch(text, -1) {
		green["pack "+m[1]], green["control "+m[1]] = m[2] == "passed", m[2] == "passed"
	}
	for _, r := range s.Rules {
		green["rule "+r.Name] = green["control "+r.Controls[0]] // the table has no groups by rule
	}
	return green
}
