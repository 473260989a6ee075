# tests.mk: the simulated driver, the hosts, the unit tests and the targets that run them.

# --- simulated libraries: one folder each, all its .c files -------------------------------------

SIM_CFLAGS := $(ALL_CFLAGS) -Itests/sim/include -fPIC -fvisibility=hidden
SIM_LIBS   := $(BUILD)/sim/libcuda.so.1 \
              $(BUILD)/sim/13.0/libcuda.so.1 $(BUILD)/sim/12.2/libcuda.so.1 $(BUILD)/sim/11.4/libcuda.so.1 \
              $(BUILD)/sim/libcudart.so.11.0 $(BUILD)/sim/libcudart.so.12 $(BUILD)/sim/libcudart.so.13 \
              $(BUILD)/sim/libnvidia-ml.so.1

sim: $(SIM_LIBS)

$(BUILD)/simobj/%.o: tests/sim/%.c | deps-build
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(SIM_CFLAGS) $(DEPGEN) -c $< -o $@

sim_objects = $(patsubst tests/sim/%.c,$(BUILD)/simobj/%.o,$(wildcard tests/sim/$(1)/*.c))
# As in the real libraries, calls inside do not leave them (-Bsymbolic).
SIM_LDFLAGS = -shared $(ALL_LDFLAGS) -Wl,-Bsymbolic -Wl,-soname,$(@F) $(if $(SANITIZE),,-Wl,-z,defs)

# One library for each driver version: an older driver lacks the newer symbols, so that dlsym finds
# none. build/sim is 13.5, the others lie in build/sim/11.4, build/sim/12.2 and build/sim/13.0.
SIM_CUDA_OBJ := $(filter-out %/driver_version.o,$(call sim_objects,cuda))

$(BUILD)/simobj/cuda/driver_version-%.o: tests/sim/cuda/driver_version.c | deps-build
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(SIM_CFLAGS) -DSIM_DRIVER_VERSION=$* $(DEPGEN) -c $< -o $@
$(BUILD)/simobj/cuda/exports-%.map: tests/sim/cuda/symbols.def tests/sim/cuda/symbols_memory.def tests/sim/cuda/version-script
	@mkdir -p $(@D)
	@tests/sim/cuda/version-script $(CC) $* > $@
define sim_cuda_library
$(1): $$(SIM_CUDA_OBJ) $$(BUILD)/simobj/cuda/driver_version-$(2).o $$(BUILD)/simobj/cuda/exports-$(2).map
	@mkdir -p $$(@D)
	$$(call run,LD)$$(CC) -o $$@ $$(filter %.o,$$^) $$(SIM_LDFLAGS) -Wl,--version-script=$$(filter %.map,$$^)
	@ln -sf libcuda.so.1 $$(@D)/libcuda.so
endef
$(eval $(call sim_cuda_library,$(BUILD)/sim/libcuda.so.1,13050))
$(eval $(call sim_cuda_library,$(BUILD)/sim/13.0/libcuda.so.1,13000))
$(eval $(call sim_cuda_library,$(BUILD)/sim/12.2/libcuda.so.1,12020))
$(eval $(call sim_cuda_library,$(BUILD)/sim/11.4/libcuda.so.1,11040))

# One runtime for each major version, under the name and symbol version that NVIDIA's has.
SIM_CUDART_OBJ := $(filter-out %/driver.o %/device.o,$(call sim_objects,cudart))

define sim_cudart_library
$(BUILD)/simobj/cudart/%-$(2).o: tests/sim/cudart/%.c | deps-build
	@mkdir -p $$(@D)
	$$(call run,CC)$$(CC) $$(SIM_CFLAGS) -DSIM_CUDART_VERSION=$(2) $$(DEPGEN) -c $$< -o $$@
$(BUILD)/simobj/cudart/exports-$(2).map: tests/sim/cudart/version-script
	@mkdir -p $$(@D)
	@$$< $(1) > $$@
$(BUILD)/sim/$(1): $(SIM_CUDART_OBJ) $(BUILD)/simobj/cudart/driver-$(2).o $(BUILD)/simobj/cudart/device-$(2).o $(BUILD)/simobj/cudart/exports-$(2).map
	@mkdir -p $$(@D)
	$$(call run,LD)$$(CC) -o $$@ $$(filter %.o,$$^) $$(SIM_LDFLAGS) -Wl,--version-script=$$(filter %.map,$$^) -ldl
endef
$(eval $(call sim_cudart_library,libcudart.so.11.0,11080))
$(eval $(call sim_cudart_library,libcudart.so.12,12050))
$(eval $(call sim_cudart_library,libcudart.so.13,13000))
$(BUILD)/sim/libnvidia-ml.so.1: $(call sim_objects,nvml)
	@mkdir -p $(@D)
	$(call run,LD)$(CC) -o $@ $^ $(SIM_LDFLAGS) -ldl

# --- hosts: small unmodified CUDA programs, one access path each --------------------------------
# host_direct_*.c link libcuda.so.1, host_runtime_*.c libcudart.so.12, host_nvml_*.c libcuda.so.1 and
# libnvidia-ml.so.1; the others look up by name.

HOST_SRC := $(wildcard tests/hosts/host_*.c)
HOSTS    := $(HOST_SRC:tests/hosts/%.c=$(BUILD)/hosts/%)
HOST_CFLAGS := $(ALL_CFLAGS) -Itests/sim/include -Itests/hosts

hosts: $(HOSTS)

$(BUILD)/hosts/host_direct_%: HOST_LIBS = -L$(BUILD)/sim -lcuda
$(BUILD)/hosts/host_runtime_%: HOST_LIBS = -L$(BUILD)/sim -l:libcudart.so.12
$(BUILD)/hosts/host_nvml_%: HOST_LIBS = -L$(BUILD)/sim -lcuda -l:libnvidia-ml.so.1
$(HOSTS): $(BUILD)/hosts/%: tests/hosts/%.c $(SIM_LIBS) | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -MF $@.d -o $@ $< $(ALL_LDFLAGS) $(HOST_LIBS) -ldl

# The same programs of the runtime, for CUDA 11 and 13.
RUNTIME_HOSTS := $(patsubst $(BUILD)/hosts/%,%,$(filter $(BUILD)/hosts/host_runtime_%,$(HOSTS)))

define runtime_hosts
hosts: $(RUNTIME_HOSTS:%=$(BUILD)/hosts/$(1)/%)
$(RUNTIME_HOSTS:%=$(BUILD)/hosts/$(1)/%): $(BUILD)/hosts/$(1)/%: tests/hosts/%.c $(SIM_LIBS) | deps-build
	@mkdir -p $$(@D)
	$$(call run,LD)$$(CC) $$(HOST_CFLAGS) $$(DEPGEN) -MF $$@.d -o $$@ $$< $$(ALL_LDFLAGS) -L$(BUILD)/sim -l:$(2)
endef
$(eval $(call runtime_hosts,cuda11,libcudart.so.11.0))
$(eval $(call runtime_hosts,cuda13,libcudart.so.13))

# Libraries that a host opens, as Python opens an extension: extension_NAME.c becomes
# libextension_NAME.so. One of them also under the name of the library in which PyTorch allocates.
EXTENSION_SRC := $(wildcard tests/hosts/extension_*.c)
EXTENSIONS    := $(EXTENSION_SRC:tests/hosts/%.c=$(BUILD)/hosts/lib%.so)
AS_PYTORCH    := $(BUILD)/hosts/torch/libc10_cuda.so

hosts: $(EXTENSIONS) $(AS_PYTORCH)

$(EXTENSIONS) $(AS_PYTORCH): EXTENSION_LIBS = -L$(BUILD)/sim -l:libcudart.so.12
$(BUILD)/hosts/libextension_static.so: EXTENSION_LIBS =
$(EXTENSIONS): $(BUILD)/hosts/lib%.so: tests/hosts/%.c
$(AS_PYTORCH): tests/hosts/extension_caching.c
$(EXTENSIONS) $(AS_PYTORCH): $(SIM_LIBS) | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -MF $@.d -fPIC -fvisibility=hidden -shared -o $@ $(filter %.c,$^) \
	    $(ALL_LDFLAGS) $(EXTENSION_LIBS)

# Libraries that are preloaded beside ours: preload_NAME.c becomes libpreload_NAME.so.
PRELOAD_SRC := $(wildcard tests/hosts/preload_*.c)
PRELOADS    := $(PRELOAD_SRC:tests/hosts/%.c=$(BUILD)/hosts/lib%.so)

hosts: $(PRELOADS)

$(PRELOADS): $(BUILD)/hosts/lib%.so: tests/hosts/%.c | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -MF $@.d -fPIC -fvisibility=hidden -shared -o $@ $< $(ALL_LDFLAGS) -ldl

# --- the conformance suite: one program, which finds the driver by dlsym ---------------------------

CONFORM_SRC := $(wildcard tests/conformance/*.c)
CONFORM     := $(BUILD)/conformance/conformance

hosts: $(CONFORM)

$(BUILD)/conformance/%.o: tests/conformance/%.c | deps-build
	@mkdir -p $(@D)
	$(call run,CC)$(CC) $(HOST_CFLAGS) $(DEPGEN) -c $< -o $@
$(CONFORM): $(CONFORM_SRC:tests/conformance/%.c=$(BUILD)/conformance/%.o)
	$(call run,LD)$(CC) -o $@ $^ $(ALL_LDFLAGS) -ldl

# Random operations against a model of every byte.
STRESS := $(BUILD)/stress/stress $(BUILD)/stress/stress_per_thread

hosts: $(STRESS)

$(STRESS): $(BUILD)/stress/%: tests/stress/%.c $(SIM_LIBS) | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -MF $@.d -o $@ $< $(ALL_LDFLAGS) -L$(BUILD)/sim -lcuda

# --- unit tests: one Check program for each tests/unit/test_*.c ----------------------------------
# A program links the whole library's objects (hidden names and all), and Check.

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNITS    := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

unit: $(UNITS)

$(BUILD)/unit/test_%: tests/unit/test_%.c $(LIB_OBJ) | deps-check
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(ALL_CFLAGS) $(shell pkg-config --cflags check 2>/dev/null) $(DEPGEN) -MF $@.d -o $@ $< \
	    $(LIB_OBJ) $(ALL_LDFLAGS) $(shell pkg-config --libs check 2>/dev/null || echo -lcheck) -ldl

# The simulator's own tests link its objects, not ours.
SIM_UNITS := $(patsubst tests/sim/unit/%.c,$(BUILD)/sim/unit/%,$(wildcard tests/sim/unit/test_*.c))
unit: $(SIM_UNITS)
$(BUILD)/sim/unit/test_%: tests/sim/unit/test_%.c $(SIM_LIBS) | deps-check
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(ALL_CFLAGS) -Itests/sim/include $(shell pkg-config --cflags check 2>/dev/null) $(DEPGEN) -MF $@.d \
	    -o $@ $< $(ALL_LDFLAGS) $(shell pkg-config --libs check 2>/dev/null || echo -lcheck) \
	    -L$(BUILD)/sim -lcuda -Wl,-rpath,$(abspath $(BUILD)/sim) -ldl

# --- targets -------------------------------------------------------------------------------------

# Everything, sanitizers included; ends with "N passed, N failed, N skipped".
check: deps-check all unit
	@$(PYTHON) tests/run

# Without the sanitizer builds: for the editing loop.
check-fast: deps-check all unit
	@$(PYTHON) tests/run --fast

# A million random operations in each of the columns that redirect: some ten minutes.
OPERATIONS ?= 1000000
SEED       ?= 1
.PHONY: stress
stress: deps-check all
	STRESS_OPERATIONS=$(OPERATIONS) STRESS_SEED=$(SEED) $(PYTHON) -m pytest -v -p no:cacheprovider \
	    $(foreach program,stress stress_per_thread,$(foreach column,zero mixed loans, \
	    'tests/stress/test_stress.py::test_stress[$(program)-$(column)]'))

coverage: deps-check
	@scripts/coverage

CUDA_INCLUDE ?= $(firstword $(wildcard /usr/local/cuda/include /usr/include/cuda /opt/cuda/include))
abi-check:
	@if [ -f "$(CUDA_INCLUDE)/cuda.h" ]; then \
	    $(CC) $(BASE) -I$(CUDA_INCLUDE) -fsyntax-only tests/unit/abi_check.c && echo "abi-check: agrees with $(CUDA_INCLUDE)/cuda.h"; \
	else echo "abi-check: no cuda.h on this machine: skipped"; exit 77; fi

# --- benchmark: what the library adds to a call --------------------------------------------------

$(BUILD)/bench/bench_calls: tests/bench/bench_calls.c $(SIM_LIBS) | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -o $@ $< $(ALL_LDFLAGS) -L$(BUILD)/sim -lcuda

# The placement's replay is built with the hosts: a test plays a small trace.
$(BUILD)/bench/placement_replay: tests/bench/placement/replay.c $(SIM_LIBS) | deps-build
	@mkdir -p $(@D)
	$(call run,LD)$(CC) $(HOST_CFLAGS) $(DEPGEN) -o $@ $< $(ALL_LDFLAGS) -L$(BUILD)/sim -lcuda
hosts: $(BUILD)/bench/placement_replay

bench-placement: deps-check all
	@$(PYTHON) tests/bench/placement/run --build $(BUILD)

bench: all $(BUILD)/bench/bench_calls
	@$(PYTHON) tests/bench/run $(BUILD)
