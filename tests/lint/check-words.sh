#!/bin/bash
# What must not be in the repository: host names of package registries and mirrors (the host's
# own apt decides), paths of one machine, and code files that are two (over 800 lines).
set -eu
cd "$(dirname "$0")/../.."
self=tests/lint/check-words.sh
status=0

files()
{
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do
        [ ! -f "$f" ] || echo "$f"
    done
}

refuse() # WHY PATTERN
{
    # grep's status is 1 when nothing matches, which is what we want.
    if files | grep -vxF "$self" | xargs -d '\n' grep -nIE "$2" --; then
        echo "check-words: $1"
        status=1
    fi
}

refuse "the name of a package registry or mirror" \
    '(deb|security|ftp[.a-z]*|snapshot)\.debian\.org|archive\.ubuntu\.com|pypi\.org|pythonhosted\.org|crates\.io|registry\.npmjs|proxy\.golang\.org|rubygems\.org'
refuse "a path of one machine" '(^|[^A-Za-z0-9_.])/(work|home/[a-z]+)/[A-Za-z]'
for f in $(files '*.c' '*.h' '*.sh' '*.py' | grep -v '^tests/'); do
    lines=$(wc -l <"$f")
    if [ "$lines" -gt 800 ]; then
        echo "check-words: $f has $lines lines: at 800 a file is two"
        status=1
    fi
done
exit $status
