package iampolicy

import (
	"fmt"
	"strings"
)

var layers = [...]string{
	LayerRCP:      "resource control policy",
	LayerSCP:      "service control policy",
	LayerResource: "resource-based policy",
	LayerIdentity: "identity-based policy",
	LayerBoundary: "permissions boundary",
	LayerSession:  "session policy",
}

// String is the layer's name as AWS's messages have it.
func (l Layer) String() string {
	if l == 0 || int(l) >= len(layers) {
		return fmt.Sprintf("layer %d", uint8(l))
	}
	return layers[l]
}

func (l Layer) leveled() bool { return l == LayerSCP || l == LayerRCP }

// String says which statement it is, as: identity-based policy "dev", statement 2
// (ReadLogs).
func (m Match) String() string {
	s := m.Layer.String()
	if m.Policy != "" {
		s += fmt.Sprintf(" %q", m.Policy)
	}
	if m.Layer.leveled() {
		s += fmt.Sprintf(" at level %d", m.Level)
	}
	s += fmt.Sprintf(", statement %d", m.Index+1)
	if m.Statement != nil && m.Statement.Sid != "" {
		s += " (" + m.Statement.Sid + ")"
	}
	return s
}

// String says what is missing.
func (g Gap) String() string {
	if g.Layer.leveled() {
		return fmt.Sprintf("no %s at level %d allows it", g.Layer, g.Level)
	}
	return fmt.Sprintf("no %s allows it", g.Layer)
}

// String is the decision and each reason, a line for each.
func (d Decision) String() string {
	var lines []string
	if d.Allowed {
		lines = append(lines, "allowed")
		for _, m := range d.Allows {
			lines = append(lines, "  by "+m.String())
		}
		return strings.Join(lines, "\n")
	}
	lines = append(lines, "denied")
	for _, m := range d.Denials {
		lines = append(lines, "  by "+m.String())
	}
	for _, g := range d.Missing {
		lines = append(lines, "  for "+g.String())
	}
	return strings.Join(lines, "\n")
}

// Message is a refusal in the words of AWS's own, which name one reason: an
// explicit deny before a missing allow. It is "" for what is allowed.
// Source: IAM User Guide, "Troubleshoot access denied error messages".
func (d Decision) Message(r *Request) string {
	if d.Allowed {
		return ""
	}
	who := r.Principal.ARN
	if who == "" {
		who = r.Principal.Name
	}
	if who == "" {
		who = "anonymous"
	}
	s := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", who, r.Action, r.Resource)
	switch {
	case len(d.Denials) > 0:
		return fmt.Sprintf("%s with an explicit deny in %s", s, article(d.Denials[0].Layer.String()))
	case len(d.Missing) > 0:
		return fmt.Sprintf("%s because no %s allows the %s action", s, d.Missing[0].Layer, r.Action)
	}
	return s
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
