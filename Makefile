# SPDX-License-Identifier: Apache-2.0
# deepsadd, deepsad, libdeepsad. `make help` lists the targets. No list of sources is kept
# here: a new file in src/ or tests/ is found.

# ---- What is needed from Debian 12: the only list there is ---------------------------------
BUILD_PACKAGES = gcc libc6-dev pkg-config libmicrohttpd-dev libjansson-dev \
    libopenblas-pthread-dev libyaml-dev zlib1g-dev nettle-dev libsqlite3-dev \
    libprotobuf-c-dev protobuf-c-compiler libonnx-dev libgnutls28-dev
RUN_PACKAGES = $(BUILD_PACKAGES) dataset-fashion-mnist curl jq
TEST_PACKAGES = $(BUILD_PACKAGES) libcmocka-dev clang-format python3 python3-pytest python3-onnx \
    python3-numpy python3-yaml groff-base openssl faketime
LINT_PACKAGES = $(TEST_PACKAGES) clang clang-tidy cppcheck
FUZZ_PACKAGES = $(BUILD_PACKAGES) clang libclang-rt-14-dev
VALGRIND_PACKAGES = $(TEST_PACKAGES) valgrind
COVERAGE_PACKAGES = $(TEST_PACKAGES) gcovr
FAULT_PACKAGES = $(BUILD_PACKAGES) python3 e2fsprogs xfsprogs mount
LOOP_PACKAGES = $(BUILD_PACKAGES) python3 python3-numpy
PROXY_PACKAGES = nginx-light haproxy
BENCH_PACKAGES = $(BUILD_PACKAGES) python3 python3-numpy python3-torch python3-sklearn \
    python3-fastapi python3-uvicorn python3-uvloop python3-httptools python3-ujson gnuplot-nox
DEB_PACKAGES = $(BUILD_PACKAGES) dpkg-dev binutils
SYSTEM_PACKAGES = $(DEB_PACKAGES) python3 debootstrap systemd-container util-linux
DOCKER_PACKAGES = $(BUILD_PACKAGES) python3 debootstrap buildah podman conmon crun util-linux curl
PAPER_PACKAGES = $(BUILD_PACKAGES) dataset-fashion-mnist python3 python3-numpy python3-sklearn \
    gnuplot-nox

# ---- Variants: release, asan, tsan, cov, clang; each with a build directory of its own -----
VARIANT = release
BUILD = build/$(VARIANT)
GENERATED = build/generated
CC = gcc
PYTHON = /usr/bin/python3
LIBRARIES = libmicrohttpd jansson yaml-0.1 zlib nettle openblas sqlite3 libprotobuf-c gnutls

PREFIX = /usr/local
SYSCONFDIR = /etc
UNITDIR = /usr/lib/systemd/system

WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Wundef -Wvla \
    -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wnull-dereference \
    -Wdouble-promotion
# The last line of defence of what reads from the network: checked copies, canaries, and
# tables that are read-only before main().
CFLAGS_release = -O3 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDFLAGS_release = -Wl,-z,relro -Wl,-z,now
CFLAGS_clang = -O2 -g
CFLAGS_asan = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread
CFLAGS_cov = -O0 -g --coverage
CFLAGS_fuzz = -O2 -g -fsanitize=fuzzer-no-link,address,undefined
# Contraction to fused multiply-adds and no errno from sqrt: what vectorised loops need.
# Nothing of -ffast-math: NaN is a missing value here.
CFLAGS += $(CFLAGS_$(VARIANT)) -std=c17 -D_GNU_SOURCE -pthread -fopenmp-simd \
    -ffp-contract=fast -fno-math-errno -fno-trapping-math $(WARNINGS) $(if $(CI),-Werror)
