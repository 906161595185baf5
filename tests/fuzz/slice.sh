#!/bin/sh
# A slice of every fuzz target, of some seconds. FUZZ_SEED=n gives the inputs of another run again.
set -eu
fixtures=${srcdir:-.}/tests/fixtures
seed=${FUZZ_SEED:-$(date +%s)}

./tests/fuzz/answer_fuzz -s "$seed" -n 100 \
    "${srcdir:-.}"/tests/fuzz/transaction.json \
    "$fixtures"/electrumx/*.response "$fixtures"/h_edges/*.json "$fixtures"/a_nogroup/*.json \
    "$fixtures"/b_1block/*.json "$fixtures"/d_3blocks/*.json "$fixtures"/i_mintmeta/*.json \
    "$fixtures"/f_40blocks/getusedcoinstagstxhashes_0.json
./tests/fuzz/sync_fuzz -s "$seed" -n 5000
./tests/fuzz/legacy_fuzz -s "$seed" -n 1000
./tests/fuzz/store_fuzz -s "$seed" -n 3000
