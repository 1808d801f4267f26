package sandbox

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// The kinds of the services below, of which settings are kept.
var (
	buildProjects = keptKind{"codebuild project", func(id string) error {
		return failure(400, "ResourceNotFoundException", "Project cannot be found: %s", id)
	}}
	distributions = keptKind{"cloudfront distribution", func(id string) error {
		return failure(404, "NoSuchDistribution", "The specified distribution does not exist: %s.", id)
	}}
	repositories = keptKind{"ecr repository", func(id string) error {
		return failure(400, "RepositoryNotFoundException", "The repository with name '%s' does not exist in the registry", id)
	}}
	taskDefinitions = keptKind{"ecs task definition", func(string) error {
		return failure(400, "ClientException", "Unable to describe task definition.")
	}}
	workGroups = keptKind{"athena workgroup", func(id string) error {
		return failure(400, "InvalidRequestException", "WorkGroup %s is not found.", id)
	}}
	macieSessions = keptKind{"macie session", func(string) error {
		return failure(403, "AccessDeniedException", "Macie is not enabled.")
	}}
)

// CodeBuild's projects.

func createBuildProject(c *call) (map[string]any, error) {
	name := c.str("name")
	if buildProjects.has(c, name) {
		return nil, failure(400, "ResourceAlreadyExistsException", "Project already exists: %s", c.arnOf("codebuild", "project/"+name))
	}
	v := structure{"timeoutInMinutes": int64(60), "queuedTimeoutInMinutes": int64(480), "badge": object{"badgeEnabled": false}}.with(c.as("project"))
	v["environment"] = buildEnvironment(c.object("environment"))
	v = v.with(structure{"arn": c.arnOf("codebuild", "project/"+name), "created": c.now, "lastModified": c.now})
	buildProjects.put(c, name, v)
	return object{"project": object(v)}, nil
}

// buildEnvironment is a project's, with what it has where nothing is said.
func buildEnvironment(given object) object {
	out := object{"privilegedMode": false, "imagePullCredentialsType": "CODEBUILD", "environmentVariables": []any{}}
	maps.Copy(out, given)
	variables := []any{}
	for _, v := range objects(out["environmentVariables"]) {
		variables = append(variables, object(structure{"type": "PLAINTEXT"}.with(v)))
	}
	out["environmentVariables"] = variables
	return out
}

func batchGetBuildProjects(c *call) (map[string]any, error) {
	found, missing := []any{}, []any{}
	for _, name := range c.strings("names") {
		if _, v, err := buildProjects.live(c, last(name), c.view); err == nil {
			found = append(found, object(v))
		} else {
			missing = append(missing, name)
		}
	}
	return object{"projects": found, "projectsNotFound": missing}, nil
}

func updateBuildProject(c *call) (map[string]any, error) {
	r, _, err := buildProjects.live(c, c.str("name"), c.now)
	if err != nil {
		return nil, err
	}
	v := c.as("project")
	if e := c.object("environment"); e != nil {
		v["environment"] = buildEnvironment(e)
	}
	v["lastModified"] = c.now
	become(r, c.now, v)
	v, _ = r.as(c.now)
	return object{"project": object(v)}, nil
}

var codebuildHandlers = map[string]handler{
	"BatchGetProjects": {"codebuild:BatchGetProjects", batchGetBuildProjects},
	"CreateProject":    {"codebuild:CreateProject", createBuildProject},
	"UpdateProject":    {"codebuild:UpdateProject", updateBuildProject},
}

// Source of this and the accesses below: Service Authorization Reference.
var codebuildAccess = serviceAccess{
	arn: "arn:{Partition}:codebuild:{Region}:{Account}:",
	on:  map[string]string{"BatchGetProjects": "project/{names}", "CreateProject": "project/{name}", "UpdateProject": "project/{name}"},
	needs: map[string]func(*call, []need) []need{
		"CreateProject": passBuildRole, "UpdateProject": passBuildRole,
	},
}

