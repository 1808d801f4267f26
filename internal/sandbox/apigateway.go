package sandbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// API Gateway's APIs and stages: how they are set, not what they answer.
var (
	restAPIs = keptKind{"rest API", func(id string) error {
		return failure(404, "NotFoundException", "Invalid API identifier specified %s", id)
	}}
	apiStages = keptKind{"API stage", func(string) error { return failure(404, "NotFoundException", "Invalid stage identifier specified") }}
	// gatewayAccount is API Gateway's settings of an account in a Region.
	gatewayAccounts = keptKind{"API Gateway account", func(string) error { return failure(404, "NotFoundException", "") }}
	// socketAPIs and theirStages are of API Gateway's second API.
	socketAPIs  = keptKind{"API", restAPIs.missing}
	theirStages = keptKind{"API v2 stage", apiStages.missing}
)

const gatewayAccount = "account"

func badRequest(format string, args ...any) error {
	return failure(400, "BadRequestException", format, args...)
}

func createRestAPI(c *call) (map[string]any, error) {
	if c.str("name") == "" {
		return nil, badRequest("Name must not be empty")
	}
	id := c.id("", 10)
	v := structure{"apiKeySource": "HEADER", "endpointConfiguration": object{"types": []any{"EDGE"}}, "disableExecuteApiEndpoint": false}.with(described(c.operation.Output, c.in))
	v = v.with(structure{"id": id, "createdDate": c.now, "rootResourceId": c.id("", 10)})
	restAPIs.put(c, id, v)
	return object(v), nil
}

// createDeployment deploys an API, to a stage if one is named.
func createDeployment(c *call) (map[string]any, error) {
	api := c.str("restApiId")
	if _, _, err := restAPIs.live(c, api, c.now); err != nil {
		return nil, err
	}
	id := c.id("", 6)
	if name := c.str("stageName"); name != "" {
		if r, _, err := apiStages.live(c, api+"/"+name, c.now); err == nil {
			become(r, c.now, structure{"deploymentId": id, "lastUpdatedDate": c.now})
		} else {
			apiStages.put(c, api+"/"+name, c.newStage(id, name))
		}
	}
	return object{"id": id, "description": c.str("description"), "createdDate": c.now}, nil
}

func (c *call) newStage(deployment, name string) structure {
	v := structure{"cacheClusterEnabled": false, "cacheClusterStatus": "NOT_AVAILABLE", "methodSettings": object{}, "tracingEnabled": false}
	if c.bool("cacheClusterEnabled") {
		v["cacheClusterStatus"], v["cacheClusterSize"] = "AVAILABLE", "0.5"
	}
	given := c.given("cacheClusterEnabled", "cacheClusterSize", "description", "tracingEnabled", "variables", "tags")
	return v.with(structure(given)).with(structure{"deploymentId": deployment, "stageName": name, "createdDate": c.now, "lastUpdatedDate": c.now})
}

func createStage(c *call) (map[string]any, error) {
	api, name := c.str("restApiId"), c.str("stageName")
	if _, _, err := restAPIs.live(c, api, c.now); err != nil {
		return nil, err
	}
	if apiStages.has(c, api+"/"+name) {
		return nil, failure(409, "ConflictException", "Stage already exists")
	}
	v := c.newStage(c.str("deploymentId"), name)
	apiStages.put(c, api+"/"+name, v)
	return object(v), nil
}

func getStage(c *call) (map[string]any, error) {
	_, v, err := apiStages.live(c, c.str("restApiId")+"/"+c.str("stageName"), c.view)
	return object(v), err
}

// methodSetting is a member of a method's settings, by the end of its path in a
// patch. Source: Amazon API Gateway REST API Reference, "UpdateStage".
var methodSettings = map[string]struct{ member, kind string }{
	"metrics/enabled": {"metricsEnabled", "boolean"}, "logging/loglevel": {"loggingLevel", "text"}, "logging/dataTrace": {"dataTraceEnabled", "boolean"},
	"throttling/burstLimit": {"throttlingBurstLimit", "integer"}, "throttling/rateLimit": {"throttlingRateLimit", "number"}, "caching/enabled": {"cachingEnabled", "boolean"},
	"caching/ttlInSeconds": {"cacheTtlInSeconds", "integer"}, "caching/dataEncrypted": {"cacheDataEncrypted", "boolean"},
	"caching/requireAuthorizationForCacheControl":    {"requireAuthorizationForCacheControl", "boolean"},
	"caching/unauthorizedCacheControlHeaderStrategy": {"unauthorizedCacheControlHeaderStrategy", "text"},
}

// newMethodSettings are those of a method of which one is set.
var newMethodSettings = structure{"metricsEnabled": false, "dataTraceEnabled": false, "throttlingBurstLimit": int64(5000), "throttlingRateLimit": 10000.0, "cachingEnabled": false,
	"cacheTtlInSeconds": int64(300), "cacheDataEncrypted": false, "requireAuthorizationForCacheControl": true, "unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER"}

