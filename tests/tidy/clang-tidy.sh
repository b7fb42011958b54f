#!/bin/bash
# clang-tidy over the product's sources (those of targets whose path matches $1), compiled together
# as the other builds do it, with the flags that only g++ knows taken away. Slow: minutes a core.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/clang-tidy
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_UNITY_BUILD=ON \
  -DCMAKE_UNITY_BUILD_BATCH_SIZE=8 > /dev/null
cmake --build "$build" --target protos grpc_services > /dev/null  # clang-tidy reads their headers
sed -i -E 's/ -f(no-)?(modules-ts|module-mapper=[^ ]*|concepts)//g' "$build/compile_commands.json"
sources="$PWD/($build/)?(common|agent|control-plane)/"
pattern="^$sources((?!_test\.dir|_test\.cc|_fuzz).)*${1:-}((?!_test\.dir|_test\.cc|_fuzz).)*\$"
run-clang-tidy-14 -quiet -p "$build" \
  "$pattern" 2> /dev/null | grep -v '^clang-tidy-14 ' \
  && status=${PIPESTATUS[0]} || status=${PIPESTATUS[0]}
exit "$status"
