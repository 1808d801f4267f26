package rule

// Environment is what expressions may name, for the benchmarks against cel-go.
var Environment = environment
