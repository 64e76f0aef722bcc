# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. No list of sources is kept here: a new file is found.

# ---- What is needed from Debian 12, the only list there is ----
BUILD_PACKAGES = gcc pkg-config libc6-dev libmicrohttpd-dev libjansson-dev \
    libopenblas-pthread-dev libyaml-dev zlib1g-dev nettle-dev
RUN_PACKAGES = dataset-fashion-mnist curl
TEST_PACKAGES = libcmocka-dev python3 python3-pytest python3-numpy python3-yaml

# ---- Variants: release, asan, tsan, cov; each has a build directory of its own ----
VARIANT ?= release
BUILD = build/$(VARIANT)
CC = gcc
PKGS = libmicrohttpd jansson yaml-0.1 zlib nettle openblas

WARNINGS = -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wformat=2 -Wundef -Wvla \
    -Wcast-qual -Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wnull-dereference \
    -Wdouble-promotion
CFLAGS_release = -O3 -g
CFLAGS_asan = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan = -O1 -g -fsanitize=thread
CFLAGS_cov = -O0 -g --coverage
CFLAGS += $(CFLAGS_$(VARIANT)) -std=c17 -D_GNU_SOURCE -pthread -fopenmp-simd \
    -ffp-contract=fast -fno-math-errno -fno-trapping-math $(WARNINGS) $(if $(CI),-Werror)
CPPFLAGS += -Iinclude -Isrc $(shell pkg-config --cflags $(PKGS) 2>/dev/null) -MMD -MP
LDFLAGS += $(filter -fsanitize=% --coverage -pthread,$(CFLAGS))
LDLIBS = $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm

LIB_SOURCES = $(wildcard src/base/*.c src/nn/*.c src/data/*.c src/model/*.c)
SERVER_SOURCES = $(wildcard src/http/*.c src/api/*.c)
TOOL_SOURCES = $(wildcard src/tool/*.c)
DAEMON_SOURCES = $(wildcard src/daemon/*.c)
UNIT_SOURCES = $(wildcard tests/unit/test_*.c)
object = $(patsubst %.c,$(BUILD)/%.o,$(1))

LIB = $(BUILD)/libdeepsad.a
SERVER_LIB = $(BUILD)/libserver.a
UNIT_TESTS = $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(UNIT_SOURCES))

all: build/deepsad build/deepsadd $(LIB)

build/%: build/release/%
	@ln -sf release/$* $@
$(BUILD)/deepsad: $(call object,$(TOOL_SOURCES)) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/deepsadd: $(call object,$(DAEMON_SOURCES)) $(SERVER_LIB) $(LIB)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(LIB): $(call object,$(LIB_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^
$(SERVER_LIB): $(call object,$(SERVER_SOURCES))
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(SERVER_LIB) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "CC $<"
	@$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

unit: $(UNIT_TESTS)
	@set -e; for test in $(UNIT_TESTS); do $$test; done

clean:
	rm -rf build

.PHONY: all unit clean
.SECONDARY:
