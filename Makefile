GO ?= go
FUZZTIME ?= 30s

.PHONY: test fmt vet lint race bench fuzz sdk

test: fmt vet lint
	$(GO) test ./...

fmt:
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-clean:"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

# Pinned in a module of its own, so that its dependencies stay out of ours.
lint:
	$(GO) tool -modfile=tools/go.mod staticcheck ./...

race:
	$(GO) test -race ./...

# AWS's typed clients for Go against the sandbox. They are downloaded, and take
# minutes to compile.
sdk:
	KNOWNGOOD_TYPED_CLIENTS=1 $(GO) test -count 1 -run TypedClients -v -timeout 30m ./internal/sandbox

bench:
	$(GO) test -run '^$$' -bench . ./...
	cd awsapi/bench && $(GO) run .
	cd internal/rule/bench && $(GO) run .
	cd internal/app/bench && $(GO) run .

# Every fuzz target for FUZZTIME, most of which the search for the smallest input
# that finds something new would take otherwise.
fuzz:
	@set -e; for dir in $$(git grep -l '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u); do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' $$dir/*_test.go); do \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x ./$$dir; \
		done; \
	done
