#!/usr/bin/env bash
# A slice of the points at which a disk is full, or a file too long. Without a disk of our own it is
# skipped (exit code 77) if the rest holds.
set -euo pipefail
exec tests/faults/disk --every 13 "$@"
