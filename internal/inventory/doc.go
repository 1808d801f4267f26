// Package inventory reads AWS resources as configuration items, the form in
// which AWS Config records them.
//
// Resource types are a table, library/resources: which operation lists them,
// and which member of its answer becomes which member of the item, named one by
// one, for Config's names follow no rule. A call that only some members need is
// made only where a rule reads one of them. What could not be read is marked on
// the item, so that it can be told from what is not there.
package inventory
