#!/bin/bash
# clang-tidy over every product source (or those whose path matches $1), with the flags that only
# g++ knows taken away. Slow: minutes a core.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=build/clang-tidy
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug > /dev/null
cmake --build "$build" --target protos grpc_services > /dev/null  # clang-tidy reads their headers
sed -i -E 's/ -f(no-)?(modules-ts|module-mapper=[^ ]*|concepts)//g' "$build/compile_commands.json"
pattern="$PWD/(common|agent|control-plane)/.*${1:-}"
run-clang-tidy-14 -quiet -p "$build" "$pattern" 2> /dev/null | grep -v '^clang-tidy-14 ' \
  && status=${PIPESTATUS[0]} || status=${PIPESTATUS[0]}
exit "$status"
