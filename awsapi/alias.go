package awsapi

// aliases are the names that botocore takes for members of an input besides the
// model's, by service; "" stands for every operation. Source: the parameter
// aliases in botocore's handlers.
var aliases = map[string][]alias{
	"ec2":               {{"", "Filters", "Filter"}},
	"logs":              {{"CreateExportTask", "fromTime", "from"}},
	"cloudsearchdomain": {{"Search", "returnFields", "return"}},
}

type alias struct{ operation, name, member string }

// MemberName is the model's name for a member of the input that botocore's users
// know by another, such as Filters for the Filter of some of EC2's operations. It
// is name itself for all others.
func (o *Operation) MemberName(name string) string {
	for _, a := range aliases[o.Service.Name] {
		if a.name == name && (a.operation == "" || a.operation == o.Name) && o.Input.Member(name) == nil && o.Input.Member(a.member) != nil {
			return a.member
		}
	}
	return name
}

// unalias gives the members of an input the model's names. One that is given by
// both names is left for Validate to tell.
func (o *Operation) unalias(in map[string]any) map[string]any {
	if aliases[o.Service.Name] == nil {
		return in
	}
	out := make(map[string]any, len(in))
	for name, v := range in {
		member := o.MemberName(name)
		if _, both := in[member]; both {
			member = name
		}
		out[member] = v
	}
	return out
}
