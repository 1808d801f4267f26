// Package library embeds the content that ships with knowngood: rules, packs,
// runbooks and what goes with them, write operations, resource types, prices and
// scenarios. It holds no code: every room that reads a part of it knows that
// part's form.
package library

import "embed"

// FS is the content, one folder for each kind.
//
//go:embed entries operations packs prices proactive rates resources rules runbooks scenarios
var FS embed.FS
