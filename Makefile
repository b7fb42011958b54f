# The commands of everyday work. `make test` is what CI runs; the rest of the build is CMake's
# (cmake --workflow --preset dev).
PRESET ?= release
JOBS ?= $(shell nproc)
BUILD = build/$(PRESET)
SOURCES = $(shell git ls-files '*.h' '*.cc')

.PHONY: build packages demo test test-k8s test-cluster bench bench-charts docs clean format tidy asan tsan

build: packages $(BUILD)/build.ninja
	cmake --build --preset $(PRESET) -j $(JOBS)

$(BUILD)/build.ninja: CMakePresets.json
	cmake --preset $(PRESET)

packages:
	@tests/install-packages.sh

demo: build
	@/usr/bin/python3 tests/demo/demo.py $(BUILD)/bin

# Every test: units, whole programs, clients of other languages, tidiness.
test: build tests/clients/node_modules/.package-lock.json
	ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS)
	@tests/k8s/run.sh $(BUILD)/bin --if-cached

tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json | packages
	cd tests/clients && npm ci --no-audit --no-fund

# Manifests, declarations, tokens and injection against a real kube-apiserver. Builds it from Debian's
# source when it is not in the cache (~/.cache/tributary-k8s), which takes minutes and is said.
test-k8s: build
	@tests/k8s/run.sh $(BUILD)/bin

# The same and more on a whole one-node cluster with real pods; needs root.
test-cluster: build
	@tests/k8s/test-cluster.sh $(BUILD)/bin

# Side by side with redis-server and etcd. ROW=R2 runs one row; BENCH="--entries 100000" and the like
# go to tests/bench/bench.py. bench-charts measures cost as work grows.
bench: build
	/usr/bin/python3 -B tests/bench/bench.py --bin $(BUILD)/bin --json $(BUILD)/bench.json $(ROW) $(BENCH)

bench-charts: build
	/usr/bin/python3 -B tests/bench/bench.py --bin $(BUILD)/bin --charts docs/charts $(BENCH)

# Renews the parts of docs/ that are made from the programs; a test fails when they are stale.
docs: build
	/usr/bin/python3 -B tests/docs/docs.py $(BUILD)/bin --write

# Sanitizers; gRPC's own code is not instrumented, so TSan leaves out the tests labelled grpc.
asan tsan: packages
	cmake --workflow --preset $@

format:
	@tests/install-packages.sh clang-format-14
	clang-format-14 -i $(SOURCES)

tidy: packages
	@tests/install-packages.sh clang-tidy-14 clang-tools-14
	@tests/tidy/clang-tidy.sh

clean:
	rm -rf build tests/clients/node_modules
