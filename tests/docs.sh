#!/bin/bash
# What README.md and docs/ say can be done is done here: every ```sh block is run, and each line of
# a ```dump block must be in what the blocks before it printed.
#
#   tests/docs.sh [FILE...]
#
# A block that takes long or wants a person has a line before it that says what to run in its place:
#   <!-- docs-test: COMMAND -->
set -u
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- README.md docs/*.md
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ok()
{
    passed=$((passed + 1))
}

wrong() # WHERE WHAT
{
    failed=$((failed + 1))
    echo "FAILED: $1: $2"
}

# Writes $work/N.sh and N.dump, in the order of the file, each with N.where.
split() # FILE
{
    awk -v dir="$work" -v file="$1" '
        /^<!-- docs-test: .* -->$/ {
            instead = $0
            sub(/^<!-- docs-test: /, "", instead)
            sub(/ -->$/, "", instead)
            next
        }
        /^```(sh|dump)$/ {
            kind = substr($0, 4)
            out = sprintf("%s/%03d", dir, ++n)
            printf "%s:%d\n", file, NR > (out ".where")
            body = out "." kind
            if (kind == "sh" && instead != "")
                print instead > body
            skip = kind == "sh" && instead != ""
            instead = ""
            next
        }
        /^```/ { kind = ""; next }
        kind != "" && !skip { print > body }' "$1"
}

run_block() # SCRIPT WHERE
{
    if timeout 120 bash -euo pipefail "$1" >"$work/new" 2>&1 </dev/null; then
        ok
    else
        wrong "$2" "status $? of: $(cat "$1")"
        tail -n 20 "$work/new" | sed 's/^/    /'
    fi
    cat "$work/new" >>"$work/printed"
}

find_dump() # DUMP WHERE
{
    local lost
    if lost=$(grep -vxFf "$work/printed" "$1"); then
        wrong "$2" "no longer printed:"
        sed 's/^/    /' <<<"$lost"
    else
        ok
    fi
}

for file in "$@"; do
    rm -f "$work"/*
    : >"$work/printed"
    split "$file"
    for where in "$work"/*.where; do
        [ -f "$where" ] || continue
        block=${where%.where}
        if [ -f "$block.sh" ]; then
            run_block "$block.sh" "$(cat "$where")"
        else
            find_dump "$block.dump" "$(cat "$where")"
        fi
    done
    # Links inside the tree.
    for link in $(grep -oE '\]\([^)#:]+\)' "$file" | tr -d '])('); do
        [ -e "$(dirname "$file")/$link" ] && ok || wrong "$file" "leads to $link, which is not there"
    done
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
