package runbook

// createTags is aws:createTags: one call, of EC2's CreateTags or of SSM's
// AddTagsToResource.
type createTags struct{}

func (createTags) check(c *checker, s *Step) {
	c.members(s, []string{"ResourceIds", "Tags"}, []string{"ResourceType"})
	c.oneOf(s, "ResourceType", "EC2", "ManagedInstance", "MaintenanceWindow", "Parameter")
	if n := s.inputs.get("Tags"); n != nil && n.text == nil && (n.kind != listNode || len(n.list) == 0) {
		c.add(n.pos, "a list of maps with Key and Value", "step %s: Tags is %s", s.Name, emptyOr(n))
	}
}

func (createTags) calls(s *Step) []callSite {
	if n := s.inputs.get("ResourceType"); n != nil && text(n.plain()) != "EC2" {
		return []callSite{{service: "ssm", operation: "AddTagsToResource"}}
	}
	return []callSite{{service: "ec2", operation: "CreateTags"}}
}

func (createTags) next(t *turn) move {
	if o := t.last(); o != nil {
		if o.Error != nil {
			return failedCall(o)
		}
		return done()
	}
	ids, err := convert(t.inputs["ResourceIds"], StringList)
	list, _ := ids.([]any)
	if err != nil || len(list) == 0 {
		return failf("ResourceIds is %s, resource ids are needed", excerpt(text(t.inputs["ResourceIds"])))
	}
	kind := text(t.inputs["ResourceType"])
	if kind == "" || kind == "EC2" {
		return move{call: &CallRequest{Service: "ec2", Operation: "CreateTags", Purpose: PurposeExecute,
			Input: map[string]any{"Resources": list, "Tags": t.inputs["Tags"]}}}
	}
	if len(list) > 1 {
		return failf("%d ResourceIds; of the type %s one at a time can be tagged", len(list), kind)
	}
	return move{call: &CallRequest{Service: "ssm", Operation: "AddTagsToResource", Purpose: PurposeExecute,
		Input: map[string]any{"ResourceType": kind, "ResourceId": list[0], "Tags": t.inputs["Tags"]}}}
}
