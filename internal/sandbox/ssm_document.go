package sandbox

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// document is a document of Systems Manager with all its versions.
type document struct {
	Created  time.Time         `json:"created"`
	Type     string            `json:"type"`
	Target   string            `json:"targetType,omitempty"`
	Versions []documentVersion `json:"versions"`
	Default  int               `json:"defaultVersion"`
	Status   string            `json:"status"` // Creating, Updating, Active
	Tags     tagSet            `json:"tags,omitempty"`
	Shared   []string          `json:"sharedWith,omitempty"` // accounts; "all"
	// Amazon says that it is one of AWS's own, which the sandbox doesn't store.
	Amazon bool `json:"-"`
}

type documentVersion struct {
	Number  int       `json:"number"`
	Name    string    `json:"name,omitempty"`
	Display string    `json:"displayName,omitempty"`
	Format  string    `json:"format"`
	Content string    `json:"content"`
	Created time.Time `json:"created"`
}

// documentChange is how long it takes to make or change a document. It can be
// used meanwhile.
const documentChange = time.Second

// Limits of documents. Source: AWS General Reference, "AWS Systems Manager
// endpoints and quotas".
const (
	maxDocumentBytes    = 64 << 10
	maxDocumentVersions = 1000
)

var (
	documentName        = patternOf(`^[a-zA-Z0-9_\-.]{3,128}$`)
	documentVersionName = patternOf(`^[a-zA-Z0-9_\-.]{1,128}$`)
)

// documentPrefixes begin the names of AWS's own documents.
// Source: Systems Manager API Reference, "CreateDocument".
var documentPrefixes = []string{"aws", "amazon", "amzn", "AWSEC2", "AWSConfigRemediation", "AWSSupport"}

// latest is the newest version.
func (d document) latest() documentVersion { return d.Versions[len(d.Versions)-1] }

// version finds a version by its number, $LATEST, $DEFAULT, or "" for the
// default.
func (d document) version(name string) (documentVersion, bool) {
	n := d.Default
	switch name {
	case "", "$DEFAULT":
	case "$LATEST":
		return d.latest(), true
	default:
		var err error
		if n, err = strconv.Atoi(name); err != nil {
			return documentVersion{}, false
		}
	}
	i := slices.IndexFunc(d.Versions, func(v documentVersion) bool { return v.Number == n })
	if i < 0 {
		return documentVersion{}, false
	}
	return d.Versions[i], true
}

// amazonDocument is one of AWS's own documents: one that the sandbox runs itself,
// or one of Options.Documents.
func (s *Sandbox) amazonDocument(name string) (document, bool) {
	content, ok := amazonCommands[name]
	format, kind := "YAML", "Command"
	if !ok && s.documents != nil && documentName.MatchString(name) {
		for ext, f := range map[string]string{".yaml": "YAML", ".json": "JSON"} {
			if raw, err := fs.ReadFile(s.documents, name+ext); err == nil {
				content, format, kind, ok = string(raw), f, "Automation", true
			}
		}
	}
	return document{Amazon: true, Type: kind, Status: "Active", Default: 1, Versions: []documentVersion{{Number: 1, Format: format, Content: content}}}, ok
}

// findDocument finds a document by its name or ARN.
func (c *call) findDocument(name string, at time.Time) (string, document, error) {
	if i := strings.LastIndex(name, ":document/"); strings.HasPrefix(name, "arn:") && i >= 0 {
		name = name[i+len(":document/"):]
	}
	if _, d, ok := c.home().SSM.Documents.live(name, at); ok {
		return name, d, nil
	}
	if d, ok := c.amazonDocument(name); ok {
		return name, d, nil
	}
	return name, document{}, failure(400, "InvalidDocument", "Document with name %s does not exist.", name)
}

// findDocumentVersion finds a version of a document by number or by its name.
func (c *call) findDocumentVersion(at time.Time) (string, document, documentVersion, error) {
	name, d, err := c.findDocument(c.str("Name"), at)
	if err != nil {
		return "", d, documentVersion{}, err
	}
	v, ok := d.version(c.str("DocumentVersion"))
	if label := c.str("VersionName"); label != "" {
		i := slices.IndexFunc(d.Versions, func(v documentVersion) bool { return v.Name == label })
		if ok = ok && i >= 0; ok && c.str("DocumentVersion") != "" {
			ok = d.Versions[i].Number == v.Number
		}
		if ok {
			v = d.Versions[i]
		}
	}
	if !ok {
		return "", d, v, failure(400, "InvalidDocumentVersion", "The document version is not valid or does not exist.")
	}
	return name, d, v, nil
}

