#!/bin/bash
# An include points down only: reads every #include "..." of the tree and refuses, with one
# line each, what tests/lint/layers.txt does not allow. "..." is always relative to the top.
#
#   tests/lint/check-layers.sh [FOLDER...]     default: the folders of the translator
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- dbt frontend backend-x86_64 softmmu devices runtime
grep -rnE --include='*.c' --include='*.h' --include='*.def' '^[ \t]*#[ \t]*include[ \t]*"' "$@" |
    awk '
    # Is `path` the file `place` or inside the folder `place`?
    function within(path, place) {
        return path == place || index(path, place "/") == 1
    }
    FNR == NR {
        if ($0 ~ /^#/ || NF == 0)
            next
        folders[$1] = 1
        for (i = 2; i <= NF; i++)
            allowed[$1] = allowed[$1] " " $i
        next
    }
    {
        split($0, part, ":")
        file = part[1]
        line = part[2]
        split($0, quoted, "\"")
        target = quoted[2]
        home = ""
        for (f in folders)
            if (within(file, f) && length(f) > length(home))
                home = f
        if (home == "") {
            print file ":" line ": no line of layers.txt speaks for this folder"
            bad = 1
            next
        }
        ok = within(target, home)
        # Below its own folder there may be one with rules of its own, which is another layer.
        n = split(allowed[home], list, " ")
        for (i = 1; i <= n && !ok; i++)
            ok = within(target, list[i])
        if (!ok) {
            print file ":" line ": " home " may not include " target
            bad = 1
        }
    }
    END { exit bad }' tests/lint/layers.txt -
