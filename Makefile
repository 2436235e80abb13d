# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The only entry point; every target calls a tool or a script of ci/. `make` alone prints help.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# One thing at a time, in the order written; what can run side by side does so inside ci/build.sh and ci/stages.sh.
.NOTPARALLEL:
# Names of variables that the user gave to make, to tell those that are misspelt.
export RINGBAR_VARIABLES := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v))
.PHONY: $(shell sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile)

# Where nothing is said, as ci/lib.sh has it.
KERNEL ?= stock

help: ## this text
	@ci/help.sh Makefile

#: Every day
run: ## boot, show bytes on their way between device and process, prove the chain in short
	@ci/build.sh ci/vm.sh run
trace: ## run, and record each access to the device and what the device did
	@TRACE=1 ci/build.sh ci/vm.sh run
report: ## draw the page of the last run again, and name it
	@ci/vm.sh report
test: ## everything that must hold
	@ci/stages.sh run kernel:$(KERNEL)
shell: ## a terminal in the guest; exit powers it off
	@ci/build.sh ci/vm.sh shell

#: Parts of it
setup: ## check this host, fetch and prepare sysroot and kernel
	@ci/setup.sh && ci/kernel.sh >/dev/null
variables: ## check what variables say and which programs TESTS names, before anything is built
	@ci/variables.sh $(RINGBAR_VARIABLES)
build: ## all that a VM run needs
	@ci/build.sh
module: ## the kernel module alone, into build/module
	@ci/module.sh
fmt: ## check formatting of the workspace
	@ci/cargo.sh fmt --all --check
lint: ## clippy on the workspace
	@ci/cargo.sh clippy --locked --workspace --all-targets -- -D warnings
module-lint: ## formatting and clippy of the module, with the kernel's own tools
	@ci/module.sh lint
test-host: ## tests that need neither root nor QEMU
	@ci/test-host.sh
test-vm: ## VM tests: all configurations of the kernel, side by side
	@ci/stages.sh run vm:$(KERNEL)
bench: ## measure, each figure against one of the same machine and run; table in build/report/bench.md
	@ci/build.sh ci/bench.sh
bench-trace: ## what the witness costs, in ratios
	@ci/build.sh ci/bench-trace.sh
soak: ## stress run of the wake-ups, VM tests of both kernels, big counts in full everywhere
	@ci/cargo.sh test --locked --release -p ringbar-server --test vfio_user -- --ignored
	@$(MAKE) test-vm CYCLES=100 FULL=1 && $(MAKE) test-vm KERNEL=debug CYCLES=100 FULL=1
fuzz-short: ## fuzz what the client and the guest send: 10 million messages, 5 million descriptors
	@ci/fuzz.sh short
fuzz: ## the same with libFuzzer, FUZZ_TIME seconds a target
	@ci/fuzz.sh long
miri: ## protocol and rings under Miri, where a nightly compiler has it
	@ci/miri.sh
test-sabotage: ## modules, a device and a server that are broken on purpose make VM tests fail
	@ci/stages.sh run job:sabotage

#: As CI runs it
prepush: fmt lint test-host ## the fast part of `make test`
ci-job: ## one job of hosted CI, JOB=host; `ci/stages` has them
	@ci/stages.sh run job:$(JOB)
ci-jobs: ## names of all jobs, as JSON
	@ci/stages.sh jobs
ci-all: ## every job
	@ci/stages.sh run all

#: Cleaning
clean: ## remove build/, when no run works in it
	@ci/clean.sh
distclean: ## remove build/ and ringbar's cache
	@ci/distclean.sh

#? KERNEL=stock    stock, or debug: KASAN, lockdep and more; built once, 10 minutes
#? KERNEL_ARGS=    more words for the guest kernel: swiotlb=force
#? ACCEL=tcg       tcg, kvm, or auto: KVM if it really boots a guest
#? TESTS=          guest programs to run: registers,dma or all; if not set, make run and trace take a few, others all
#? ARGS=           names of cases of the one program in TESTS, or parts of them: TESTS=dma ARGS=partial
#? INTERRUPTS=msix msix or msi
#? IOMMU=0         1 for a virtual IOMMU
#? TRACE=0         1: record each access to the device from probe on; boot: from power-on
#? DEVICES=1       1 to 4; make test: 4, 2 in stock-traced, 1 in stock-64-queues
#? TIMEOUT=        seconds after which a run ends in any case; none: what hangs is noticed, however slow the machine is
#? CYCLES=0        how often the device goes in removal_cycles; make test: 100 in stock-msix, else 10; make soak: 100
#? FULL=0          1 for random and repeated tests in full; make test: 1 in stock-msix and stock-vanished; make soak: 1
#? SEED=           number that a random test printed, to repeat it
#? FUZZ_TIME=600   seconds of libFuzzer for each target of make fuzz
#? FUZZ_COUNT=     how much each target of make fuzz-short does; 10000000 messages, 5000000 descriptors
#? FUZZ_SEED=      where make fuzz-short starts; random
#? BOOTS=15        pairs of whole boots in make bench; 0 for none
#? PAIRS=15        pairs of runs of make bench-trace
#? SERVER_ARGS=    further options for ringbar-server
#? QEMU_ARGS=      further arguments for QEMU: "-device edu"
#? FILES=          files of this host for the guest, HOST:GUEST with commas between: a.sh:/bin/a
#? RINGBAR_CACHE   the cache; else $XDG_CACHE_HOME/ringbar or ~/.cache/ringbar
#? RINGBAR_MIRROR  Debian mirror; else the host's own