// ownDocument finds a document that the account may change.
func (c *call) ownDocument() (*record[document], document, error) {
	name := c.str("Name")
	r, d, ok := c.home().SSM.Documents.live(name, c.now)
	if !ok {
		if _, amazon := c.amazonDocument(name); amazon {
			return nil, d, failure(400, "InvalidDocument", "The document %s is owned by Amazon.", name)
		}
		return nil, d, failure(400, "InvalidDocument", "Document with name %s does not exist.", name)
	}
	return r, d, nil
}

func contentHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func (c *call) documentOut(name string, d document, v documentVersion) object {
	content, err := parseContent(v)
	if err != nil {
		content = documentContent{} // what is stored was read before
	}
	out := object{"Name": name, "Owner": c.who.Account, "CreatedDate": v.Created, "Status": d.Status, "DocumentVersion": strconv.Itoa(v.Number), "DocumentType": d.Type,
		"SchemaVersion": content.Schema, "LatestVersion": strconv.Itoa(d.latest().Number), "DefaultVersion": strconv.Itoa(d.Default), "DocumentFormat": v.Format,
		"Hash": contentHash(v.Content), "HashType": "Sha256", "PlatformTypes": anys(content.platforms()), "Tags": d.Tags.list()}
	if d.Amazon {
		out["Owner"] = "Amazon"
		delete(out, "CreatedDate")
	}
	parameters := []any{}
	for _, p := range content.Parameters {
		parameters = append(parameters, p.out())
	}
	if len(parameters) > 0 {
		out["Parameters"] = parameters
	}
	return withTexts(out, map[string]string{"Description": content.Description, "VersionName": v.Name, "DisplayName": v.Display, "TargetType": d.Target})
}

// newVersion reads a version from a call and checks its content.
func (c *call) newVersion(kind string) (documentVersion, error) {
	v := documentVersion{Format: cmp.Or(c.str("DocumentFormat"), "JSON"), Content: c.str("Content"), Name: c.str("VersionName"), Display: c.str("DisplayName"), Created: c.now}
	if v.Name != "" && !documentVersionName.MatchString(v.Name) {
		return v, invalid("1 validation error detected: Value '%s' at 'versionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_\\-.]{1,128}", v.Name)
	}
	if len(v.Content) > maxDocumentBytes {
		return v, failure(400, "MaxDocumentSizeExceeded", "The size limit of a document is 64 KB.")
	}
	content, err := parseContent(v)
	if err != nil {
		return v, failure(400, "InvalidDocumentContent", "%v", err)
	}
	return v, content.check(kind)
}

func createDocument(c *call) (map[string]any, error) {
	name, kind := c.str("Name"), cmp.Or(c.str("DocumentType"), "Command")
	if !documentName.MatchString(name) {
		return nil, invalid("1 validation error detected: Value '%s' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9_\\-.]{3,128}$", name)
	}
	for _, p := range documentPrefixes {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(p)) {
			return nil, invalid("Document name %s cannot start with %s, which AWS reserves for its own documents.", name, p)
		}
	}
	if _, _, ok := c.home().SSM.Documents.live(name, c.now); ok {
		return nil, failure(400, "DocumentAlreadyExists", "The specified document already exists.")
	}
	if len(c.objects("Attachments")) > 0 || len(c.objects("Requires")) > 0 {
		return nil, failure(501, "NotImplemented", "The sandbox does not simulate documents with attachments or requirements.")
	}
	v, err := c.newVersion(kind)
	if err != nil {
		return nil, err
	}
	v.Number = 1
	d := document{Created: c.now, Type: kind, Target: c.str("TargetType"), Versions: []documentVersion{v}, Default: 1, Status: "Creating"}
	if d.Tags, err = ssmTags(c.in["Tags"]); err != nil {
		return nil, err
	}
	r := c.home().SSM.Documents.put(name, c.now, d)
	r.change(c.now.Add(documentChange), func(d *document) { d.Status = "Active" })
	return object{"DocumentDescription": c.documentOut(name, d, v)}, nil
}

func updateDocument(c *call) (map[string]any, error) {
	r, d, err := c.ownDocument()
	if err != nil {
		return nil, err
	}
	name, base := c.str("Name"), c.str("DocumentVersion")
	if of, ok := d.version(base); !ok {
		return nil, failure(400, "InvalidDocumentVersion", "The document version is not valid or does not exist.")
	} else if of.Number != d.latest().Number { // none is the default's
		return nil, failure(400, "InvalidDocumentVersion", "Version provided for document %s is not latest. Please provide the latest version to update document %s", name, name)
	}
	v, err := c.newVersion(d.Type)
	if err != nil {
		return nil, err
	}
	if v.Content == d.latest().Content && v.Format == d.latest().Format {
		return nil, failure(400, "DuplicateDocumentContent", "The content of the association document matches another document. Change the content of the document and try again.")
	}
	if v.Name != "" && slices.ContainsFunc(d.Versions, func(o documentVersion) bool { return o.Name == v.Name }) {
		return nil, failure(400, "DuplicateDocumentVersionName", "The version name has already been used in this document. Specify a different version name, and then try again.")
	}
	if len(d.Versions) >= maxDocumentVersions {
		return nil, failure(400, "DocumentVersionLimitExceeded", "The document has too many versions. Delete one or more document versions and try again.")
	}
	v.Number = d.latest().Number + 1
	d.Versions, d.Status = append(slices.Clone(d.Versions), v), "Updating"
	if t := c.str("TargetType"); t != "" {
		d.Target = t
	}
	r.change(c.now, func(now *document) { now.Versions, now.Target, now.Status = d.Versions, d.Target, "Updating" })
	r.change(c.now.Add(documentChange), func(now *document) { now.Status = "Active" })
	return object{"DocumentDescription": c.documentOut(name, d, v)}, nil
}

func updateDocumentDefaultVersion(c *call) (map[string]any, error) {
	r, d, err := c.ownDocument()
	if err != nil {
		return nil, err
	}
	v, ok := d.version(c.str("DocumentVersion"))
	if !ok {
		return nil, failure(400, "InvalidDocumentVersion", "The document version is not valid or does not exist.")
	}
	r.change(c.now, func(d *document) { d.Default = v.Number })
	out := object{"Name": c.str("Name"), "DefaultVersion": strconv.Itoa(v.Number)}
	return object{"Description": withTexts(out, map[string]string{"DefaultVersionName": v.Name})}, nil
}

func deleteDocument(c *call) (map[string]any, error) {
	r, d, err := c.ownDocument()
	if err != nil {
		return nil, err
	}
	if c.str("DocumentVersion") == "" && c.str("VersionName") == "" {
		r.end(c.now)
		return object{}, nil
	}
	_, _, v, err := c.findDocumentVersion(c.now)
	if err != nil {
		return nil, err
	}
	if v.Number == d.Default {
		return nil, failure(400, "InvalidDocumentOperation", "Default version of the document can't be deleted.")
	}
	r.change(c.now, func(d *document) {
		d.Versions = slices.DeleteFunc(slices.Clone(d.Versions), func(o documentVersion) bool { return o.Number == v.Number })
	})
	return object{}, nil
}

func describeDocument(c *call) (map[string]any, error) {
	name, d, v, err := c.findDocumentVersion(c.view)
	if err != nil {
		return nil, err
	}
	return object{"Document": c.documentOut(name, d, v)}, nil
}

// getDocument answers in JSON unless asked otherwise, whatever the document was
// written in. Source: Systems Manager API Reference, "GetDocument".
func getDocument(c *call) (map[string]any, error) {
	name, d, v, err := c.findDocumentVersion(c.view)
	if err != nil {
		return nil, err
	}
	format, content := cmp.Or(c.str("DocumentFormat"), "JSON"), []byte(v.Content)
	switch {
	case format == v.Format:
	case format == "TEXT" || v.Format == "TEXT":
		return nil, invalid("The document %s is not available as %s.", name, format)
	case format == "JSON":
		content, err = yaml.YAMLToJSON(content)
	default:
		content, err = yaml.JSONToYAML(content)
	}
	if err != nil {
		return nil, failure(500, "InternalServerError", "The document can't be written as %s: %v", format, err)
	}
	out := object{"Name": name, "CreatedDate": v.Created, "DocumentVersion": strconv.Itoa(v.Number), "Status": d.Status, "Content": string(content), "DocumentType": d.Type, "DocumentFormat": format}
	if d.Amazon {
		delete(out, "CreatedDate")
	}
	return withTexts(out, map[string]string{"VersionName": v.Name, "DisplayName": v.Display}), nil
}

func listDocuments(c *call) (map[string]any, error) {
	all := map[string]document{}
	for name := range amazonCommands {
		all[name], _ = c.amazonDocument(name)
	}
	if c.documents != nil {
		files, err := fs.Glob(c.documents, "*")
		if err != nil {
			return nil, failure(500, "InternalServerError", "%v", err)
		}
		for _, f := range files {
			name := strings.TrimSuffix(strings.TrimSuffix(f, ".yaml"), ".json")
			if d, ok := c.amazonDocument(name); ok && name != f {
				all[name] = d
			}
		}
	}
	for name, d := range c.home().SSM.Documents.all(c.view) {
		all[name] = d
	}
	list := append(ssmFilters(c.in["Filters"]), ssmFilters(c.in["DocumentFilterList"])...)
	out := []any{}
	for _, name := range sorted(all) {
		d := all[name]
		v, _ := d.version("")
		o := c.documentOut(name, d, v)
		fits, err := passesDocument(list, name, o, d)
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		for _, k := range []string{"Hash", "HashType", "Status", "LatestVersion", "DefaultVersion", "Parameters", "Description"} {
			delete(o, k)
		}
		out = append(out, o)
	}
	return c.ssmPage("DocumentIdentifiers", 50, out)
}

// passesDocument applies the filters of ListDocuments; names are matched by
// their beginning.
func passesDocument(list []ssmFilter, name string, o object, d document) (bool, error) {
	rest := []ssmFilter{}
	for _, f := range list {
		match := strings.HasPrefix
		switch f.key {
		case "Name":
		case "SearchKeyword":
			match = strings.Contains
		default:
			rest = append(rest, f)
			continue
		}
		if !slices.ContainsFunc(f.values, func(v string) bool { return match(name, v) }) {
			return false, nil
		}
	}
	return passes(rest, func(key string) ([]string, bool) {
		switch key {
		case "Owner":
			switch o["Owner"] {
			case "Amazon":
				return []string{"Amazon", "Public", "All"}, true
			}
			return []string{"Self", "Private", "All"}, true
		case "PlatformTypes":
			return texts(o["PlatformTypes"]), true
		case "DocumentType":
			return []string{d.Type}, true
		case "TargetType":
			return []string{d.Target}, true
		}
		if tag, ok := strings.CutPrefix(key, "tag:"); ok {
			return present(d.Tags[tag]), true
		}
		return nil, false
	})
}

func listDocumentVersions(c *call) (map[string]any, error) {
	name, d, err := c.findDocument(c.str("Name"), c.view)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, v := range slices.Backward(d.Versions) {
		o := object{"Name": name, "DocumentVersion": strconv.Itoa(v.Number), "CreatedDate": v.Created, "IsDefaultVersion": v.Number == d.Default, "DocumentFormat": v.Format, "Status": "Active"}
		out = append(out, withTexts(o, map[string]string{"VersionName": v.Name, "DisplayName": v.Display}))
	}
	return c.ssmPage("DocumentVersions", 50, out)
}

var documentHandlers = map[string]handler{
	"CreateDocument":               {"ssm:CreateDocument", checked(createDocument)},
	"DeleteDocument":               {"ssm:DeleteDocument", checked(deleteDocument)},
	"DescribeDocument":             {"ssm:DescribeDocument", checked(describeDocument)},
	"GetDocument":                  {"ssm:GetDocument", checked(getDocument)},
	"ListDocumentVersions":         {"ssm:ListDocumentVersions", checked(listDocumentVersions)},
	"ListDocuments":                {"ssm:ListDocuments", checked(listDocuments)},
	"UpdateDocument":               {"ssm:UpdateDocument", checked(updateDocument)},
	"UpdateDocumentDefaultVersion": {"ssm:UpdateDocumentDefaultVersion", checked(updateDocumentDefaultVersion)},
}
