# Two commands matter: `make demo` and `make test`. Both install the Debian packages they need (packages.txt) and build.
SHELL := /bin/bash
.DEFAULT_GOAL := build
# Compressed, the lines of the source that a backtrace names cost 4 MB instead of 13.
RELEASE := swift build -c release --static-swift-stdlib -Xlinker --compress-debug-sections=zlib
PREFIX ?= /usr/local

.PHONY: build packages-build packages-run packages-test packages-image demo lab lab-down test check unit integration fuzz bench tidy install image clean

packages-build packages-run packages-test packages-image: packages-%:
	@Scripts/install-packages $*

## Static release binaries: .build/release/evpnd and .build/release/evpnctl
build: packages-build
	@command -v swift >/dev/null || { echo 'There is no swift in PATH: Swift 6.3 is needed, see swift.org/install' >&2; exit 1; }
	@$(RELEASE) --product evpnd
	@$(RELEASE) --product evpnctl
	@echo 'Built .build/release/evpnd and .build/release/evpnctl'

## A reflector and three VTEPs in network namespaces: pings, tables, a killed VTEP; cleans up after itself
demo: packages-run build
	@Scripts/demo

## The same lab, left running
lab: packages-run build
	@Scripts/lab up

lab-down:
	@Scripts/lab down

## Every test
test: packages-build packages-run packages-test
	@Scripts/test all

## The fast subset: unit tests and the rules of the tree
check: packages-build
	@Scripts/test fast

tidy:
	@Scripts/tidy

integration: packages-test build
	@Tests/Integration/run

fuzz: packages-build packages-test
	@Scripts/fuzz $(or $(SECONDS_PER_TARGET),30)

bench: packages-run packages-test build
	@Bench/run

install: build
	install -D -m 755 .build/release/evpnd $(DESTDIR)$(PREFIX)/sbin/evpnd
	install -D -m 755 .build/release/evpnctl $(DESTDIR)$(PREFIX)/bin/evpnctl
	install -d $(DESTDIR)/lib/systemd/system $(DESTDIR)/etc/evpnd
	sed 's|/usr/local/sbin|$(PREFIX)/sbin|' Packaging/evpnd.service >$(DESTDIR)/lib/systemd/system/evpnd.service
	Scripts/manual .build/manual
	install -D -m 644 .build/manual/evpnctl.1 $(DESTDIR)$(PREFIX)/share/man/man1/evpnctl.1
	install -D -m 644 .build/manual/evpnd.yaml.5 $(DESTDIR)$(PREFIX)/share/man/man5/evpnd.yaml.5
	install -D -m 644 .build/manual/evpnd.8 $(DESTDIR)$(PREFIX)/share/man/man8/evpnd.8
	install -D -m 644 Packaging/evpnctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/evpnctl
	@if [ -z '$(DESTDIR)' ] && [ -d /run/systemd/system ]; then systemctl daemon-reload; fi

## A container image of the static binaries and the Debian libraries they load: .build/image
image: packages-image build
	@Scripts/image .build/image

clean:
	rm -rf .build
