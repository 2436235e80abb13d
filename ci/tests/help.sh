#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The help names every target; hosted CI and the stages leave out no job and no configuration.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

targets=$(sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile | sort)
equal help_names_every_target "$targets" "$(make | sed -n 's/^  make \([a-z-]*\).*/\1/p' | sort)"
equal hosted_ci_takes_its_jobs_from_the_stages 'ci-job ci-jobs' \
	"$(grep -oE 'make ci-jobs?' .github/workflows/ci.yml | cut -d ' ' -f 2 | sort | tr '\n' ' ' | sed 's/ $//')"
equal every_configuration_is_a_stage \
	"$(sed -n 's/^\([a-z][a-z0-9.-]*\) .*/\1/p' ci/configurations | sort)" \
	"$(sed -n 's/.* ci\/vm.sh configuration //p' ci/stages | sort)"
