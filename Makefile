# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The only entry point; every target calls a tool or a script of ci/. `make` alone prints help.

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
# Targets run one at a time, in the written order. ci/build.sh and ci/stages.sh run parts side by side.
.NOTPARALLEL:
# Names of the variables that the user gave to make. ci/variables.sh finds misspelt ones.
export RINGBAR_VARIABLES := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v))
.PHONY: $(shell sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile)

# Default kernel, as in ci/lib.sh.
KERNEL ?= stock
# The kernel whose VM runs are meant, as in ci/stages, if it is another than KERNEL on x86-64.
other := $(or $(filter arm64 arm64-16k,$(ARCH)),$(addprefix linux-,$(filter 7.2,$(LINUX))))

help: ## this text
	@ci/help.sh Makefile

#: Every day
run: ## boot, show bytes on their way between device and process, test each step of the chain briefly
	@ci/build.sh ci/vm.sh run
trace: ## run, and record each access to the device and each action of the device
	@TRACE=1 ci/build.sh ci/vm.sh run
report: ## draw the page of the last run again, and print its path
	@ci/vm.sh report
test: ## everything that must hold
	@ci/stages.sh run $(if $(other),vm:$(other),$(if $(EXAMPLE)$(AT),example,kernel):$(KERNEL))
shell: ## a terminal in the guest; exit powers it off
	@ci/build.sh ci/vm.sh shell
swap: ## build the server anew, and have it serve the machine of make shell from now on
	@ci/swap.sh
debug: ## a terminal in the guest, which stops at STOP; prints the command that attaches gdb to the driver
	@ci/build.sh ci/vm.sh debug
new: ## make an example of your own, NAME=frob: a device, its driver, a test in the guest, to change as you like
	@ci/new.sh "$$NAME"

#: Parts of it
setup: ## check this host, fetch and prepare sysroot and kernel
	@ci/setup.sh && ci/kernel.sh >/dev/null
variables: ## check the variables and the programs in TESTS, before anything is built
	@ci/variables.sh $(RINGBAR_VARIABLES)
build: ## everything that a VM run needs
	@ci/build.sh
module: ## the kernel module alone, into build/module
	@ci/module.sh
fmt: ## check formatting of the workspace
	@ci/lint.sh format
lint: ## clippy on the workspace, or on the crates of EXAMPLE
	@ci/lint.sh clippy
module-lint: ## formatting and clippy of all modules, with the kernel's own tools
	@ci/module.sh lint
package: ## the crates that others can take, as cargo would publish them: packed, used elsewhere, compared with the last release
	@ci/package.sh all
test-host: ## tests that need neither root nor QEMU
	@ci/test-host.sh
test-vm: ## VM tests: all configurations of the kernel, side by side
	@ci/stages.sh run vm:$(or $(other),$(KERNEL))
coverage: ## lines of the driver that the VM tests reach, of both kernels, or those of TESTS; table in build/report/coverage.html
	@ci/coverage.sh
bench: ## measure, each figure beside another of the same machine and run; table in build/report/bench.md
	@ci/bench.sh
bench-trace: ## measure the cost of the witness, in ratios
	@ci/bench-trace.sh
soak: ## stress run of the wake-ups, VM tests of both kernels, full counts everywhere
	@ci/cargo.sh test --locked --release -p ringbar-server --test vfio_user -- --ignored
	@$(MAKE) test-vm CYCLES=100 FULL=1 && $(MAKE) test-vm KERNEL=debug CYCLES=100 FULL=1
fuzz-short: ## fuzz the input from QEMU and the guest: 10 million messages, 5 million descriptors
	@ci/fuzz.sh short
fuzz: ## the same with libFuzzer, FUZZ_TIME seconds per target
	@ci/fuzz.sh long
miri: ## protocol and rings under Miri, if a nightly compiler has it
	@ci/miri.sh
mutants: ## change one thing at a time in crates and driver, and see which test notices; takes hours, and goes on where it was stopped
	@ci/mutants.sh
test-sabotage: ## check that VM tests notice modules, a device and a server that are broken on purpose
	@ci/stages.sh run job:sabotage$(if $(arm64),-arm64)

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

#? EXAMPLE=        a driver of its own with its device in place of ringbar, for make run, trace, test, shell and debug: edu,sum or all; ci/examples has them
#? NAME=           name of the example that make new makes: small letters, digits and _
#? AT=             folder of a project of your own, outside of this checkout, for make new and all that takes EXAMPLE: ../frob-project
#? ARCH=x86-64     architecture of the guest: x86-64, arm64 (pages of 4 KiB) or arm64-16k (16 KiB); the other one is fetched once, 250 MB, and takes 5 minutes; make test: its VM runs
#? LINUX=7.3       series of the guest's kernel: 7.3, or 7.2 of Debian's backports; fetched once, 340 MB, and takes 4 minutes; make test: its VM runs
#? KERNEL=stock    stock, or debug: KASAN, lockdep and more; built once, 10 to 20 minutes
#? KERNEL_ARGS=    additional words for the guest's kernel: swiotlb=force
#? ACCEL=tcg       tcg, kvm, or auto: KVM if it really boots a guest
#? TESTS=          guest programs to run: registers,dma or all; by default make run and trace run a few, others all
#? ARGS=           names of cases of the one program in TESTS or EXAMPLE, or parts of them: TESTS=dma ARGS=partial
#? INTERRUPTS=msix msix or msi
#? HOTPLUG=acpi    controller of the slots, by which a device is unplugged: acpi, or native, that of each root port (pciehp), always on arm64
#? IMAGE=0         1: QEMU starts the kernel by its packed image, so the machine can sleep in RAM; the boot takes seconds longer; make test: 1 in stock-resets and debug-resets
#? LIES=0          1 for devices that lie to the driver when the guest orders it: TESTS=lies DEVICES=3
#? BROKER=0        1 for a broker between QEMU and each server, so that tests can replace servers, by another build: TESTS=swap
#? WATCH=0         1: make swap replaces the servers of a run too, as it does those of make shell
#? IOMMU=0         1 for a virtual IOMMU
#? COHERENT=1      0, with ARCH=arm64: the machine says that devices do not see the processor's caches
#? MEMORY=memfd    QEMU's backend of the guest's memory: memfd, shm or file; the server reaches the last two by copies of the kernel
#? MEMORY_SIZE=    size of the guest's memory: 8G; by default 512M, 2G on the debug kernel and 1G on arm64
#? KEXEC=0         1: the tests run with a second kernel, which the first one starts while the device copies; make test: 1 in stock-bounced
#? TRACE=0         1: record each access to the device from probe on; boot: from power-on
#? DEVICES=1       1 to 4; make test: 4, 2 in stock-traced, 1 in stock-64-queues
#? TIMEOUT=        seconds after which a run ends in any case; by default none: hangs are noticed, however slow the machine is
#? CYCLES=0        how often removal_cycles removes the device; make test: 10; make soak: 100
#? FULL=0          1 for random and repeated tests in full; make soak: 1
#? SEED=           number that a random test printed, to repeat it; seed of the samples of make mutants, by default 1
#? FUZZ_TIME=600   seconds of libFuzzer per target of make fuzz
#? FUZZ_COUNT=     inputs per target of make fuzz-short; 10000000 messages, 5000000 descriptors
#? FUZZ_SEED=      seed of make fuzz-short; random by default
#? CRATE=          part of make mutants: model, protocol, endpoint, spec, client or driver; all by default
#? COUNT=          mutants that make mutants runs of each part at most, 0 for the table alone; by default all of its sample
#? ONLY=           text of file or change: make mutants runs the mutants that have it, those outside of the sample too
#? BOOTS=15        pairs of whole boots in make bench; 0 for none
#? PAIRS=15        pairs of runs of make bench-trace
#? PEER=           program of libvfio-user's sample gpio-pci-idio-16, for a row of make bench beside it; ci/bench/README.md has how to build it
#? SERVER_ARGS=    further options for ringbar-server
#? QEMU_ARGS=      further arguments for QEMU: "-device edu"
#? FILES=          files of this host for the guest, HOST:GUEST with commas between: a.sh:/bin/a
#? GDB=0           1 for gdb of the Debian release in the guest, as in make shell GDB=1; fetched once, 10 MB
#? STOP=driver     where make debug stops: boot, driver (is loaded), or a function or FILE:LINE of it: guest-driver/mapping/map.rs:95
#? RINGBAR_CACHE   the cache; else $XDG_CACHE_HOME/ringbar or ~/.cache/ringbar
#? RINGBAR_MIRROR  Debian mirror; else the host's own
