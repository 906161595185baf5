#!/bin/sh
# The parser over recorded answers and a transaction made up, and a bounded number of mutations of
# each, the same at every run.
set -eu
fixtures=${srcdir:-.}/tests/fixtures
exec ./tests/fuzz/answer_fuzz -n "${FUZZ_MUTATIONS:-300}" \
    "${srcdir:-.}"/tests/fuzz/transaction.json \
    "$fixtures"/electrumx/*.response "$fixtures"/h_edges/*.json "$fixtures"/a_nogroup/*.json \
    "$fixtures"/b_1block/*.json "$fixtures"/d_3blocks/*.json "$fixtures"/i_mintmeta/*.json
