package report

// ASFFTypes are for the tests.
var ASFFTypes = asffTypes
