GO ?= go

.PHONY: test fmt vet bench fuzz

test: fmt vet
	$(GO) test ./...

fmt:
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); if [ -n "$$bad" ]; then echo "not gofmt-clean:"; echo "$$bad"; exit 1; fi

vet:
	$(GO) vet ./...

bench:
	$(GO) test -run '^$$' -bench . ./...