func passBuildRole(c *call, own []need) []need {
	return append(own, c.passRole(c.str("serviceRole"), "codebuild.amazonaws.com")...)
}

// CloudFront's distributions.

// deployment is how long a distribution takes to be deployed.
const deployment = 5 * time.Minute

func (c *call) distributionOut(id string, v structure) object {
	out := object{"Id": id, "ARN": c.globalARN("cloudfront", "distribution/"+id), "DomainName": "d" + strings.ToLower(id) + ".cloudfront.net", "InProgressInvalidationBatches": int64(0)}
	for _, name := range []string{"Status", "LastModifiedTime", "DistributionConfig"} {
		out[name] = v[name]
	}
	return out
}

func createDistribution(c *call) (map[string]any, error) {
	config := c.object("DistributionConfig")
	for _, v := range distributions.table(c).all(c.now) {
		if had, _ := v["DistributionConfig"].(object); had["CallerReference"] == config["CallerReference"] {
			return nil, failure(409, "DistributionAlreadyExists", "The caller reference that you are using to create a distribution is associated with another distribution.")
		}
	}
	if err := checkDistribution(config); err != nil {
		return nil, err
	}
	id := strings.ToUpper(c.id("E", 13))
	v := structure{"DistributionConfig": config, "ETag": strings.ToUpper(c.id("E", 13)), "Status": "InProgress", "LastModifiedTime": c.now}
	become(distributions.put(c, id, v), c.now.Add(deployment), structure{"Status": "Deployed"})
	return object{"Distribution": c.distributionOut(id, v), "ETag": v["ETag"], "Location": "https://cloudfront.amazonaws.com/2020-05-31/distribution/" + id}, nil
}

func checkDistribution(config object) error {
	origins, _ := config["Origins"].(object)
	behaviour, _ := config["DefaultCacheBehavior"].(object)
	for _, o := range objects(origins["Items"]) {
		if o["S3OriginConfig"] == nil && o["CustomOriginConfig"] == nil && o["VpcOriginConfig"] == nil {
			return failure(400, "InvalidOrigin", "The specified origin server does not exist or is not valid.")
		}
	}
	if !slices.ContainsFunc(objects(origins["Items"]), func(o object) bool { return o["Id"] == behaviour["TargetOriginId"] }) {
		return failure(404, "NoSuchOrigin", "One or more of your origins or origin groups do not exist.")
	}
	return nil
}

func getDistribution(c *call) (map[string]any, error) {
	id := c.str("Id")
	_, v, err := distributions.live(c, id, c.view)
	if err != nil {
		return nil, err
	}
	return object{"Distribution": c.distributionOut(id, v), "ETag": v["ETag"]}, nil
}

func getDistributionConfig(c *call) (map[string]any, error) {
	_, v, err := distributions.live(c, c.str("Id"), c.view)
	if err != nil {
		return nil, err
	}
	return object{"DistributionConfig": v["DistributionConfig"], "ETag": v["ETag"]}, nil
}

func updateDistribution(c *call) (map[string]any, error) {
	id, config := c.str("Id"), c.object("DistributionConfig")
	r, v, err := distributions.live(c, id, c.now)
	if err != nil {
		return nil, err
	}
	had, _ := v["DistributionConfig"].(object)
	switch match := c.str("IfMatch"); {
	case match == "":
		return nil, failure(400, "InvalidIfMatchVersion", "The If-Match version is missing or not valid for the resource.")
	case match != v.str("ETag"):
		return nil, failure(412, "PreconditionFailed", "The request failed because it didn't meet the preconditions in one or more request-header fields.")
	case config["CallerReference"] != had["CallerReference"]:
		return nil, failure(400, "IllegalUpdate", "The update contains modifications that are not allowed.")
	}
	if err := checkDistribution(config); err != nil {
		return nil, err
	}
	r.forget(c.now)
	become(r, c.now, structure{"DistributionConfig": config, "ETag": strings.ToUpper(c.id("E", 13)), "Status": "InProgress", "LastModifiedTime": c.now})
	become(r, c.now.Add(deployment), structure{"Status": "Deployed"})
	v, _ = r.as(c.now)
	return object{"Distribution": c.distributionOut(id, v), "ETag": v["ETag"]}, nil
}

