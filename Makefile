.PHONY: build test golden bench fuzz

VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo dev)

build:
	CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=$(VERSION)" -o bin/devs ./cmd/devs

test:
	go test ./...

golden:
	go test ./pkg/fc/props -run Golden -update

bench:
	go test -run '^$$' -bench . -benchtime 5x ./...

fuzz:
	.ci/fuzz 30s
