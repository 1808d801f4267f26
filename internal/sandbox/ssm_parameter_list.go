package sandbox

import (
	"slices"
	"strings"
)

// getParametersByPath lists what is below a path: one level, or all.
func getParametersByPath(c *call) (map[string]any, error) {
	path := c.str("Path")
	if !strings.HasPrefix(path, "/") || !parameterName.MatchString(path) {
		return nil, invalid("The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash \"/\". It can't be prefixed with \"aws\" or \"ssm\" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol \"/\". Valid example: /get/parameters2-/by1./path0_.")
	}
	out := []any{}
	for name, p := range c.home().SSM.Parameters.all(c.view) {
		if !below(name, path, c.bool("Recursive")) {
			continue
		}
		v := p.latest()
		fits, err := c.passesParameter(name, p, &v, "Type", "KeyId", "Label")
		if err != nil {
			return nil, err
		}
		if !fits {
			continue
		}
		o, err := c.parameterOut(name, p, v)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return c.ssmPage("Parameters", 10, out)
}

// below says whether a parameter is in a hierarchy. A name without a slash is
// in none but the root's.
func below(name, path string, recursive bool) bool {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(path, "/")+"/")
	return ok && (recursive || !strings.Contains(rest, "/"))
}

// passesParameter applies ParameterFilters, of which an operation knows some
// keys. A filter by label gives the version that has it.
func (c *call) passesParameter(name string, p parameter, v *parameterVersion, keys ...string) (bool, error) {
	for _, f := range c.objects("ParameterFilters") {
		key, _ := f["Key"].(string)
		option, _ := f["Option"].(string)
		values := texts(f["Values"])
		tag, isTag := strings.CutPrefix(key, "tag:")
		if !slices.Contains(keys, key) && (!isTag || !slices.Contains(keys, "tag:")) {
			return false, failure(400, "InvalidFilterKey", "The specified key isn't valid: %s. Use one of %s.", key, strings.Join(keys, ", "))
		}
		var fits bool
		switch {
		case key == "Path":
			if option != "" && option != "Recursive" && option != "OneLevel" {
				return false, failure(400, "InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [Recursive, OneLevel].", option)
			}
			fits = slices.ContainsFunc(values, func(path string) bool { return below(name, path, option == "Recursive") })
		case key == "Label":
			i := slices.IndexFunc(p.Versions, func(v parameterVersion) bool {
				return slices.ContainsFunc(v.Labels, func(l string) bool { return slices.Contains(values, l) })
			})
			if fits = i >= 0; fits {
				*v = p.Versions[i]
			}
		default:
			have, ok := map[string]string{"Name": strings.TrimPrefix(name, "/"), "Type": p.Type, "KeyId": v.KeyID, "Tier": p.Tier, "DataType": p.DataType}[key]
			if isTag {
				have, ok = p.Tags[tag]
			}
			match, known := map[string]func(s, sub string) bool{"": equal, "Equals": equal, "BeginsWith": strings.HasPrefix, "Contains": strings.Contains}[option]
			if !known || option == "Contains" && key != "Name" {
				return false, failure(400, "InvalidFilterOption", "The following filter option is not valid: %s. Valid options include: [BeginsWith, Equals].", option)
			}
			fits = ok && (isTag && len(values) == 0 || slices.ContainsFunc(values, func(want string) bool {
				if key == "Name" {
					want = strings.TrimPrefix(want, "/")
				}
				return match(have, want)
			}))
		}
		if !fits {
			return false, nil
		}
	}
	return true, nil
}

func equal(a, b string) bool { return a == b }

// describeParameters lists parameters without their values.
func describeParameters(c *call) (map[string]any, error) {
	if len(c.objects("Filters")) > 0 && len(c.objects("ParameterFilters")) > 0 {
		return nil, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	out := []any{}
	for name, p := range c.home().SSM.Parameters.all(c.view) {
		v := p.latest()
		fits, err := c.passesParameter(name, p, &v, "Name", "Type", "KeyId", "Path", "Tier", "DataType", "tag:")
		if err != nil {
			return nil, err
		}
		old, err := passes(ssmFilters(c.in["Filters"]), func(key string) ([]string, bool) {
			have, ok := map[string]string{"Name": name, "Type": p.Type, "KeyId": v.KeyID}[key]
			return []string{have}, ok
		})
		if err != nil {
			return nil, err
		}
		if fits && old {
			out = append(out, c.describeParameter(name, p, v))
		}
	}
	return c.ssmPage("Parameters", 50, out)
}

func (c *call) describeParameter(name string, p parameter, v parameterVersion) object {
	o := object{"Name": name, "Type": p.Type, "LastModifiedDate": v.Modified, "LastModifiedUser": v.User, "Version": v.Number, "Tier": p.Tier, "Policies": []any{}, "DataType": p.DataType,
		"ARN": c.parameterARN(name)}
	return withTexts(o, map[string]string{"Description": v.Text, "KeyId": v.KeyID, "AllowedPattern": v.Pattern})
}

func getParameterHistory(c *call) (map[string]any, error) {
	name := parameterFrom(c.str("Name"))
	_, p, ok := c.home().SSM.Parameters.live(name, c.view)
	if !ok {
		return nil, failure(400, "ParameterNotFound", "Parameter %s not found.", name)
	}
	out := []any{}
	for _, v := range p.Versions {
		value, err := c.parameterValue(name, p, v)
		if err != nil {
			return nil, err
		}
		o := c.describeParameter(name, p, v)
		delete(o, "ARN")
		o["Value"], o["Labels"] = value, anys(v.Labels)
		out = append(out, o)
	}
	return c.ssmPage("Parameters", 50, out)
}
