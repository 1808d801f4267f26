package remedy

import (
	"strings"

	"github.com/knowngood/knowngood"
	"github.com/knowngood/knowngood/awsapi"
)

// classOf is what a call with this input counts as in plans and runs. A sensitive
// read that has an effect of its own counts as a write: what a function or a
// statement does that it runs is not known from its name, and a message that was
// received is gone for others.
func classOf(op *awsapi.Operation, in map[string]any) knowngood.CallClass {
	class := op.ClassOf(in)
	if class == awsapi.SensitiveRead && acts(op) {
		class = awsapi.Write
	}
	return knowngood.CallClass(class.String())
}

// isSensitive says whether a runbook's entry has to allow a call.
func isSensitive(op *awsapi.Operation, in map[string]any) bool {
	return op.ClassOf(in) == awsapi.SensitiveRead
}

// acts says whether a sensitive read has an effect of its own.
func acts(op *awsapi.Operation) bool {
	name := strings.TrimPrefix(op.Name, "Batch")
	for _, verb := range []string{"Invoke", "Execute", "Receive", "Converse", "RetrieveAndGenerate"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}
