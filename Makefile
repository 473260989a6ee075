# hybridmem: the library, the command, the simulated driver and their tests.
#
#   make            build/libhybridmem.so, build/hybridmem, build/sim/, build/hosts/
#   make demo       a real program overflows its VRAM (installs what it needs)
#   make check      every test (installs what it needs)
#   make stress     a million random operations against a model (OPERATIONS=, SEED=)
#   make bench      what the shim costs, against the goals
#   make bench-placement    where it puts what, against the best placement (simulated)
#   make lint format coverage install uninstall clean
#
# Switches: CC=clang, BUILD=dir, SANITIZE=address,undefined | thread, COVERAGE=1, DEBUG=1,
#           V=1, PREFIX=/usr/local, DESTDIR=

CC      ?= cc
PYTHON  ?= /usr/bin/python3
PREFIX  ?= /usr/local
BUILD   ?= build
VERSION := 0.1.0
ARCH    := $(shell uname -m)

ifeq ($(origin CC),default)
CC := gcc
endif

WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wwrite-strings -Wvla -Wundef -Werror
OPT     := $(if $(DEBUG),-O0,-O2) -g
CFLAGS  ?=
LDFLAGS ?=
BASE    := -std=gnu11 -D_GNU_SOURCE $(OPT) $(WARN) -I. -DHYBRIDMEM_VERSION='"$(VERSION)"' -pthread
SAN     := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer)
COV     := $(if $(COVERAGE),--coverage -DHYBRIDMEM_COVERAGE)
ALL_CFLAGS  := $(BASE) $(SAN) $(COV) $(CFLAGS)
ALL_LDFLAGS := $(SAN) $(COV) $(LDFLAGS) -pthread
DEPGEN  = -MMD -MP

# What runs, one line each; V=1 shows the whole commands.
run = $(if $(V),,@printf '  %-5s %s\n' $(1) $@;)

.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all lib cli sim hosts unit demo check check-fast bench bench-placement lint format coverage install \
        uninstall clean deps abi-check

all: lib cli sim hosts

# --- the library -------------------------------------------------------------------------------

LIB_SRC := $(wildcard shim/*.c policy/*.c config/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/pic/%.o) $(BUILD)/pic/shim/resolve_$(ARCH).o
LIB     := $(BUILD)/libhybridmem.so

lib: $(LIB)

$(BUILD)/pic/%.o: %.c | deps-build
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(ALL_CFLAGS) $(DEPGEN) -fPIC -fvisibility=hidden -ftls-model=initial-exec -c $< -o $@

# dlsym is called before a sanitizer's run-time library is ready, by that library.
$(BUILD)/pic/shim/elf.o $(BUILD)/pic/shim/resolve.o: ALL_CFLAGS := $(BASE) $(COV) $(CFLAGS)

$(BUILD)/pic/%.o: %.S | deps-build
	@mkdir -p $(@D)
	$(call run,AS)$(CC) $(ALL_CFLAGS) $(DEPGEN) -fPIC -c $< -o $@

# Which names leave the library, and under which version: made from hooks.def.
$(BUILD)/hybridmem.map: shim/hooks.def scripts/version-script
	@mkdir -p $(@D)
	@scripts/version-script $(ARCH) < $< > $@

$(LIB): $(LIB_OBJ) $(BUILD)/hybridmem.map
	$(call run,LD)$(CC) -shared -o $@ $(LIB_OBJ) $(ALL_LDFLAGS) -Wl,--version-script=$(BUILD)/hybridmem.map \
	    -Wl,-soname,libhybridmem.so -Wl,-z,now -Wl,-z,relro $(if $(SANITIZE),,-Wl,-z,defs)

# --- the command -------------------------------------------------------------------------------

CLI_SRC := scripts/hybridmem.c $(wildcard scripts/hybridmem_*.c) $(wildcard policy/*.c config/*.c) shim/ram.c
CLI     := $(BUILD)/hybridmem

cli: $(CLI)

$(BUILD)/obj/%.o: %.c | deps-build
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(ALL_CFLAGS) $(DEPGEN) -c $< -o $@

$(CLI): $(CLI_SRC:%.c=$(BUILD)/obj/%.o)
	$(call run,LD)$(CC) -o $@ $^ $(ALL_LDFLAGS) -ldl

# --- the simulated driver and the small programs that run on it --------------------------------

include tests/tests.mk

# --- what a person runs ------------------------------------------------------------------------

# A missing compiler or header is installed, once, and said so (scripts/deps).
.PHONY: deps-build
deps-build:
	@$(if $(NO_DEPS),:,scripts/deps build)

demo: deps-demo all
	@scripts/demo

.PHONY: deps-demo deps-check deps-lint
deps-demo:
	@$(if $(NO_DEPS),:,scripts/deps demo)
deps-check:
	@$(if $(NO_DEPS),:,scripts/deps check)
deps-lint:
	@$(if $(NO_DEPS),:,scripts/deps lint)

lint: deps-lint
	@scripts/lint

format: deps-lint
	@scripts/lint --fix

install: lib cli
	install -Dm755 $(LIB) $(DESTDIR)$(PREFIX)/lib/libhybridmem.so
	install -Dm755 $(CLI) $(DESTDIR)$(PREFIX)/bin/hybridmem
	install -d $(DESTDIR)$(PREFIX)/share/hybridmem
	install -m644 config/*.json $(DESTDIR)$(PREFIX)/share/hybridmem
	install -Dm644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/hybridmem/LICENSE

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/lib/libhybridmem.so $(DESTDIR)$(PREFIX)/bin/hybridmem
	rm -rf $(DESTDIR)$(PREFIX)/share/hybridmem $(DESTDIR)$(PREFIX)/share/doc/hybridmem

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