var cloudfrontHandlers = map[string]handler{
	"CreateDistribution":    {"cloudfront:CreateDistribution", createDistribution},
	"GetDistribution":       {"cloudfront:GetDistribution", getDistribution},
	"GetDistributionConfig": {"cloudfront:GetDistributionConfig", getDistributionConfig},
	"UpdateDistribution":    {"cloudfront:UpdateDistribution", updateDistribution},
}

var cloudfrontAccess = serviceAccess{
	arn: "arn:{Partition}:cloudfront::{Account}:",
	on:  map[string]string{"GetDistribution": "distribution/{Id}", "GetDistributionConfig": "distribution/{Id}", "UpdateDistribution": "distribution/{Id}"},
}

// ECR's repositories.

var repositoryName = patternOf(`^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$`)

func createRepository(c *call) (map[string]any, error) {
	name := c.str("repositoryName")
	switch {
	case !repositoryName.MatchString(name) || len(name) < 2 || len(name) > 256:
		return nil, failure(400, "InvalidParameterException", "Invalid parameter at 'repositoryName' failed to satisfy constraint")
	case repositories.has(c, name):
		return nil, failure(400, "RepositoryAlreadyExistsException", "The repository with name '%s' already exists in the registry with id '%s'", name, c.who.Account)
	}
	v := structure{"imageTagMutability": "MUTABLE", "imageScanningConfiguration": object{"scanOnPush": false}, "encryptionConfiguration": object{"encryptionType": "AES256"}}.with(c.as("repository"))
	v = v.with(structure{"repositoryArn": c.arnOf("ecr", "repository/"+name), "registryId": c.who.Account, "createdAt": c.now,
		"repositoryUri": c.who.Account + ".dkr.ecr." + c.region + ".amazonaws.com/" + name})
	repositories.put(c, name, v)
	return object{"repository": object(v)}, nil
}

func describeRepositories(c *call) (map[string]any, error) {
	found, err := repositories.find(c, c.strings("repositoryNames")...)
	if err != nil {
		return nil, err
	}
	out := []any{}
	for _, h := range found {
		out = append(out, object(h.v))
	}
	return object{"repositories": out}, nil
}

func putImageScanning(c *call) (map[string]any, error) {
	name, config := c.str("repositoryName"), c.object("imageScanningConfiguration")
	r, _, err := repositories.live(c, name, c.now)
	if err != nil {
		return nil, err
	}
	become(r, c.now, structure{"imageScanningConfiguration": config})
	return object{"registryId": c.who.Account, "repositoryName": name, "imageScanningConfiguration": config}, nil
}

var ecrHandlers = map[string]handler{
	"CreateRepository":              {"ecr:CreateRepository", createRepository},
	"DescribeRepositories":          {"ecr:DescribeRepositories", describeRepositories},
	"PutImageScanningConfiguration": {"ecr:PutImageScanningConfiguration", putImageScanning},
}

var ecrAccess = serviceAccess{
	arn: "arn:{Partition}:ecr:{Region}:{Account}:",
	on: map[string]string{"CreateRepository": "repository/{repositoryName}", "DescribeRepositories": "repository/{repositoryNames}",
		"PutImageScanningConfiguration": "repository/{repositoryName}"},
}

// Athena's workgroups.