// stageSettings are what a patch may set of the stage itself.
var stageSettings = map[string]string{"cacheClusterEnabled": "boolean", "cacheClusterSize": "text", "description": "text", "deploymentId": "text", "tracingEnabled": "boolean", "clientCertificateId": "text"}

func updateStage(c *call) (map[string]any, error) {
	r, v, err := apiStages.live(c, c.str("restApiId")+"/"+c.str("stageName"), c.now)
	if err != nil {
		return nil, err
	}
	changes := structure{"lastUpdatedDate": c.now}
	had, _ := v["methodSettings"].(object)
	methods := maps.Clone(had)
	for _, p := range c.objects("patchOperations") {
		op, _ := p["op"].(string)
		path, _ := p["path"].(string)
		text, _ := p["value"].(string)
		path = strings.TrimPrefix(path, "/")
		if op != "replace" {
			return nil, badRequest("Invalid patch operation specified. Must be 'replace'")
		}
		parts := strings.Split(path, "/")
		if kind, ok := stageSettings[path]; ok {
			if changes[path], err = patched(kind, text); err != nil {
				return nil, err
			}
			continue
		}
		if len(parts) != 4 {
			return nil, badRequest("Invalid patch path %s", p["path"])
		}
		setting, ok := methodSettings[parts[2]+"/"+parts[3]]
		if !ok {
			return nil, badRequest("Invalid method setting path: %s", p["path"])
		}
		value, err := patched(setting.kind, text)
		if err != nil {
			return nil, err
		}
		if setting.member == "loggingLevel" {
			if err := c.mayLogAPI(text); err != nil {
				return nil, err
			}
		}
		// A slash within the resource's path is written ~1.
		method := strings.TrimPrefix(strings.ReplaceAll(parts[0], "~1", "/"), "/") + "/" + parts[1]
		before, _ := methods[method].(object)
		if before == nil {
			before = object(newMethodSettings)
		}
		methods[method] = object(structure(before).with(structure{setting.member: value}))
	}
	changes["methodSettings"] = methods
	become(r, c.now, changes)
	v, _ = r.as(c.now)
	return object(v), nil
}

// patched reads the value of a patch, which is text.
func patched(kind, text string) (any, error) {
	var v any = text
	var err error
	switch kind {
	case "boolean":
		v, err = strconv.ParseBool(text)
	case "integer":
		v, err = strconv.ParseInt(text, 10, 64)
	case "number":
		v, err = strconv.ParseFloat(text, 64)
	}
	if err != nil {
		return nil, badRequest("Invalid value '%s', expected %s", text, kind)
	}
	return v, nil
}

// mayLogAPI says whether a stage may log at a level: the account must have a role
// for it. Source: Amazon API Gateway Developer Guide, "Set up CloudWatch logging".
func (c *call) mayLogAPI(level string) error {
	if !slices.Contains([]string{"OFF", "ERROR", "INFO"}, level) {
		return badRequest("Invalid logging level %s. Must be one of OFF, ERROR, INFO", level)
	}
	_, v, _ := gatewayAccounts.live(c, gatewayAccount, c.now)
	if level != "OFF" && v.str("cloudwatchRoleArn") == "" {
		return badRequest("CloudWatch Logs role ARN must be set in account settings to enable logging")
	}
	return nil
}

func getGatewayAccount(c *call) (map[string]any, error) {
	out := structure{"throttleSettings": object{"burstLimit": int64(5000), "rateLimit": 10000.0}, "features": []any{"UsagePlans"}, "apiKeyVersion": "4"}
	_, v, _ := gatewayAccounts.live(c, gatewayAccount, c.view)
	return object(out.with(v)), nil
}

func updateGatewayAccount(c *call) (map[string]any, error) {
	v := structure{}
	for _, p := range c.objects("patchOperations") {
		if p["path"] != "/cloudwatchRoleArn" {
			return nil, badRequest("Invalid patch path %s", p["path"])
		}
		v["cloudwatchRoleArn"] = p["value"]
	}
	gatewayAccounts.put(c, gatewayAccount, v)
	return getGatewayAccount(c)
}

var apigatewayHandlers = map[string]handler{
	"CreateDeployment": {"apigateway:POST", createDeployment},
	"CreateRestApi":    {"apigateway:POST", createRestAPI},
	"CreateStage":      {"apigateway:POST", createStage},
	"GetAccount":       {"apigateway:GET", getGatewayAccount},
	"GetStage":         {"apigateway:GET", getStage},
	"UpdateAccount":    {"apigateway:PATCH", updateGatewayAccount},
	"UpdateStage":      {"apigateway:PATCH", updateStage},
}

// What API Gateway's operations are on: paths. Source: Service Authorization
// Reference, "Actions, resources, and condition keys for Amazon API Gateway
// Management".
var apigatewayAccess = serviceAccess{
	arn: "arn:{Partition}:apigateway:{Region}::",
	on: map[string]string{
		"CreateDeployment": "/restapis/{restApiId}/deployments",
		"CreateRestApi":    "/restapis",
		"CreateStage":      "/restapis/{restApiId}/stages",
		"GetAccount":       "/account",
		"GetStage":         "/restapis/{restApiId}/stages/{stageName}",
		"UpdateAccount":    "/account",
		"UpdateStage":      "/restapis/{restApiId}/stages/{stageName}",
	},
}

func createSocketAPI(c *call) (map[string]any, error) {
	if c.str("ProtocolType") == "WEBSOCKET" && c.str("RouteSelectionExpression") == "" {
		return nil, badRequest("RouteSelectionExpression is required for a WebSocket API")
	}
	id := c.id("", 10)
	v := structure{"ApiKeySelectionExpression": "$request.header.x-api-key", "DisableExecuteApiEndpoint": false}.with(described(c.operation.Output, c.in))
	v = v.with(structure{"ApiId": id, "CreatedDate": c.now, "ApiEndpoint": strings.ToLower(map[bool]string{true: "wss", false: "https"}[c.str("ProtocolType") == "WEBSOCKET"]) + "://" + id + ".execute-api." + c.region + ".amazonaws.com"})
	socketAPIs.put(c, id, v)
	return object(v), nil
}

func createTheirStage(c *call) (map[string]any, error) {
	api, name := c.str("ApiId"), c.str("StageName")
	if _, _, err := socketAPIs.live(c, api, c.now); err != nil {
		return nil, err
	}
	if theirStages.has(c, api+"/"+name) {
		return nil, failure(409, "ConflictException", "Stage already exists")
	}
	if err := c.mayLogRoutes(); err != nil {
		return nil, err
	}
	v := structure{"AutoDeploy": false, "DefaultRouteSettings": object{"DetailedMetricsEnabled": false}, "RouteSettings": object{}, "StageVariables": object{}, "Tags": object{}}.with(described(c.operation.Output, c.in))
	v = v.with(structure{"CreatedDate": c.now, "LastUpdatedDate": c.now})
	theirStages.put(c, api+"/"+name, v)
	return object(v), nil
}

func getTheirStage(c *call) (map[string]any, error) {
	_, v, err := theirStages.live(c, c.str("ApiId")+"/"+c.str("StageName"), c.view)
	return object(v), err
}

func updateTheirStage(c *call) (map[string]any, error) {
	r, v, err := theirStages.live(c, c.str("ApiId")+"/"+c.str("StageName"), c.now)
	if err != nil {
		return nil, err
	}
	if err := c.mayLogRoutes(); err != nil {
		return nil, err
	}
	changes := described(c.operation.Output, c.in).with(structure{"LastUpdatedDate": c.now})
	// Of the settings of routes, and of the default's, those that are given change.
	for _, name := range []string{"DefaultRouteSettings", "RouteSettings"} {
		if given := c.object(name); given != nil {
			had, _ := v[name].(object)
			merged := structure(had).with(given)
			for route, settings := range given {
				if s, ok := settings.(object); ok {
					before, _ := had[route].(object)
					merged[route] = object(structure(before).with(s))
				}
			}
			changes[name] = object(merged)
		}
	}
	become(r, c.now, changes)
	v, _ = r.as(c.now)
	return object(v), nil
}

// mayLogRoutes says whether routes may log as the call says.
func (c *call) mayLogRoutes() error {
	levels := []any{c.object("DefaultRouteSettings")["LoggingLevel"]}
	for _, s := range c.object("RouteSettings") {
		if o, ok := s.(object); ok {
			levels = append(levels, o["LoggingLevel"])
		}
	}
	for _, l := range levels {
		if level, ok := l.(string); ok {
			if err := c.mayLogAPI(level); err != nil {
				return err
			}
		}
	}
	return nil
}

var apigatewayv2Handlers = map[string]handler{
	"CreateApi":   {"apigateway:POST", createSocketAPI},
	"CreateStage": {"apigateway:POST", createTheirStage},
	"GetStage":    {"apigateway:GET", getTheirStage},
	"UpdateStage": {"apigateway:PATCH", updateTheirStage},
}

var apigatewayv2Access = serviceAccess{
	arn: "arn:{Partition}:apigateway:{Region}::",
	on: map[string]string{
		"CreateApi":   "/apis",
		"CreateStage": "/apis/{ApiId}/stages",
		"GetStage":    "/apis/{ApiId}/stages/{StageName}",
		"UpdateStage": "/apis/{ApiId}/stages/{StageName}",
	},
}