CPPFLAGS += -Iinclude -Isrc -isystem $(GENERATED) $(LIBRARY_CFLAGS) -MMD -MP
LDFLAGS += $(LDFLAGS_$(VARIANT)) $(filter -fsanitize=% --coverage -pthread,$(CFLAGS))
LDLIBS = $(LIBRARY_LIBS) -lm
# pkg-config runs once, when first needed: it may be installed by the same make.
LIBRARY_CFLAGS = $(eval LIBRARY_CFLAGS := $(shell pkg-config --cflags $(LIBRARIES)))$(LIBRARY_CFLAGS)
LIBRARY_LIBS = $(eval LIBRARY_LIBS := $(shell pkg-config --libs $(LIBRARIES)))$(LIBRARY_LIBS)

LIB_SOURCES = $(wildcard src/base/*.c src/nn/*.c src/data/*.c src/onnx/*.c src/model/*.c)
# What both programs share beyond the library.
STORE_SOURCES = $(wildcard src/store/*.c src/access/*.c)
SERVER_SOURCES = $(wildcard src/http/*.c src/learn/*.c src/api/*.c)
TOOL_SOURCES = $(wildcard src/tool/*.c)
DAEMON_SOURCES = $(wildcard src/daemon/*.c)
# What unit tests may reach of the two programs: all but their main().
TESTED_SOURCES = $(filter-out %/main.c %/deepsad.c %/deepsadd.c,$(TOOL_SOURCES) $(DAEMON_SOURCES))
UNIT_SOURCES = $(wildcard tests/unit/test_*.c)
FUZZ_SOURCES = $(wildcard tests/fuzz/fuzz_*.c)
C_FILES = $(wildcard include/*.h src/*/*.[ch] tests/*.h tests/*/*.[ch])
FORMATTED = $(filter-out tests/golden/%,$(C_FILES))
object = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIB = $(BUILD)/libdeepsad.a
STORE_LIB = $(BUILD)/libstore.a
SERVER_LIB = $(BUILD)/libserver.a
TESTED_LIB = $(BUILD)/libtested.a
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))
SMOKE_TESTS = $(patsubst tests/fuzz/%.c,$(BUILD)/smoke/%,$(FUZZ_SOURCES))
FUZZERS = $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SOURCES))
FAULT_SHIM = $(BUILD)/faults/fault_shim.so
FAULTS = $(patsubst tests/faults/%.c,$(BUILD)/faults/%,\
    $(filter-out %_shim.c,$(wildcard tests/faults/*.c)))
BENCHES = $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
LOOP_CLIENTS = $(patsubst tests/loop/%.c,$(BUILD)/loop/%,$(wildcard tests/loop/*.c))

# ---- Building --------------------------------------------------------------------------------
all: build/deepsad build/deepsadd ## build the programs (build/deepsad, build/deepsadd)

build/deepsad build/deepsadd: build/%: build/release/%
	@ln -sf release/$* $@
programs: $(BUILD)/deepsad $(BUILD)/deepsadd
$(BUILD)/deepsad: $(call object,$(TOOL_SOURCES)) $(STORE_LIB) $(LIB)
	@$(LINK)
$(BUILD)/deepsadd: $(call object,$(DAEMON_SOURCES)) $(SERVER_LIB) $(STORE_LIB) $(LIB)
	@$(LINK)
$(LIB): $(call object,$(LIB_SOURCES)) $(BUILD)/onnx.pb-c.o
	@$(ARCHIVE)
$(STORE_LIB): $(call object,$(STORE_SOURCES))
	@$(ARCHIVE)
$(SERVER_LIB): $(call object,$(SERVER_SOURCES))
	@$(ARCHIVE)
$(TESTED_LIB): $(call object,$(TESTED_SOURCES))
	@$(ARCHIVE)
$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(TESTED_LIB) $(SERVER_LIB) $(STORE_LIB) $(LIB)
	@$(LINK) -lcmocka
# Tests that make allocations fail.
$(BUILD)/tests/test_allocations_%: LDFLAGS += $(foreach function,malloc calloc realloc \
    reallocarray aligned_alloc strdup strndup asprintf,-Wl$(comma)--wrap=$(function))
comma = ,
$(BUILD)/smoke/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/smoke.o $(TESTED_LIB) $(SERVER_LIB) $(STORE_LIB) $(LIB)
	@$(LINK)
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(TESTED_LIB) $(SERVER_LIB) $(STORE_LIB) $(LIB)
	@$(LINK) -fsanitize=fuzzer
$(BUILD)/bench/%: $(BUILD)/tests/bench/%.o $(SERVER_LIB) $(STORE_LIB) $(LIB)
	@$(LINK)
$(BUILD)/loop/%: $(BUILD)/tests/loop/%.o $(STORE_LIB) $(LIB)
	@$(LINK)
$(BUILD)/faults/%: $(BUILD)/tests/faults/%.o $(STORE_LIB) $(LIB)
	@$(LINK)
# Preloaded into the programs under test; nothing of theirs is in it.
$(FAULT_SHIM): tests/faults/fault_shim.c tests/faults/fault_shim.h
	@mkdir -p $(@D)
	@$(CC) -std=c17 -D_GNU_SOURCE -O2 $(WARNINGS) -fPIC -shared -o $@ $< -ldl
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
# Kernels at -O0 would take a run of the suite from minutes to an hour.
$(call object,$(wildcard src/nn/*.c)): CFLAGS += $(if $(filter cov,$(VARIANT)),-O1)
# What protobuf-c makes of ONNX's schema; not ours to warn about.
ONNX_FOLDER = /usr/include/onnx
$(GENERATED)/onnx.pb-c.c: $(ONNX_FOLDER)/onnx.proto
	@mkdir -p $(@D)
	@echo "  PROTO $<"
	@protoc-c --proto_path=$(ONNX_FOLDER) --c_out=$(@D) $<
$(GENERATED)/onnx.pb-c.h: $(GENERATED)/onnx.pb-c.c ;
$(BUILD)/onnx.pb-c.o: $(GENERATED)/onnx.pb-c.c
	@mkdir -p $(@D)
	@$(CC) -I$(GENERATED) $(filter-out $(WARNINGS) -Werror,$(CFLAGS)) -w -c -o $@ $<
$(call object,$(wildcard src/onnx/*.c tests/unit/test_onnx*.c)): $(GENERATED)/onnx.pb-c.h
LINK = mkdir -p $(@D) && echo "  LINK  $@" && $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
ARCHIVE = rm -f $@ && $(AR) rcs $@ $^
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

# ---- Packages: installed as root, else named ---------------------------------------------------
missing = $(shell dpkg-query -W -f '$${db:Status-Abbrev} $${Package}\n' $(1) 2>/dev/null | \
    sed -n 's/^ii  *//p' | sed 's/:.*//' | sort -u > $(2); \
    echo $(sort $(1)) | tr ' ' '\n' | sort -u | comm -23 - $(2); rm -f $(2))
define require
	@set -- $(call missing,$(1),$(shell mktemp)); [ $$# -eq 0 ] || \
	if [ "$$(id -u)" = 0 ]; then echo "installing: $$*"; \
	    export DEBIAN_FRONTEND=noninteractive; apt-get update -q >/dev/null && \
	    apt-get install -y -q --no-install-recommends "$$@" >/dev/null; \
	else echo "missing packages; as root, run:" >&2; \
	    echo "    apt-get install --no-install-recommends $$*" >&2; exit 1; fi
endef

packages: ## install what building needs
	$(call require,$(BUILD_PACKAGES))

# ---- Running ---------------------------------------------------------------------------------
run: ## install what is missing, build, train on Fashion-MNIST, serve
	$(call require,$(RUN_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@sh conf/demo.sh

# ---- Testing ---------------------------------------------------------------------------------
test: ## install what is missing, build, run every test
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all tests
	@$(MAKE) -s PARTS="layers format-check unit fuzz-smoke blackbox" check

tests: programs $(UNIT_TESTS) $(SMOKE_TESTS) $(FAULTS) $(FAULT_SHIM)
# Runs all parts, whatever fails, and sums up.
PARTS = unit fuzz-smoke blackbox
check:
	@failed=; for part in $(PARTS); do \
	    echo "== $$part"; begin=$$(date +%s); result=passed; \
	    $(MAKE) -s $$part || { result=FAILED; failed="$$failed $$part"; }; \
	    summary="$$summary  $$(printf '%-13s' $$part) $$result, $$(($$(date +%s) - begin)) s|"; \
	done; \
	echo "== summary ($(VARIANT))"; printf '%s' "$$summary" | tr '|' '\n'; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi; \
	echo "all passed"

unit: $(UNIT_TESTS) ## unit and golden tests
	@sh tests/run_each.sh $(UNIT_TESTS)

fuzz-smoke: $(SMOKE_TESTS) ## every parser against seeded mutations of its corpus
	@for smoke in $(SMOKE_TESTS); do \
	    $$smoke tests/fuzz/corpus/$$(basename $$smoke | sed s/fuzz_//) || exit 1; done

blackbox: programs ## real programs, real sockets
	@DEEPSAD_BUILD=$(BUILD) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -q \
	    -p no:cacheprovider tests/blackbox $(PYTEST)

swap: ## 1,000 hot swaps under scoring load
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@DEEPSAD_SWAPS=1000 $(MAKE) -s blackbox PYTEST="-s -k swaps_under_load"
hostile: ## 10,000 hostile bodies (so does make asan, or DEEPSAD_HOSTILE)
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@DEEPSAD_HOSTILE=10000 $(MAKE) -s blackbox PYTEST="-s -k hostile_body"

slow-clients: ## 4,500 slow clients beside good ones: with room for all, by default, and a crowd
	$(call require,$(LOOP_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@for run in ample default crowd; do \
	    $(PYTHON) -B tests/hostile/slow_clients.py --run $$run $(SLOW) || exit 1; done

proxies: ## behind nginx and haproxy: framing, large bodies, a drain under load
	$(call require,$(LOOP_PACKAGES) $(PROXY_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@PATH=$$PATH:/usr/sbin $(PYTHON) -B tests/hostile/proxies.py

KILLS = 300
kill: ## KILLS times kill -9 under label load and retraining
	$(call require,$(LOOP_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@$(PYTHON) tests/faults/kill.py --cycles $(KILLS)
SOAK_SECONDS = 3600
soak: ## SOAK_SECONDS of mixed load, a retraining each minute: nothing may grow or fail
	$(call require,$(LOOP_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@$(PYTHON) -B tests/soak/soak.py --seconds $(SOAK_SECONDS) $(SOAK)
CUTS = 200
# SWEEP: options of tests/faults/sweep.py
faults: ## every write, fsync, open, allocation fails once; every flip of a model file; about 45 min
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all $(FAULTS) $(FAULT_SHIM)
	@DEEPSAD_BUILD=$(BUILD) $(PYTHON) -m pytest -q -p no:cacheprovider \
	    tests/blackbox/test_faults.py
	@rm -rf $(BUILD)/faults/damaged
	@$(BUILD)/deepsad train tests/faults/rows.csv --out $(BUILD)/faults/damaged \
	    --set members=1 --set epochs=1 --set hidden=4 >/dev/null 2>&1
	@$(BUILD)/faults/damage $(BUILD)/faults/damaged/1/model.safetensors
	@$(PYTHON) -B tests/faults/sweep.py $(SWEEP)
power-cut: ## CUTS simulated power cuts under load of labels (as root)
	$(call require,$(FAULT_PACKAGES))
	@$(MAKE) -s -j$$(nproc) $(BUILD)/faults/label_writer
	@$(PYTHON) tests/faults/power_cut.py --cuts $(CUTS) --writer $(BUILD)/faults/label_writer

systemd-boot: ## the package under a real systemd, booted in a container (as root)
	$(call require,$(SYSTEM_PACKAGES))
	@$(MAKE) -s deb
	@$(PYTHON) -B tests/system/systemd_boot.py \
	    --package build/deepsad_$(VERSION)_$$(dpkg --print-architecture).deb
docker-test: ## the image, built and run without a Docker engine (as root)
	$(call require,$(DOCKER_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@$(PYTHON) -B tests/system/docker_image.py

asan: ## the suite under AddressSanitizer, LeakSanitizer and UBSan
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) VARIANT=asan tests
	@OPENBLAS_NUM_THREADS=1 DEEPSAD_HOSTILE=$${DEEPSAD_HOSTILE:-10000} ASAN_OPTIONS=detect_leaks=1 \
	    UBSAN_OPTIONS=print_stacktrace=1 $(MAKE) -s VARIANT=asan check
tsan: ## the suite under ThreadSanitizer
	$(call require,$(TEST_PACKAGES))
	@$(MAKE) -s -j$$(nproc) VARIANT=tsan tests
	@OPENBLAS_NUM_THREADS=1 TSAN_OPTIONS=halt_on_error=1 $(MAKE) -s VARIANT=tsan check

# Of the unit tests those of parsers, files, the store and requests: the others compute for
# minutes in code that the sanitizers see as well.
VALGRIND_TESTS = allocations_data allocations_requests allocations_store body calibration csv \
    dataset file idx journal json_plain label_rows manifest npy npy_rows number options policy \
    problem query recipe registry router rows safetensors server setting store store_journal \
    store_samples stream training_set uuid version
valgrind: ## memcheck on VALGRIND_TESTS and on the daemon serving requests
	$(call require,$(VALGRIND_PACKAGES))
	@$(MAKE) -s -j$$(nproc) programs $(VALGRIND_TESTS:%=$(BUILD)/tests/test_%)
	@$(PYTHON) -B tests/valgrind.py $(BUILD) $(VALGRIND_TESTS:%=$(BUILD)/tests/test_%)

# A campaign: make fuzz FUZZ_SECONDS=0 FUZZ_RUNS=20000000 FUZZ_CPU_MINUTES=30
FUZZ_SECONDS = 60
FUZZ_RUNS = 0
FUZZ_CPU_MINUTES = 0
FUZZ_TARGETS = $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES))
fuzz: ## libFuzzer on every parser, FUZZ_SECONDS each; or FUZZ_RUNS, FUZZ_CPU_MINUTES
	$(call require,$(FUZZ_PACKAGES) python3)
	@$(MAKE) -s -j$$(nproc) VARIANT=fuzz CC=clang fuzzers
	@$(MAKE) -s VARIANT=fuzz CC=clang fuzz-run
fuzzers: $(FUZZERS)
fuzz-run:
	@ASAN_OPTIONS=malloc_context_size=3:quarantine_size_mb=16 OPENBLAS_NUM_THREADS=1 \
	    $(PYTHON) -B tests/fuzz/campaign.py --seconds $(FUZZ_SECONDS) --runs $(FUZZ_RUNS) \
	    --cpu-minutes $(FUZZ_CPU_MINUTES) $(FUZZ_TARGETS:%=$(BUILD)/fuzz/fuzz_%)
fuzz-merge: ## what campaigns found that reaches more, small and few, into tests/fuzz/corpus
	@for target in $(FUZZ_TARGETS); do \
	    sh tests/fuzz/merge.sh build/fuzz/fuzz/fuzz_$$target build/fuzz/corpus/$$target \
	        tests/fuzz/corpus/$$target || exit 1; done

golden: ## make PyTorch's golden values again (needs python3-torch)
	$(PYTHON) tests/golden/make_golden.py
	$(PYTHON) tests/golden/make_golden_images.py
	$(PYTHON) tests/golden/make_import.py

coverage: ## branch and line coverage of the suite; fails below the goals in tests/coverage.py
	$(call require,$(COVERAGE_PACKAGES))
	@$(MAKE) -s -j$$(nproc) VARIANT=cov tests
	@find build/cov -name '*.gcda' -delete
	@OPENBLAS_NUM_THREADS=1 TEST_SECONDS=900 $(MAKE) -s VARIANT=cov check
	@$(PYTHON) -B tests/coverage.py build/cov --files

# ---- Cleanliness -----------------------------------------------------------------------------
layers: ## a folder includes only the layers below it
	@$(PYTHON) tests/layers.py

format: ## apply clang-format
	@clang-format -i $(FORMATTED)
format-check:
	@clang-format --dry-run -Werror $(FORMATTED)

lint: ## clang and gcc without warnings, clang-tidy, cppcheck, gcc -fanalyzer
	$(call require,$(LINT_PACKAGES))
	@$(MAKE) -s -j$$(nproc) VARIANT=clang CC=clang CI=1 tests
	@$(MAKE) -s -j$$(nproc) VARIANT=release CI=1 BUILD=build/werror tests
	@$(MAKE) -s -j$$(nproc) lint-tidy lint-cppcheck lint-analyzer
SOURCES = $(wildcard src/*/*.c)
lint-tidy: $(SOURCES:%=lint-tidy/%)
$(SOURCES:%=lint-tidy/%) $(SOURCES:%=lint-analyzer/%): | $(GENERATED)/onnx.pb-c.h
lint-tidy/%:
	@clang-tidy --quiet --warnings-as-errors='*' $* -- \
	    $(filter-out -MMD -MP,$(CPPFLAGS)) -std=c17 -D_GNU_SOURCE 2>/dev/null
lint-cppcheck:
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --error-exitcode=1 --suppress=missingIncludeSystem -Iinclude -Isrc src
# gcc 12 calls memory leaked once a struct behind a parameter owns it; what really leaks is
# found by `make asan`.
# gcc 12 takes the lanes of a vector for the bits of a number: no shift-count-overflow.
lint-analyzer: $(SOURCES:%=lint-analyzer/%)
lint-analyzer/%:
	@mkdir -p build/analyzer
	@$(CC) $(filter-out -MMD -MP,$(CPPFLAGS)) -std=c17 -D_GNU_SOURCE -O2 -Werror -fanalyzer \
	    -Wno-analyzer-malloc-leak -Wno-analyzer-shift-count-overflow \
	    -c -o build/analyzer/$(subst /,_,$*).o $*

# ---- Measuring -------------------------------------------------------------------------------
DATA =
bench: ## speed and memory against named peers and limits; DATA=folder of CSV files for more
	$(call require,$(BENCH_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all $(BENCHES) $(RUNTIME)/node_modules/onnxruntime-node
	@DATA=$(DATA) RUNTIME=$(abspath $(RUNTIME)) sh tests/bench/run.sh

# Node.js and onnxruntime, from Debian and the npm registry: for comparisons alone.
RUNTIME = build/peers/node
$(RUNTIME)/node_modules/onnxruntime-node:
	@command -v npm >/dev/null || { echo "npm is missing: apt-get install nodejs npm" >&2; exit 1; }
	@mkdir -p $(RUNTIME)
	@npm install --silent --ignore-scripts --no-audit --no-fund --prefix $(RUNTIME) onnxruntime-node@1.30.0

onnx: ## exported models scored in onnxruntime (npm registry), against deepsad; DATA=folder
	$(call require,$(BUILD_PACKAGES) python3 python3-numpy dataset-fashion-mnist)
	@$(MAKE) -s -j$$(nproc) all $(RUNTIME)/node_modules/onnxruntime-node
	@DATA=$(DATA) $(PYTHON) -B tests/onnx/check.py build/release $(abspath $(RUNTIME))

bench-serving: ## serving against Node, FastAPI, bare libmicrohttpd and epoll, about 6 min
	$(call require,$(BENCH_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all $(BENCHES) $(RUNTIME)/node_modules/onnxruntime-node
	@DATA=$(DATA) $(PYTHON) -B tests/bench/peers.py build/release $(abspath $(RUNTIME)) build/bench

bench-train: ## training speed alone: PyTorch, threads, memory, GFLOP/s by layer, about 5 min
	$(call require,$(BENCH_PACKAGES))
	@$(MAKE) -s -j$$(nproc) build/release/bench/bench_train build/release/bench/bench_layers
	@$(PYTHON) -B tests/bench/train.py build/release/bench

REFERENCE = --epochs 30
bench-reference: ## the paper's recipe against PyTorch from the same weights, about 20 min
	$(call require,$(BENCH_PACKAGES) dataset-fashion-mnist)
	@$(MAKE) -s -j$$(nproc) all
	@OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(PYTHON) -B tests/bench/reference_torch.py $(REFERENCE)

# OPTIONS: see tests/bench/batching.py --help
bench-batching: ## when scoring requests of several connections together pays, about 8 min
	$(call require,$(BENCH_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all build/release/loop/open_loop
	@$(PYTHON) -B tests/bench/batching.py build/release $(OPTIONS)

# TABLE: one or more, default all. PAPER: further options, see tests/bench/paper/run.py --help.
PAPER_TABLES = ratio pollution classes eta rep classic
bench-paper: ## the paper's experiments, about 1 h; DATA=folder of sets, TABLE=, FULL=1, OUT=, FASHION=
	$(call require,$(PAPER_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all
	@$(PYTHON) -B tests/bench/paper/run.py --tables "$(or $(TABLE),$(PAPER_TABLES))" \
	    --out "$(or $(OUT),build/paper)" $(if $(DATA),--data "$(DATA)") \
	    $(if $(FASHION),--fashion "$(FASHION)") $(if $(FULL),--full) $(PAPER)
$(PAPER_TABLES:%=bench-paper-%): bench-paper-%:
	@$(MAKE) -s bench-paper TABLE=$*

loop: ## what the loop must show: analyst, latency, load, attacks; DATA=folder of CSV files
	@[ -n "$(DATA)" ] || { echo "where is the data? make loop DATA=FOLDER" >&2; exit 2; }
	$(call require,$(LOOP_PACKAGES))
	@$(MAKE) -s -j$$(nproc) all $(LOOP_CLIENTS)
	@DATA=$(DATA) sh tests/loop/run.sh

# ---- Installing ------------------------------------------------------------------------------
install: all ## under PREFIX (DESTDIR is honoured)
	install -D -m 755 build/release/deepsad $(DESTDIR)$(PREFIX)/bin/deepsad
	install -D -m 755 build/release/deepsadd $(DESTDIR)$(PREFIX)/bin/deepsadd
	install -D -m 644 $(LIB) $(DESTDIR)$(PREFIX)/lib/libdeepsad.a
	install -D -m 644 include/deepsad.h $(DESTDIR)$(PREFIX)/include/deepsad.h
	install -D -m 644 src/tool/man/deepsad.1 $(DESTDIR)$(PREFIX)/share/man/man1/deepsad.1
	install -D -m 644 src/daemon/man/deepsadd.8 $(DESTDIR)$(PREFIX)/share/man/man8/deepsadd.8
	install -D -m 644 conf/completion/deepsad \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/deepsad
	[ -e $(DESTDIR)$(SYSCONFDIR)/deepsad/deepsadd.yaml ] || \
	    install -D -m 644 conf/deepsadd.yaml $(DESTDIR)$(SYSCONFDIR)/deepsad/deepsadd.yaml
	install -d $(DESTDIR)$(UNITDIR)
	sed 's|/usr/bin/deepsadd|$(PREFIX)/bin/deepsadd|' systemd/deepsadd.service \
	    > $(DESTDIR)$(UNITDIR)/deepsadd.service
	install -m 644 systemd/deepsadd.socket $(DESTDIR)$(UNITDIR)/deepsadd.socket

VERSION = $(shell sed -n 's/.*DEEPSAD_VERSION "\(.*\)"/\1/p' include/deepsad.h)
deb: ## a Debian package, in build/
	$(call require,$(DEB_PACKAGES))
	@rm -rf build/deb && $(MAKE) -s -j$$(nproc) all
	@$(MAKE) -s install DESTDIR=$(abspath build/deb) PREFIX=/usr UNITDIR=/lib/systemd/system
	@sh systemd/debian/build.sh $(abspath build/deb) $(VERSION) \
	    build/deepsad_$(VERSION)_$$(dpkg --print-architecture).deb

clean: ## remove build/
	rm -rf build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

# All that is named in small letters alone, and no file.
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST))) $(PAPER_TABLES:%=bench-paper-%)
.SECONDARY:
.DELETE_ON_ERROR:
