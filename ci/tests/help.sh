#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The help names every target, and hosted CI calls only targets that exist.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

targets=$(sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile | sort)
equal help_names_every_target "$targets" "$(make | sed -n 's/^  make \([a-z-]*\).*/\1/p' | sort)"
jobs=$(sed -n 's/.*job: \[\(.*\)\]/\1/p' .github/workflows/ci.yml | tr -d ' ' | tr , '\n' | sort)
equal hosted_ci_runs_every_job "$(sed -n 's/^ci-job-//p' <<<"$targets" | sort)" "$jobs"