func createWorkGroup(c *call) (map[string]any, error) {
	name := c.str("Name")
	if workGroups.has(c, name) {
		return nil, failure(400, "InvalidRequestException", "WorkGroup is already created")
	}
	config := object{"EnforceWorkGroupConfiguration": true, "PublishCloudWatchMetricsEnabled": false, "RequesterPaysEnabled": false, "ResultConfiguration": object{}}
	maps.Copy(config, c.object("Configuration"))
	workGroups.put(c, name, structure{"Name": name, "State": "ENABLED", "Description": c.str("Description"), "CreationTime": c.now, "Configuration": config})
	return object{}, nil
}

func getWorkGroup(c *call) (map[string]any, error) {
	_, v, err := workGroups.live(c, c.str("WorkGroup"), c.view)
	if err != nil {
		return nil, err
	}
	return object{"WorkGroup": object(v)}, nil
}

func updateWorkGroup(c *call) (map[string]any, error) {
	r, v, err := workGroups.live(c, c.str("WorkGroup"), c.now)
	if err != nil {
		return nil, err
	}
	had, _ := v["Configuration"].(object)
	config := maps.Clone(had)
	for name, value := range c.object("ConfigurationUpdates") {
		switch to := strings.TrimSuffix(name, "Updates"); {
		case strings.HasPrefix(name, "Remove"):
			if value == true {
				delete(config, strings.TrimPrefix(name, "Remove"))
			}
		case to != name: // ResultConfigurationUpdates
			inner, _ := config[to].(object)
			updates, _ := value.(object)
			config[to] = object(structure(inner).with(updates))
		default:
			config[name] = value
		}
	}
	become(r, c.now, structure{"Configuration": config}.with(described(c.operation.Input, c.given("Description", "State"))))
	return object{}, nil
}

var athenaHandlers = map[string]handler{
	"CreateWorkGroup": {"athena:CreateWorkGroup", createWorkGroup},
	"GetWorkGroup":    {"athena:GetWorkGroup", getWorkGroup},
	"UpdateWorkGroup": {"athena:UpdateWorkGroup", updateWorkGroup},
}

var athenaAccess = serviceAccess{
	arn: "arn:{Partition}:athena:{Region}:{Account}:",
	on:  map[string]string{"CreateWorkGroup": "workgroup/{Name}", "GetWorkGroup": "workgroup/{WorkGroup}", "UpdateWorkGroup": "workgroup/{WorkGroup}"},
}

// Macie's session, one in each account and Region.

const macieSession = "session"

func enableMacie(c *call) (map[string]any, error) {
	if macieSessions.has(c, macieSession) {
		return nil, failure(409, "ConflictException", "Macie is already enabled.")
	}
	v := structure{"findingPublishingFrequency": "FIFTEEN_MINUTES", "status": "ENABLED"}.with(described(c.operation.Input, c.given("findingPublishingFrequency", "status")))
	macieSessions.put(c, macieSession, v.with(structure{"createdAt": c.now, "updatedAt": c.now,
		"serviceRole": c.globalARN("iam", "role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie")}))
	return object{}, nil
}

func getMacieSession(c *call) (map[string]any, error) {
	_, v, err := macieSessions.live(c, macieSession, c.view)
	return object(v), err
}

func updateMacieSession(c *call) (map[string]any, error) {
	r, _, err := macieSessions.live(c, macieSession, c.now)
	if err != nil {
		return nil, err
	}
	become(r, c.now, described(c.operation.Input, c.given("findingPublishingFrequency", "status")).with(structure{"updatedAt": c.now}))
	return object{}, nil
}

func disableMacie(c *call) (map[string]any, error) {
	r, _, err := macieSessions.live(c, macieSession, c.now)
	if err != nil {
		return nil, err
	}
	r.end(c.now)
	return object{}, nil
}

var macieHandlers = map[string]handler{
	"DisableMacie":       {"macie2:DisableMacie", disableMacie},
	"EnableMacie":        {"macie2:EnableMacie", enableMacie},
	"GetMacieSession":    {"macie2:GetMacieSession", getMacieSession},
	"UpdateMacieSession": {"macie2:UpdateMacieSession", updateMacieSession},
}
